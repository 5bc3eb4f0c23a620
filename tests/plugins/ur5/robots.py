"""Robots of the kind under test, with a workspace around where the arm stands."""

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lerobot_neuraltouch import kinematics, se3
from lerobot_neuraltouch.features import ACTION_NAMES
from lerobot_robot_ur5_tactip.config_ur5_tactip import READY_RAD, UR5TacTipConfig
from lerobot_robot_ur5_tactip.limits import LimitsConfig
from tests.plugins.ur5.fakecamera import FakeCameraConfig

TCP = (0.0, 0.0, 0.18, 0.0, 0.0, 0.0)
BOTH_FINGERS = ("tactile_left", "tactile_right")


def start_position(model: str = "ur5e") -> np.ndarray:
    T = kinematics.forward(kinematics.get_arm(model), READY_RAD)
    return (T @ se3.from_rotvec_pose(np.array(TCP)))[:3, 3]


def make_config(
    tmp_path: Path, *, half_m: float = 0.1, cameras: tuple[str, ...] = (), **settings: Any
) -> UR5TacTipConfig:
    centre = start_position(settings.get("model", "ur5e"))
    limits = settings.pop("limits", {})
    return UR5TacTipConfig(
        id="test",
        calibration_dir=tmp_path,
        tcp=TCP,
        payload_kg=1.2,
        payload_cog_m=(0.0, 0.0, 0.06),
        limits=LimitsConfig(
            workspace_min_m=tuple((centre - half_m).tolist()),
            workspace_max_m=tuple((centre + half_m).tolist()),
            **limits,
        ),
        cameras={name: FakeCameraConfig(width=32, height=24, fps=30) for name in cameras},
        **settings,
    )


def action(*twist: float, distance: float = 0.03) -> dict[str, Any]:
    """An action from the first components of a twist; the others are zero."""
    values = [*twist, *[0.0] * (6 - len(twist)), distance]
    return dict(zip(ACTION_NAMES, values, strict=True))


def activate_gripper(host: str) -> None:
    """What a person does at the pendant."""
    with socket.create_connection((host, 63352), timeout=5.0) as connection:

        def ask(request: str) -> str:
            connection.sendall(request.encode() + b"\n")
            return connection.recv(64).decode()

        ask("SET ACT 0")
        wait_for(lambda: ask("GET STA").strip() == "STA 0")
        ask("SET ACT 1")
        wait_for(lambda: ask("GET STA").strip() == "STA 3")


def wait_for(condition: Callable[[], bool], *, timeout_s: float = 20.0) -> None:
    """Wait, as long as a busy machine may take."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
