"""The README's commands, as they are printed, run one after the other at a small size."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent

SMALL = (
    (r"--num-episodes=\d+", "--num-episodes=4"),
    (r"--steps=12000", "--steps=6"),
    (r"--steps=\d{4,}", "--steps=4"),
    (r"--env_eval_freq=\d{4,}", "--env_eval_freq=4"),
    (r"--save_freq=\d+", "--save_freq=2"),
    (r"--batch_size=64", "--batch_size=4"),
    (r"--eval.n_episodes=\d+", "--eval.n_episodes=1"),
    (r"--eval.batch_size=\d+", "--eval.batch_size=1"),
    (
        r"bench oracle --num-episodes=\d+",
        "bench oracle --num-episodes=1 --robots=gripper --tasks=PickPlaceMugRim",
    ),
    (
        r"--config_path=configs/train_refiner.yaml",
        f"--config_path={ROOT}/configs/train_refiner.yaml --env-steps=60 --chunk=5 --play.envs-per-task=1 --play.num-objects=1 --eval-every=60 --eval-episodes=1",
    ),
    (r"bench table2", "bench table2 --task=PickPlaceMugRim --robot=gripper"),
    (r"bench physics", "bench physics --fingers=dome --episodes=1"),
    (r"--minutes=\d+", "--steps=2 --data.train_shapes=4 --calibration_poses=0"),
    (r"bench ndf", "bench ndf --num-shapes=1 --baseline-poses=0"),
    (r"bench throughput", "bench throughput --seconds=0.2 --num-objects=1"),
    (r"neuraltouch demo", "neuraltouch demo --video=false"),
)
"""What makes a printed command quick; nothing else is changed."""
ELSEWHERE = ("git ", "make ", "export ", "uv ", "pip ")
"""Lines that prepare a clone; CI and a person run those."""


def blocks(language: str) -> list[str]:
    """Fenced blocks of the README in one language."""
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def commands() -> list[str]:
    """Shell commands in printed order, one line each."""
    joined = "".join(blocks("bash")).replace("\\\n", " ")
    lines = [line.split("  #")[0].strip() for line in joined.splitlines()]
    return [line for line in lines if line and not line.startswith(ELSEWHERE)]


def small(command: str) -> str:
    for pattern, replacement in SMALL:
        command = re.sub(pattern, replacement, command)
    # A later round into the same dataset adds to what is there.
    return command.replace("--num-episodes=4 --resume", "--num-episodes=6 --resume")


def test_commands_are_found() -> None:
    programs = {command.split()[0] for command in commands()}
    assert programs == {"neuraltouch", "lerobot-train", "lerobot-eval"}


@pytest.mark.slow
def test_every_printed_command_runs(tmp_path: Path) -> None:
    environment = os.environ | {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "2",
    }
    for number, command in enumerate(map(small, commands())):
        log = tmp_path / f"{number}.log"
        with log.open("wb") as output:
            result = subprocess.run(
                ["bash", "-c", command],
                cwd=tmp_path,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=1200,
                check=False,
            )
        assert result.returncode == 0, f"{command}\n{log.read_text(errors='replace')[-4000:]}"


@pytest.mark.slow
@pytest.mark.parametrize("code", blocks("python"))
def test_printed_python_runs(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
