"""The robot in a dry run: LeRobot's contract, actions, observations and what stops it, without a controller."""

import dataclasses
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from lerobot.robots import RobotConfig, make_robot_from_config
from lerobot.utils.errors import DeviceAlreadyConnectedError, DeviceNotConnectedError

from lerobot_neuraltouch import kinematics, se3
from lerobot_neuraltouch.features import ACTION_NAMES, STATE_NAMES
from lerobot_robot_ur5_tactip.arm import ArmState
from lerobot_robot_ur5_tactip.calibration import WristCalibration
from lerobot_robot_ur5_tactip.config_ur5_tactip import READY_RAD
from lerobot_robot_ur5_tactip.errors import (
    CameraStalledError,
    GripperError,
    NotReadyError,
    TouchOverloadError,
)
from lerobot_robot_ur5_tactip.gripper import GripperConfig
from lerobot_robot_ur5_tactip.ur5_tactip import UR5TacTip
from tests.plugins.ur5.fakecamera import FakeCameraConfig
from tests.plugins.ur5.robots import BOTH_FINGERS, action, make_config, start_position, wait_for


@pytest.fixture
def robot(tmp_path: Path) -> Iterator[UR5TacTip]:
    robot = UR5TacTip(make_config(tmp_path, cameras=BOTH_FINGERS))
    robot.connect()
    yield robot
    if robot.is_connected:
        robot.disconnect()


def speed_of(robot: UR5TacTip) -> float:
    return float(np.abs(robot._require_loop().motion.twist).max())


# --- LeRobot's contract ----------------------------------------------------------------------------------------------


def test_lerobot_finds_the_robot_by_its_type(tmp_path: Path) -> None:
    assert "ur5_tactip" in RobotConfig.get_known_choices()
    assert isinstance(make_robot_from_config(make_config(tmp_path)), UR5TacTip)


def test_features_are_the_contract_while_disconnected(tmp_path: Path) -> None:
    config = make_config(tmp_path, cameras=BOTH_FINGERS)
    config.cameras["wrist"] = FakeCameraConfig(width=64, height=48, fps=30, use_depth=True)
    robot = UR5TacTip(config)
    assert tuple(robot.action_features) == ACTION_NAMES
    assert tuple(robot.observation_features)[:7] == STATE_NAMES
    assert robot.observation_features["tactile_left"] == (24, 32, 3)
    assert robot.observation_features["wrist_depth"] == (48, 64, 1)
    assert not robot.is_connected


def test_observation_has_the_declared_keys_and_shapes(tmp_path: Path) -> None:
    config = make_config(tmp_path, cameras=BOTH_FINGERS)
    config.cameras["wrist"] = FakeCameraConfig(width=64, height=48, fps=30, use_depth=True)
    with UR5TacTip(config) as robot:
        observation = robot.get_observation()
        assert set(observation) == set(robot.observation_features)
        for name, feature in robot.observation_features.items():
            if isinstance(feature, tuple):
                assert observation[name].shape == feature
            else:
                assert isinstance(observation[name], float)
    position = [observation[name] for name in STATE_NAMES[:3]]
    np.testing.assert_allclose(position, start_position(), atol=1e-9)


def test_calls_in_the_wrong_order_are_refused(tmp_path: Path) -> None:
    robot = UR5TacTip(make_config(tmp_path))
    for call in (robot.get_observation, robot.disconnect, lambda: robot.send_action(action())):
        with pytest.raises(DeviceNotConnectedError):
            call()
    robot.connect()
    with pytest.raises(DeviceAlreadyConnectedError):
        robot.connect()
    robot.disconnect()
    robot.connect()  # and again after disconnecting
    robot.disconnect()


# --- actions ---------------------------------------------------------------------------------------------------------


def test_a_twist_moves_the_tcp_along_its_own_axis(robot: UR5TacTip) -> None:
    """z of the tcp points down: 20 mm/s forwards lower it."""
    before = robot.get_observation()
    for _ in range(4):
        robot.send_action(action(0.0, 0.0, 0.02))
        time.sleep(0.1)
    after = robot.get_observation()
    assert before["tcp_z.pos"] - after["tcp_z.pos"] > 1e-3
    assert abs(after["tcp_x.pos"] - before["tcp_x.pos"]) < 1e-4


