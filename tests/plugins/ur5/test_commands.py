"""LeRobot's own commands on the robot in a dry run: flags alone construct it, and recordings hold what was executed."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lerobot_neuraltouch.features import ACTION_NAMES, STATE_NAMES
from tests.plugins.ur5.robots import TCP, start_position

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent


def numbers(values: object) -> str:
    return "[" + ", ".join(str(float(value)) for value in np.asarray(values)) + "]"


def robot_flags(folder: Path) -> list[str]:
    centre = start_position()
    return [
        "--robot.type=ur5_tactip",
        "--robot.id=dry",
        f"--robot.calibration_dir={folder}",
        f"--robot.tcp={numbers(TCP)}",
        "--robot.payload_kg=1.2",
        "--robot.payload_cog_m=[0.0, 0.0, 0.06]",
        f"--robot.limits.workspace_min_m={numbers(centre - 0.1)}",
        f"--robot.limits.workspace_max_m={numbers(centre + 0.1)}",
        "--robot.cameras={tactile_left: {type: fake, width: 32, height: 24, fps: 10}, "
        "tactile_right: {type: fake, width: 32, height: 24, fps: 10}}",
    ]


def run(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, str(HERE / "lerobot_command.py"), *command],
        env=os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout + done.stderr


def test_record_and_replay(tmp_path: Path) -> None:
    root = tmp_path / "dataset"
    flags = robot_flags(tmp_path)
    run(
        "record", *flags, "--teleop.type=steady", "--teleop.id=t",
        "--dataset.repo_id=local/dry", f"--dataset.root={root}", "--dataset.single_task=push",
        "--dataset.num_episodes=1", "--dataset.episode_time_s=2", "--dataset.reset_time_s=0",
        "--dataset.fps=10", "--dataset.video=false", "--dataset.push_to_hub=false",
        "--dataset.no_stamp=true", "--play_sounds=false",
    )  # fmt: skip
    from lerobot.datasets import LeRobotDataset

    dataset = LeRobotDataset("local/dry", root=root)
    assert tuple(dataset.features["action"]["names"]) == ACTION_NAMES
    assert tuple(dataset.features["observation.state"]["names"]) == STATE_NAMES
    actions = np.stack([np.asarray(frame["action"]) for frame in dataset])
    states = np.stack([np.asarray(frame["observation.state"]) for frame in dataset])
    # The teleoperator asked for 50 mm/s; what was executed is recorded.
    np.testing.assert_allclose(actions[:, 2], 0.02, atol=1e-6)
    assert states[0, 2] - states[-1, 2] > 5e-3
    assert dataset[0]["observation.images.tactile_left"].shape == (3, 24, 32)
    run(
        "replay", *flags, "--dataset.repo_id=local/dry", f"--dataset.root={root}",
        "--dataset.episode=0", "--play_sounds=false",
    )  # fmt: skip


def test_teleoperate(tmp_path: Path) -> None:
    flags = robot_flags(tmp_path)
    output = run(
        "teleoperate", *flags, "--teleop.type=steady", "--teleop.id=t", "--fps=10",
        "--teleop_time_s=1",
    )  # fmt: skip
    assert "linear speed" in output
