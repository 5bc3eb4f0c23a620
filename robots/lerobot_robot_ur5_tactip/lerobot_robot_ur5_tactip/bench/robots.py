"""The robot that is streamed to: on a loopback controller, with two replayed TacTip cameras."""

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from lerobot.cameras import CameraConfig
from lerobot.lerobot_types import RobotAction
from lerobot.utils.import_utils import register_third_party_plugins

from lerobot_neuraltouch import features, kinematics, se3
from lerobot_robot_ur5_tactip.config_ur5_tactip import READY_RAD, UR5TacTipConfig
from lerobot_robot_ur5_tactip.limits import LimitsConfig
from lerobot_robot_ur5_tactip.touch import FINGERS
from lerobot_robot_ur5_tactip.ur5_tactip import UR5TacTip

TCP = (0.0, 0.0, 0.18, 0.0, 0.0, 0.0)
ROOM_M = 0.1
"""Of the tcp to all sides of where it starts."""
FINGERS_M = 0.03
"""Finger distance of all actions [m]."""
_NUM_PICTURES = 40


def make_robot(host: str, model: str, folder: Path) -> UR5TacTip:
    """The robot, not connected.

    Args:
        host: Address of the loopback controller.
        model: ur5e or ur5.
        folder: Where its cameras' pictures are drawn.

    Raises:
        ValueError: If the TacTip camera's plugin is not installed.
    """
    T_base_flange = kinematics.forward(kinematics.get_arm(model), READY_RAD)
    start = (T_base_flange @ se3.from_rotvec_pose(np.array(TCP)))[:3, 3]
    low, high = (start - ROOM_M).tolist(), (start + ROOM_M).tolist()
    config = UR5TacTipConfig(
        id="streaming",
        calibration_dir=folder,
        mode="loopback",
        host=host,
        model=model,
        tcp=TCP,
        payload_kg=1.2,
        payload_cog_m=(0.0, 0.0, 0.06),
        limits=LimitsConfig(workspace_min_m=tuple(low), workspace_max_m=tuple(high)),
        cameras={name: _replay(folder / name, number) for number, name in enumerate(FINGERS)},
    )
    return UR5TacTip(config)


def make_action(twist: Iterable[float]) -> RobotAction:
    """The action of a twist of the tcp in its own frame [m/s, rad/s]."""
    return dict(zip(features.ACTION_NAMES, [*twist, FINGERS_M], strict=True))


def _replay(folder: Path, finger: int) -> CameraConfig:
    """A TacTip camera that shows drawn pictures, no two of which are alike."""
    register_third_party_plugins()
    if "tactip" not in CameraConfig.get_known_choices():
        raise ValueError("The cameras need the plugin lerobot_camera_tactip: install it.")
    folder.mkdir(parents=True)
    size = features.TACTILE_SIZE
    for number in range(_NUM_PICTURES):
        picture = np.full((size, size), 100, dtype=np.uint8)
        cv2.circle(picture, (12 + number, 20 + 20 * finger), 4, 180, -1)
        cv2.imwrite(str(folder / f"{number:03d}.png"), picture)
    kind = CameraConfig.get_choice_class("tactip")
    return kind(source="replay", path=folder, width=size, height=size, fps=30)
