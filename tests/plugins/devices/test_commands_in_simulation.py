"""LeRobot's own commands on the simulated robot: record, look, replay, teleoperate, roll out. As docs/recording.md prints them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lerobot.datasets import LeRobotDataset

from lerobot_neuraltouch import features
from lerobot_policy_neuraltouch.shipped import shipped_path

pytestmark = pytest.mark.slow

BIN = Path(sys.executable).parent
QUIET = "--play_sounds=false"
SCRIPT = """
- {seconds: 0.5, tcp_vz.vel: 0.020, gripper.pos: 0.060}
- {seconds: 0.5, tcp_wy.vel: 0.100}
"""


def start(command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a command; its output goes to a file, because a pipe that nobody reads would stop it."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with log.open("wb") as output:
        return subprocess.Popen(
            [str(BIN / command[0]), *command[1:]],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )


def tail(log: Path) -> str:
    return log.read_text(errors="replace")[-4000:]


def run(*command: str, log: Path) -> None:
    process = start(command, log)
    try:
        assert process.wait(timeout=900) == 0, tail(log)
    finally:
        process.kill()


def robot(folder: Path, task: str, seed: int, name: str) -> list[str]:
    return [
        "--robot.type=neuraltouch_sim", f"--robot.task={task}", f"--robot.seed={seed}",
        f"--robot.calibration_dir={folder / 'calibration'}", f"--robot.report={folder / name}",
    ]  # fmt: skip


def reported(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("devices")


@pytest.fixture(scope="module")
def teleop(folder: Path) -> list[str]:
    path = folder / "script.yaml"
    path.write_text(SCRIPT)
    return ["--teleop.type=neuraltouch_scripted", f"--teleop.script={path}"]


@pytest.fixture(scope="module")
def recording(folder: Path, teleop: list[str]) -> Path:
    root = folder / "recording"
    run(
        "lerobot-record", *robot(folder, "RefineBottleHead", 5, "record.jsonl"), *teleop,
        "--dataset.repo_id=local/lid", f"--dataset.root={root}", "--dataset.num_episodes=2",
        "--dataset.single_task=Grasp the bottle by its lid", "--dataset.episode_time_s=4",
        "--dataset.reset_time_s=0", "--dataset.fps=10", "--dataset.video=false",
        "--dataset.push_to_hub=false", QUIET, log=folder / "record.log",
    )  # fmt: skip
    return root


def test_record_writes_what_the_contract_says(recording: Path) -> None:
    dataset = LeRobotDataset("local/lid", root=recording)
    assert dataset.num_episodes == 2
    assert dataset.features[features.STATE]["names"] == list(features.STATE_NAMES)
    assert dataset.features[features.ACTION]["names"] == list(features.ACTION_NAMES)
    frame = dataset[0]
    assert frame["task"] == "Grasp the bottle by its lid"
    for key in (features.TACTILE_LEFT, features.TACTILE_RIGHT):
        assert frame[key].shape == (3, 64, 64)
    assert frame["observation.images.wrist"].shape == (3, 240, 320)
    depth = frame[features.WRIST_DEPTH]
    assert depth.shape == (1, 240, 320)
    seen = depth[depth > 0].float()  # millimetres: the object stands 350 to 450 mm away
    assert 300 < float(seen.median()) < 700


def test_each_recorded_episode_begins_with_its_own_scene_and_the_whole_script(
    recording: Path,
) -> None:
    dataset = LeRobotDataset("local/lid", root=recording)
    starts, firsts = [], []
    for episode in range(2):
        row = dataset.meta.episodes[episode]["dataset_from_index"]
        starts.append(dataset[row][features.STATE].numpy())
        firsts.append(dataset[row][features.ACTION].numpy())
    assert np.linalg.norm(starts[0][:3] - starts[1][:3]) > 0.01
    np.testing.assert_allclose(firsts, [[0, 0, 0.02, 0, 0, 0, 0.06]] * 2, atol=1e-7)


def test_replay_leads_through_the_same_states(folder: Path, recording: Path) -> None:
    """Episode 1 of a recording with seed 5 is replayed in the scene of seed 6, down to the last digit."""
    run(
        "lerobot-replay", *robot(folder, "RefineBottleHead", 6, "replay.jsonl"),
        "--dataset.repo_id=local/lid", f"--dataset.root={recording}", "--dataset.episode=1", QUIET,
        log=folder / "replay.log",
    )  # fmt: skip
    recorded, replayed = reported(folder, "record.jsonl")[1], reported(folder, "replay.jsonl")[0]
    assert replayed == recorded | {"episode": 0}
    assert recorded["steps"] >= 1


def test_dataset_viz_saves_the_recording_without_a_screen(folder: Path, recording: Path) -> None:
    run(
        "lerobot-dataset-viz", "--repo-id", "local/lid", "--root", str(recording),
        "--episode-index", "0", "--save", "1", "--output-dir", str(folder / "viz"),
        "--num-workers", "0", log=folder / "viz.log",
    )  # fmt: skip
    (saved,) = (folder / "viz").glob("*.rrd")
    assert saved.stat().st_size > 10_000


def test_teleoperate_moves_the_robot(folder: Path, teleop: list[str]) -> None:
    run(
        "lerobot-teleoperate", *robot(folder, "RefineBottleHead", 5, "teleoperate.jsonl"), *teleop,
        "--fps=10", "--teleop_time_s=2", log=folder / "teleoperate.log",
    )  # fmt: skip
    (outcome,) = reported(folder, "teleoperate.jsonl")
    assert outcome["steps"] >= 1


@pytest.fixture(scope="module")
def policy(folder: Path) -> list[str]:
    """The shipped policy, told of the robot's wrist camera by the file that lerobot-calibrate wrote."""
    run(
        "lerobot-calibrate", "--robot.type=neuraltouch_sim",
        f"--robot.calibration_dir={folder / 'calibration'}", log=folder / "calibrate.log",
    )  # fmt: skip
    camera = folder / "calibration" / "wrist_camera.json"
    return [
        f"--policy.path={shipped_path()}", f"--policy.wrist_camera=include {camera}",
        "--policy.device=cpu", "--return_to_initial_position=false", QUIET,
    ]  # fmt: skip


