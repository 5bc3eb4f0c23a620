"""LeRobot's own commands: flags alone construct the robot, recordings hold what was executed, and the viewer opens them."""

from pathlib import Path

import numpy as np
import pytest

from lerobot_neuraltouch.features import ACTION_NAMES, STATE_NAMES
from lerobot_robot_ur5_tactip.loopback import LoopbackController
from tests.plugins.ur5.commands import robot_flags, run
from tests.plugins.ur5.conftest import HOST

pytestmark = pytest.mark.slow

MODEL = "ur5"


@pytest.fixture
def flags(controller: LoopbackController, tmp_path: Path) -> list[str]:
    """The robot on the loopback controller, with replayed TacTips."""
    pytest.importorskip("rtde_control")
    controller.reset(model=MODEL)
    return robot_flags(tmp_path, model=MODEL, host=HOST)


def test_record_look_and_replay(
    controller: LoopbackController, flags: list[str], tmp_path: Path
) -> None:
    root = tmp_path / "dataset"
    run(
        "record", *flags, "--teleop.type=steady", "--teleop.id=t",
        "--dataset.repo_id=local/pushes", f"--dataset.root={root}", "--dataset.single_task=push",
        "--dataset.num_episodes=1", "--dataset.episode_time_s=2", "--dataset.reset_time_s=0",
        "--dataset.fps=10", "--dataset.video=false", "--dataset.push_to_hub=false",
        "--dataset.no_stamp=true", "--play_sounds=false",
    )  # fmt: skip
    from lerobot.datasets import LeRobotDataset

    dataset = LeRobotDataset("local/pushes", root=root)
    assert tuple(dataset.features["action"]["names"]) == ACTION_NAMES
    assert tuple(dataset.features["observation.state"]["names"]) == STATE_NAMES
    actions = np.stack([np.asarray(frame["action"]) for frame in dataset])
    states = np.stack([np.asarray(frame["observation.state"]) for frame in dataset])
    # The teleoperator asked for 50 mm/s; what was executed is recorded.
    np.testing.assert_allclose(actions[:, 2], 0.02, atol=1e-6)
    assert states[0, 2] - states[-1, 2] > 5e-3
    assert dataset[0]["observation.images.tactile_left"].shape == (3, 64, 64)
    run(
        "dataset_viz", "--repo-id", "local/pushes", "--root", str(root), "--episode-index", "0",
        "--save", "1", "--output-dir", str(tmp_path / "viz"), "--num-workers", "0",
    )  # fmt: skip
    (saved,) = (tmp_path / "viz").glob("*.rrd")
    assert saved.stat().st_size > 10_000
    controller.reset()
    run(
        "replay", *flags, "--dataset.repo_id=local/pushes", f"--dataset.root={root}",
        "--dataset.episode=0", "--play_sounds=false",
    )  # fmt: skip
    sent = [r for r in controller.records("command") if r.kind == "speedl"]
    assert max(r.speed for r in sent) == pytest.approx(0.02)


def test_teleoperate(flags: list[str]) -> None:
    assert "linear speed" in run("teleoperate", *flags, *TELEOP)


def test_teleoperate_in_a_dry_run(tmp_path: Path) -> None:
    assert "linear speed" in run("teleoperate", *robot_flags(tmp_path), *TELEOP)


TELEOP = ("--teleop.type=steady", "--teleop.id=t", "--fps=10", "--teleop_time_s=1")
