"""On URSim or an arm, if somebody says which one; an operator must be present. Moves the tcp up by a few millimetres.

UR_ROBOT names the YAML of the robot's config, with mode `real`. Without it nothing here runs, and pytest says so.
"""

import os
import time
from collections.abc import Iterator

import draccus
import numpy as np
import pytest

from lerobot_neuraltouch import se3
from lerobot_robot_ur5_tactip.checks import run_checks
from lerobot_robot_ur5_tactip.config_ur5_tactip import UR5TacTipConfig
from lerobot_robot_ur5_tactip.ur5_tactip import UR5TacTip
from lerobot_robot_ur5_tactip.verbs.doctor import DoctorConfig
from tests.plugins.ur5.robots import action

ROBOT = os.environ.get("UR_ROBOT", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not ROBOT, reason="UR_ROBOT names no robot: not run on URSim or an arm"),
]


@pytest.fixture(scope="module")
def config() -> UR5TacTipConfig:
    found = draccus.parse(DoctorConfig, args=[f"--robot=include {ROBOT}"]).robot
    assert isinstance(found, UR5TacTipConfig) and found.mode == "real"
    return found


@pytest.fixture
def robot(config: UR5TacTipConfig) -> Iterator[UR5TacTip]:
    robot = UR5TacTip(config)
    robot.connect()
    yield robot
    robot.disconnect()


def test_the_doctor_finds_nothing(config: UR5TacTipConfig) -> None:
    assert [finding for finding in run_checks(config) if finding.verdict == "bad"] == []


def test_connecting_moves_nothing(robot: UR5TacTip) -> None:
    before = robot.get_observation()
    time.sleep(1.0)
    after = robot.get_observation()
    for axis in "xyz":
        assert abs(after[f"tcp_{axis}.pos"] - before[f"tcp_{axis}.pos"]) < 2e-4


def test_a_twist_lifts_the_tool_and_its_deadline_stops_it(robot: UR5TacTip) -> None:
    first = robot.get_observation()
    rotation = se3.from_rotvec_pose(np.array([first[f"tcp_{name}.pos"] for name in POSE]))[:3, :3]
    up = rotation.T @ [0.0, 0.0, 0.01]
    end = time.monotonic() + 0.3
    while time.monotonic() < end:
        robot.send_action(action(*up.tolist(), distance=first["gripper.pos"]))
        time.sleep(0.1)
    time.sleep(robot.config.loop.action_deadline_s + 0.5)
    risen = robot.get_observation()["tcp_z.pos"] - first["tcp_z.pos"]
    assert 5e-4 < risen < 8e-3
    time.sleep(0.5)
    assert abs(robot.get_observation()["tcp_z.pos"] - first["tcp_z.pos"] - risen) < 2e-4


POSE = ("x", "y", "z", "rx", "ry", "rz")