def test_rollout_of_the_shipped_policy_grasps_a_mug_by_its_rim(
    folder: Path, policy: list[str]
) -> None:
    """From a stand-off pose by wrist depth, by touch, then lifted. The simulation waits for slow loops, so 100 Hz asks for haste only."""
    process = start(
        [
            "lerobot-rollout", *policy, *robot(folder, "RefineMugRim", 3, "rollout.jsonl"),
            "--strategy.type=base", "--task=Grasp the mug by its rim", "--fps=100", "--duration=900",
        ],
        folder / "rollout.log",
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 900
        while not (folder / "rollout.jsonl").exists():  # written when the episode ends
            assert process.poll() is None, tail(folder / "rollout.log")
            assert time.monotonic() < deadline, tail(folder / "rollout.log")
            time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0, tail(folder / "rollout.log")
    finally:
        process.kill()
    (outcome,) = reported(folder, "rollout.jsonl")
    assert outcome["is_success"], outcome
    assert outcome["pos_error_m"] < 0.001


def test_rollout_records_episodes(folder: Path, policy: list[str]) -> None:
    root = folder / "rollouts"
    run(
        "lerobot-rollout", *policy, *robot(folder, "RefineMugRim", 3, "episodes.jsonl"),
        "--strategy.type=episodic", "--strategy.reset_to_initial_position=false",
        "--dataset.repo_id=local/rollout_rim", f"--dataset.root={root}", "--dataset.num_episodes=2",
        "--dataset.single_task=Grasp the mug by its rim", "--dataset.episode_time_s=3",
        "--dataset.reset_time_s=0", "--dataset.fps=10", "--fps=10", "--dataset.video=false",
        "--dataset.push_to_hub=false", log=folder / "episodes.log",
    )  # fmt: skip
    dataset = LeRobotDataset("local/rollout_rim", root=root)
    assert dataset.num_episodes == 2
    assert [line["seed"] for line in reported(folder, "episodes.jsonl")] == [3, 4]
    actions = np.stack([dataset[i][features.ACTION].numpy() for i in range(len(dataset))])
    assert np.abs(actions[:, :6]).max() > 0.005  # the policy moves towards the mug