def test_executed_action_is_returned_and_written_back(robot: UR5TacTip) -> None:
    sent = action(0.03, 0.04, 0.0, distance=0.5)
    returned = robot.send_action(sent)
    np.testing.assert_allclose([returned["tcp_vx.vel"], returned["tcp_vy.vel"]], [0.012, 0.016])
    assert returned["gripper.pos"] == robot.config.gripper.fixed_distance_m
    assert sent == returned
    assert robot.clipped == {"linear speed": 1}


def test_without_record_executed_the_given_action_stays(tmp_path: Path) -> None:
    with UR5TacTip(make_config(tmp_path, record_executed=False)) as robot:
        sent = action(0.5)
        robot.send_action(sent)
        assert sent["tcp_vx.vel"] == 0.5


def test_tensors_of_a_replay_are_taken(robot: UR5TacTip) -> None:
    sent = {name: torch.tensor(value) for name, value in action(0.01).items()}
    assert robot.send_action(sent)["tcp_vx.vel"] == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tcp_vx.vel": float("nan")}, "tcp_vx.vel=nan"),
        ({"gripper.pos": float("inf")}, "gripper.pos=inf"),
        ({"tcp_x.pos": 0.3}, "unknown: ['tcp_x.pos']"),
    ],
)
def test_a_bad_action_is_refused_and_stops_the_motion(
    robot: UR5TacTip, change: dict, words: str
) -> None:
    robot.send_action(action(0.02))
    wait_for(lambda: speed_of(robot) > 0)
    with pytest.raises(ValueError) as caught:
        robot.send_action(action(0.02) | change)
    assert words in str(caught.value)
    wait_for(lambda: speed_of(robot) == 0)
    robot.send_action(action(0.02))  # the robot is still there
    wait_for(lambda: speed_of(robot) > 0)


def test_positions_that_rollout_sends_at_its_end_are_refused(robot: UR5TacTip) -> None:
    observation = robot.get_observation()
    positions = {key: value for key, value in observation.items() if key.endswith(".pos")}
    with pytest.raises(ValueError, match="return_to_initial_position=false"):
        robot.send_action(positions)
    assert robot.get_observation()["tcp_x.pos"] == observation["tcp_x.pos"]


def test_policy_that_stalls_comes_to_rest_and_is_still_connected(robot: UR5TacTip) -> None:
    robot.send_action(action(0.02))
    wait_for(lambda: speed_of(robot) > 0)
    wait_for(lambda: speed_of(robot) == 0)
    assert robot.get_observation()


def test_arm_stays_in_a_small_workspace(tmp_path: Path) -> None:
    with UR5TacTip(make_config(tmp_path, half_m=0.003)) as robot:
        for _ in range(8):
            executed = robot.send_action(action(0.0, 0.0, 0.02))
            time.sleep(0.08)
        fell = start_position()[2] - robot.get_observation()["tcp_z.pos"]
        assert 0.001 < fell < 0.003 + 1e-4  # ticks come late on a busy machine
        assert executed["tcp_vz.vel"] < 0.02
        assert robot.clipped["workspace -z"] > 0


# --- what stops it ---------------------------------------------------------------------------------------------------


def test_tactile_overload_stops_the_arm(robot: UR5TacTip) -> None:
    robot.send_action(action(0.02))
    robot.cameras["tactile_right"].level += 30
    with pytest.raises(TouchOverloadError, match=r"right .* 30\.0 gray levels"):
        wait_for(lambda: not robot.get_observation())
    wait_for(lambda: speed_of(robot) == 0)


def test_stalled_tactile_camera_stops_the_arm_without_the_policy(robot: UR5TacTip) -> None:
    robot.send_action(action(0.02))
    robot.cameras["tactile_left"].stall()
    wait_for(lambda: robot._require_loop()._fault is not None)
    with pytest.raises(CameraStalledError, match="tactile_left"):
        robot.send_action(action(0.02))
    wait_for(lambda: speed_of(robot) == 0)


def test_stalled_wrist_camera_stops_the_arm_when_looked_at(tmp_path: Path) -> None:
    with UR5TacTip(make_config(tmp_path, cameras=("wrist",))) as robot:
        robot.cameras["wrist"].stall()
        time.sleep(0.2)
        with pytest.raises(CameraStalledError, match="wrist"):
            robot.get_observation()
        with pytest.raises(CameraStalledError, match="wrist"):
            robot.send_action(action())


