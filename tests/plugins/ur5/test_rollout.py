"""lerobot-rollout of the shipped policy on the loopback controller: it looks, finds the mug, and drives the arm towards it.

What the wrist camera and the fingers see is taken from the simulator once, with the arm where the simulated one stands.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from lerobot_neuraltouch import features, kinematics, se3
from lerobot_policy_neuraltouch.shipped import shipped_path
from lerobot_robot_neuraltouch_sim import NeuralTouchSimConfig
from lerobot_robot_neuraltouch_sim.neuraltouch_sim import NeuralTouchSim
from lerobot_robot_ur5_tactip.config_ur5_tactip import READY_RAD
from lerobot_robot_ur5_tactip.loopback import LoopbackController
from tests.plugins.ur5.commands import numbers, robot_flags, run
from tests.plugins.ur5.robots import BOTH_FINGERS, TCP

pytest.importorskip("rtde_control")
pytestmark = pytest.mark.slow

HOST, MODEL, TASK = "127.0.5.4", "ur5", "RefineMugRim"


@dataclass(frozen=True)
class Scene:
    tcp: np.ndarray
    """Where the arm stands: position [m] and rotation vector [rad]."""
    depth: Path
    camera: Path
    """The wrist camera's calibration."""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """The first look at a mug; the pictures lie beside it, those of the fingers in folders of their names."""
    folder = tmp_path_factory.mktemp("scene")
    robot = NeuralTouchSim(
        NeuralTouchSimConfig(calibration_dir=folder, task=TASK, robot=MODEL, seed=3)
    )
    robot.connect()
    seen = robot.get_observation()
    robot.disconnect()
    for name in BOTH_FINGERS:
        (folder / name).mkdir()
        cv2.imwrite(str(folder / name / "0.png"), seen[name])
    np.save(folder / "depth.npy", seen["wrist_depth"])
    tcp = np.array([seen[name] for name in features.STATE_NAMES[:6]])
    return Scene(tcp, folder / "depth.npy", robot.camera_path)


@pytest.fixture
def controller(scene: Scene) -> Iterator[LoopbackController]:
    """With its arm where the simulated one stands."""
    T_base_flange = se3.from_rotvec_pose(scene.tcp) @ se3.inverse(
        se3.from_rotvec_pose(np.array(TCP))
    )
    joints = kinematics.nearest_inverse(kinematics.get_arm(MODEL), T_base_flange, READY_RAD)
    with LoopbackController(host=HOST, model=MODEL, joints=tuple(joints.tolist())) as controller:
        yield controller


def test_rollout_of_the_shipped_policy(scene: Scene, controller: LoopbackController) -> None:
    folder = scene.depth.parent
    wrist = f"{{type: fake, width: 320, height: 240, fps: 10, use_depth: true, depth_path: {scene.depth}}}"
    flags = [
        flag
        for flag in robot_flags(folder, model=MODEL, host=HOST, wrist=wrist)
        if "workspace" not in flag
    ]
    run(
        "rollout", "--strategy.type=base", f"--policy.path={shipped_path()}", "--policy.device=cpu",
        f"--policy.wrist_camera=include {scene.camera}", *flags,
        f"--robot.limits.workspace_min_m={numbers(scene.tcp[:3] - 0.3)}",
        f"--robot.limits.workspace_max_m={numbers(scene.tcp[:3] + 0.3)}",
        "--robot.gripper.kind=simulated", "--task=Grasp the mug by its rim", "--fps=10", "--duration=20",
        "--play_sounds=false", "--return_to_initial_position=false",
    )  # fmt: skip
    sent = [r for r in controller.records("command") if r.kind == "speedl"]
    assert sent
    assert max(r.speed for r in sent) <= features.MAX_LINEAR_SPEED + 1e-9
    assert max(r.angular_speed for r in sent) <= features.MAX_ANGULAR_SPEED + 1e-9
    steps = [r for r in controller.records("step") if r.kind == "speedl"]
    # The stand-off is 60 mm and more from the mug, along the approach.
    approach = se3.from_rotvec_pose(scene.tcp)[:3, 2]
    way = np.array(steps[-1].tcp_pose[:3]) - scene.tcp[:3]
    assert way @ approach > 0.01
    assert controller.state.program == "stopped"
