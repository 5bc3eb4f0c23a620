"""A loopback controller for the whole module, booted anew for each test, and a robot on it."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lerobot_robot_ur5_tactip.loopback import LoopbackController
from lerobot_robot_ur5_tactip.ur5_tactip import UR5TacTip
from tests.plugins.ur5.robots import make_config

HOST = f"127.5.{os.getpid() // 250 % 250}.{os.getpid() % 250 + 1}"
"""An address that no other test process uses."""


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """Processes that a script starts in the background inherit an ignored SIGINT; the clients here shall hear it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module")
def _process() -> Iterator[LoopbackController]:
    with LoopbackController(host=HOST, gripper=True) as controller:
        yield controller


@pytest.fixture
def controller(_process: LoopbackController) -> LoopbackController:
    """Without faults, at its start pose, with an empty log."""
    _process.reset(model="ur5e", gripper=True, unlock_after_s=5.0, log_s=120.0)
    return _process


Connect = Callable[..., UR5TacTip]


@pytest.fixture
def connect(controller: LoopbackController, tmp_path: Path) -> Iterator[Connect]:
    """Robots on the controller, connected; they are disconnected in the end."""
    robots: list[UR5TacTip] = []

    def make(**settings: Any) -> UR5TacTip:
        robot = UR5TacTip(make_config(tmp_path, mode="loopback", host=HOST, **settings))
        robot.connect()
        robots.append(robot)
        return robot

    yield make
    for robot in robots:
        if robot.is_connected:
            robot.disconnect()