def test_lost_gripper_stops_the_arm(robot: UR5TacTip, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost() -> float:
        raise GripperError("The gripper is lost")

    monkeypatch.setattr(robot._gripper, "read", lost)
    wait_for(lambda: robot._require_loop()._fault is not None)
    with pytest.raises(GripperError, match="lost"):
        robot.send_action(action(0.02))


def test_start_outside_the_workspace_is_refused_and_nothing_stays_connected(
    tmp_path: Path,
) -> None:
    config = make_config(tmp_path, cameras=BOTH_FINGERS)
    low = (0.5, 0.5, 0.5)
    config.limits = dataclasses.replace(
        config.limits, workspace_min_m=low, workspace_max_m=(0.6, 0.6, 0.6)
    )
    robot = UR5TacTip(config)
    with pytest.raises(NotReadyError, match="outside the workspace"):
        robot.connect()
    assert not robot.is_connected
    assert not any(camera.is_connected for camera in robot.cameras.values())


# --- gripper and calibration -----------------------------------------------------------------------------------------


def test_simulated_gripper_follows_within_its_range(tmp_path: Path) -> None:
    gripper = GripperConfig(kind="simulated", min_distance_m=0.01, max_distance_m=0.05)
    with UR5TacTip(make_config(tmp_path, gripper=gripper)) as robot:
        assert robot.get_observation()["gripper.pos"] == pytest.approx(0.05)
        assert robot.send_action(action(distance=0.0))["gripper.pos"] == 0.01
        assert robot.clipped["finger distance"] == 1
        wait_for(lambda: robot.get_observation()["gripper.pos"] == pytest.approx(0.01))


def test_wrist_calibration_is_loaded_from_beside_lerobots_own(tmp_path: Path) -> None:
    calibration = WristCalibration(
        width=64, height=48, fx=60.0, fy=60.0, cx=31.5, cy=23.5,
        tcp_camera=(0.0, -0.06, -0.12, 0.0, 0.0, 0.0),
    )  # fmt: skip
    calibration.save(tmp_path / "test_wrist.json")
    content = json.loads((tmp_path / "test_wrist.json").read_text())
    (tmp_path / "test_wrist.json").write_text(json.dumps(content | {"date": "2026-01-01"}))
    config = make_config(tmp_path)
    config.cameras["wrist"] = FakeCameraConfig(width=64, height=48, fps=30, use_depth=True)
    with UR5TacTip(config) as robot:
        assert robot.wrist_calibration == calibration
    config.cameras["wrist"] = FakeCameraConfig(width=32, height=24, fps=30, use_depth=True)
    with pytest.raises(ValueError, match="64 x 48 pixels"):
        UR5TacTip(config).connect()


@pytest.mark.parametrize(
    "content", ["{", "[]", "{}", '{"width": 64, "height": 48}', '{"tcp_camera": [0, 0]}']
)
def test_a_file_that_is_no_calibration_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "wrist.json"
    path.write_text(content)
    with pytest.raises(ValueError, match="no calibration of a wrist camera"):
        WristCalibration.load(path)


# --- config ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"mode": "reel"}, "Available: dry_run, loopback, real"),
        ({"mode": "real"}, "needs host"),
        ({"mode": "real", "host": "127.0.0.2"}, "do not go together"),
        ({"mode": "loopback", "host": "192.168.0.7"}, "do not go together"),
        ({"model": "ur10"}, "Available: ur5, ur5e"),
        ({"gripper": GripperConfig(kind="robotiq_urcap")}, "dry run"),
        ({"stop_acceleration_m_s2": 0.1}, "stop_acceleration_m_s2"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(
    tmp_path: Path, settings: dict, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(make_config(tmp_path), **settings)


def test_the_workspace_holds_for_a_client_that_dies(tmp_path: Path) -> None:
    """Wherever the arm is, the twist that is let through may go on for 0.3 s: the oldest state's age and the watchdog's time."""
    config = make_config(tmp_path, half_m=0.01)
    limits, rng = UR5TacTip(config).limits, np.random.default_rng(0)
    low, high = np.array(limits.config.workspace_min_m), np.array(limits.config.workspace_max_m)
    T = kinematics.forward(limits.model, READY_RAD) @ limits.T_flange_tcp
    for _ in range(500):
        T[:3, 3] = rng.uniform(low, high)
        state = ArmState(
            stamp_s=0.0, q=np.array(READY_RAD), tcp=se3.to_rotvec_pose(T), wrench=np.zeros(6)
        )
        twist, _ = limits.accept(np.append(rng.uniform(-0.02, 0.02, 3), np.zeros(3)), state)
        after = T[:3, 3] + 0.3 * T[:3, :3] @ twist[:3]
        assert (after >= low - 1e-12).all() and (after <= high + 1e-12).all()
