"""The README's commands at a small size: collect, train with evaluation, crash, resume, evaluate, correct, measure."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from lerobot.datasets import LeRobotDataset

from lerobot_policy_neuraltouch.modeling_neuraltouch import NeuralTouchPolicy
from lerobot_policy_neuraltouch.shipped import shipped_path
from tests.plugins.policy_world import write_checkpoint

pytestmark = pytest.mark.slow

BIN = Path(sys.executable).parent
TASK = "RefineBottleHead"
ENV = [f"--env.task={TASK}", "--env.type=neuraltouch"]
EVAL = ["--eval.n_episodes=2", "--eval.batch_size=2", "--eval.use_async_envs=false"]


def start(command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a command; its output goes to a file, because a pipe that nobody reads would stop it."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with log.open("wb") as output:
        return subprocess.Popen(
            [str(BIN / command[0]), *command[1:]],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def run(*command: str, log: Path) -> None:
    process = start(command, log)
    try:
        assert process.wait(timeout=900) == 0, tail(log)
    finally:
        process.kill()


def tail(log: Path) -> str:
    return log.read_text(errors="replace")[-4000:]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("commands")


@pytest.fixture(scope="module")
def new_policy(folder: Path) -> str:
    """A policy from scratch: of the shipped field and skills, or where none are shipped yet, of random ones."""
    try:
        shipped_path()
    except ValueError:
        write_checkpoint(folder / "base")
        return f"--policy.path={folder / 'base'}"
    return "--policy.type=neuraltouch"


@pytest.fixture(scope="module")
def dataset(folder: Path) -> Path:
    root = folder / "dataset"
    run(
        "neuraltouch", "collect", f"--task={TASK}", "--num-episodes=4", "--num-objects=2",
        "--dataset.repo_id=local/touch", f"--dataset.root={root}",
        log=folder / "collect.log",
    )  # fmt: skip
    return root


@pytest.fixture(scope="module")
def trained(folder: Path, dataset: Path, new_policy: str) -> Path:
    """The last checkpoint of a training that was killed on the way and resumed."""
    output = folder / "train"
    command = [
        "lerobot-train", new_policy, "--policy.push_to_hub=false", "--policy.device=cpu",
        "--dataset.repo_id=local/touch", f"--dataset.root={dataset}", *ENV, *EVAL,
        "--env_eval_freq=4", "--steps=400", "--save_freq=2", "--log_freq=1", "--batch_size=8",
        "--num_workers=0", f"--output_dir={output}",
    ]  # fmt: skip
    process = start(command, folder / "train.log")
    last = output / "checkpoints" / "last"
    deadline = time.monotonic() + 600
    # Killed after the first evaluation, in the middle of the steps that follow.
    while not (output / "checkpoints" / "000006").exists():
        assert process.poll() is None, tail(folder / "train.log")
        assert time.monotonic() < deadline, tail(folder / "train.log")
        time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    NeuralTouchPolicy.from_pretrained(last / "pretrained_model")
    step = int(json.loads((last / "training_state" / "training_step.json").read_text())["step"])
    assert step >= 4
    run(
        "lerobot-train",
        f"--config_path={last / 'pretrained_model' / 'train_config.json'}",
        "--resume=true",
        f"--steps={step + 2}",
        "--env_eval_freq=0",
        log=folder / "resume.log",
    )
    resumed = int(json.loads((last / "training_state" / "training_step.json").read_text())["step"])
    assert resumed == step + 2
    return last / "pretrained_model"


def test_collected_episodes_are_a_lerobot_dataset(dataset: Path) -> None:
    loaded = LeRobotDataset("local/touch", root=dataset)
    assert loaded.num_episodes == 4
    assert loaded[0]["task"] == "Grasp the bottle by its lid"


def test_lerobot_eval_scores_the_trained_policy(folder: Path, trained: Path) -> None:
    output = folder / "eval"
    run(
        "lerobot-eval", f"--policy.path={trained}", *ENV, *EVAL, "--policy.device=cpu",
        f"--output_dir={output}", log=folder / "eval.log",
    )  # fmt: skip
    report = json.loads((output / "eval_info.json").read_text())
    assert report["overall"]["n_episodes"] == 2


def test_lerobot_eval_reports_each_of_several_tasks_of_the_shipped_policy(folder: Path) -> None:
    """One command, one episode of each task: results and a video under the task's own name."""
    output, tasks = folder / "eval-shipped", ["RefineMugRim", "RefineBottleHead"]
    run(
        "lerobot-eval", f"--policy.path={shipped_path()}", "--policy.device=cpu",
        "--env.type=neuraltouch", f"--env.task={','.join(tasks)}", "--eval.n_episodes=1",
        "--eval.batch_size=1", "--eval.use_async_envs=false", f"--output_dir={output}",
        log=folder / "eval-shipped.log",
    )  # fmt: skip
    report = json.loads((output / "eval_info.json").read_text())
    assert [(entry["task_group"], entry["task_id"]) for entry in report["per_task"]] == [
        (task, 0) for task in tasks
    ]
    for entry in report["per_task"]:
        metrics = entry["metrics"]
        assert len(metrics["successes"]) == len(metrics["sum_rewards"]) == 1
        (video,) = metrics["video_paths"]
        assert Path(video).parent.name == f"{entry['task_group']}_0"
        assert Path(video).stat().st_size > 1000
    assert {task: group["n_episodes"] for task, group in report["per_group"].items()} == {
        task: 1 for task in tasks
    }
    assert report["overall"]["n_episodes"] == 2
    assert report["overall"]["pc_success"] == 100.0  # both grasps are easy ones for it


def test_dagger_round_with_the_trained_policy(folder: Path, trained: Path) -> None:
    root = folder / "dagger"
    run(
        "neuraltouch", "collect", f"--task={TASK}", "--num-episodes=2", f"--policy={trained}",
        "--beta=0.3", "--num-envs=2", "--dataset.repo_id=local/dagger", f"--dataset.root={root}",
        log=folder / "dagger.log",
    )  # fmt: skip
    dataset = LeRobotDataset("local/dagger", root=root)
    frames = [dataset[i] for i in range(20)]  # at some of them, by chance, the teacher acts
    assert not all(f["action"].equal(f["observation.executed_action"]) for f in frames)


def test_datasets_of_several_rounds_are_merged_by_lerobot(folder: Path, dataset: Path) -> None:
    copies = f"['{dataset}', '{dataset}']"
    run(
        "lerobot-edit-dataset", "--new_repo_id=local/merged", f"--new_root={folder / 'merged'}",
        "--operation.type=merge", "--operation.repo_ids=['local/touch', 'local/touch']",
        f"--operation.roots={copies}", log=folder / "merge.log",
    )  # fmt: skip
    assert LeRobotDataset("local/merged", root=folder / "merged").num_episodes == 8


def test_table1_on_the_trained_policy(folder: Path, trained: Path) -> None:
    output = folder / "table1.json"
    run(
        "neuraltouch", "bench", "table1", "--method=ndf,neuraltouch", "--feature=bottle_head",
        "--num-episodes=2", f"--policy={trained}", "--num-envs=2", f"--output={output}",
        log=folder / "table1.log",
    )  # fmt: skip
    rows = json.loads(output.read_text())["rows"]
    assert [row["method"] for row in rows] == ["ndf", "neuraltouch"]
    assert rows[0]["pos_mm_mean"] >= 5.0  # perturbed starts are 5 to 20 mm off
    assert output.with_suffix(".png").exists()
