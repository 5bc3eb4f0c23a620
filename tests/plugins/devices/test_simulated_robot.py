"""The simulated robot: the contract's keys, scenes by seed, exact replays, a wrist camera that the policy's code understands."""

import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lerobot.utils.errors import DeviceNotConnectedError

from gym_neuraltouch.perception import T_TCP_CAMERA
from lerobot_neuraltouch import features, se3
from lerobot_neuraltouch.pointcloud import CameraIntrinsics, deproject, object_cloud
from lerobot_robot_neuraltouch_sim import NeuralTouchSimConfig
from lerobot_robot_neuraltouch_sim.neuraltouch_sim import NeuralTouchSim

STILL = {**dict.fromkeys(features.ACTION_NAMES, 0.0), "gripper.pos": 0.06}
DOWN = {**STILL, "tcp_vz.vel": 0.02}


def make_robot(folder: Path, **settings: Any) -> NeuralTouchSim:
    settings = {"task": "RefineBottleHead", "object_index": 0, "noise": "off"} | settings
    return NeuralTouchSim(NeuralTouchSimConfig(calibration_dir=folder, **settings))


@pytest.fixture
def robot(tmp_path: Path) -> NeuralTouchSim:
    robot = make_robot(tmp_path)
    robot.connect()
    return robot


def pose(observation: dict[str, Any]) -> np.ndarray:
    return np.array([observation[name] for name in features.STATE_NAMES])


def test_features_are_known_before_the_robot_is_connected_and_kept(tmp_path: Path) -> None:
    robot = make_robot(tmp_path)
    promised = robot.observation_features
    assert list(promised)[:7] == list(features.STATE_NAMES)
    assert list(robot.action_features) == list(features.ACTION_NAMES)
    with pytest.raises(DeviceNotConnectedError):
        robot.get_observation()
    robot.connect()
    observation = robot.get_observation()
    assert list(observation) == list(promised)
    for name, kind in promised.items():
        value = observation[name]
        if isinstance(kind, tuple):
            assert value.shape == kind
            assert value.dtype == (np.uint16 if kind[2] == 1 else np.uint8)
        else:
            assert isinstance(value, float)


def test_a_step_moves_the_tcp_by_a_tenth_of_the_twist(robot: NeuralTouchSim) -> None:
    before = pose(robot.get_observation())
    for _ in range(20):
        sent = robot.send_action(DOWN)
    assert sent == {name: pytest.approx(value) for name, value in DOWN.items()}
    after = pose(robot.get_observation())
    approach = se3.from_rotvec_pose(before[:6])[:3, 2]
    # 20 steps at 20 mm/s, less the servo's lag at the start.
    assert (after[:3] - before[:3]) @ approach == pytest.approx(0.040, abs=0.001)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ({**STILL, "tcp_x.pos": 0.1}, "unknown: tcp_x.pos"),
        ({"gripper.pos": 0.06}, "missing: tcp_vx.vel"),
        ({**STILL, "tcp_vx.vel": float("nan")}, "NaN"),
    ],
)
def test_foreign_actions_are_refused(
    robot: NeuralTouchSim, action: dict[str, float], message: str
) -> None:
    """LeRobot's way back to the start sends observations as actions: they must not be taken for twists."""
    with pytest.raises(ValueError, match=message):
        robot.send_action(action)


def test_actions_beyond_the_limits_are_clipped_and_returned_so(robot: NeuralTouchSim) -> None:
    sent = robot.send_action({**STILL, "tcp_vx.vel": 1.0, "gripper.pos": -1.0})
    assert sent["tcp_vx.vel"] == pytest.approx(features.MAX_LINEAR_SPEED)
    assert sent["gripper.pos"] == pytest.approx(features.MIN_FINGER_DISTANCE)


def test_depth_is_a_picture_of_the_table_in_millimetres(robot: NeuralTouchSim) -> None:
    """Every background pixel, brought to base with the written calibration, lies on the table z = 0."""
    record = json.loads(robot.camera_path.read_text())
    intrinsics = CameraIntrinsics(*(record[k] for k in ("width", "height", "fx", "fy", "cx", "cy")))
    observation = robot.get_observation()
    T_base_tcp = se3.from_rotvec_pose(pose(observation)[:6])
    T_base_camera = T_base_tcp @ se3.from_rotvec_pose(np.array(record["tcp_camera"]))
    depth = observation["wrist_depth"][..., 0] * record["depth_unit_m"]
    border = np.ones(depth.shape, dtype=bool)
    border[20:-20, 20:-20] = False  # the object is in the middle
    points = se3.apply(T_base_camera, deproject(np.where(border, depth, 0.0), intrinsics))
    assert len(points) > 10_000
    np.testing.assert_allclose(points[:, 2], 0.0, atol=0.0006)  # rounding to whole millimetres
    cloud = object_cloud(depth, intrinsics, T_base_camera, np.random.default_rng(0))
    T_base_object = robot._running._piece.T_base_object
    inside = se3.apply(se3.inverse(T_base_object), cloud.astype(np.float64))
    low, high = robot._running._piece.item.mesh.bounds
    assert (inside > low - 0.001).all()
    assert (inside < high + 0.001).all()


def test_a_wrong_hand_eye_calibration_moves_the_cloud(tmp_path: Path) -> None:
    clouds = []
    for calibration in ("exact", "paper"):
        robot = make_robot(tmp_path, calibration=calibration)
        robot.connect()
        observation = robot.get_observation()
        T_base_camera = se3.from_rotvec_pose(pose(observation)[:6]) @ T_TCP_CAMERA
        record = json.loads(robot.camera_path.read_text())
        assert record["tcp_camera"][:3] == pytest.approx(T_TCP_CAMERA[:3, 3])
        intrinsics = CameraIntrinsics(320, 240, 307.0, 307.0, 159.5, 119.5)
        depth = observation["wrist_depth"][..., 0] * 0.001
        clouds.append(object_cloud(depth, intrinsics, T_base_camera, np.random.default_rng(0)))
        robot.disconnect()
    shift = np.linalg.norm(clouds[1].mean(axis=0) - clouds[0].mean(axis=0))
    assert 0.002 < shift < 0.05


def run_episode(robot: NeuralTouchSim, actions: list[dict[str, float]]) -> list[dict[str, Any]]:
    observations = [robot.get_observation()]
    for action in actions:
        robot.send_action(action)
        observations.append(robot.get_observation())
    return observations


def test_an_announced_episode_has_the_scene_of_its_number(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Episode 2 of a recording with seed 5 is episode 0 with seed 7, and its recorded actions lead through the same states."""
    caplog.set_level(logging.INFO)
    rng = np.random.default_rng(0)
    twists = rng.uniform(-0.02, 0.02, (10, 3))
    actions = [
        {**STILL, **dict(zip(features.ACTION_NAMES[:3], t.tolist(), strict=True))} for t in twists
    ]
    recorder = make_robot(tmp_path, seed=5, noise="nominal")
    recorder.connect()
    recorder.send_action(DOWN)
    logging.info("Recording episode 2")
    recorded = run_episode(recorder, actions)
    recorder.disconnect()
    player = make_robot(tmp_path, seed=7, noise="nominal")
    player.connect()
    stored = [{k: float(np.float32(v)) for k, v in action.items()} for action in actions]
    for ours, theirs in zip(run_episode(player, stored), recorded, strict=True):
        for name, value in theirs.items():
            np.testing.assert_array_equal(ours[name], value)


def test_nothing_restarts_a_robot_that_was_told_never_to(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    robot = make_robot(tmp_path, restart="never")
    robot.connect()
    robot.send_action(DOWN)
    before = pose(robot.get_observation())
    logging.info("Recording episode 1")
    np.testing.assert_array_equal(pose(robot.get_observation()), before)


def test_each_episode_is_reported(tmp_path: Path) -> None:
    report = tmp_path / "out" / "report.jsonl"
    robot = make_robot(tmp_path, report=report, seed=1)
    robot.connect()
    robot.send_action(STILL)
    robot.begin_episode(4)
    robot.send_action(STILL)
    robot.send_action(STILL)
    robot.disconnect()
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    assert [(line["episode"], line["seed"], line["steps"]) for line in lines] == [
        (0, 1, 1),
        (4, 5, 2),
    ]
    assert not any(line["is_success"] for line in lines)
    assert all(line["pos_error_m"] > 0.05 for line in lines)  # still at the stand-off pose


def test_an_arm_carries_the_gripper_too(tmp_path: Path) -> None:
    robot = make_robot(tmp_path, robot="ur5e")
    robot.connect()
    before = pose(robot.get_observation())
    for _ in range(5):
        robot.send_action(DOWN)
    assert np.linalg.norm(pose(robot.get_observation())[:3] - before[:3]) > 0.005


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"task": "RefineTeapot"}, "RefineBottleHead"),
        ({"restart": "always"}, "announced, never"),
        ({"image_size": 4}, "at least 8"),
    ],
)
def test_settings_that_name_nothing_are_refused(
    tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make_robot(tmp_path, **settings)


@pytest.mark.parametrize("setting", ["robot", "start", "split", "noise", "calibration"])
def test_settings_that_the_simulation_refuses_leave_it_unconnected(
    tmp_path: Path, setting: str
) -> None:
    robot = make_robot(tmp_path, **{setting: "nonsense"})
    with pytest.raises(ValueError, match="nonsense"):
        robot.connect()
    assert not robot.is_connected


@pytest.mark.slow
def test_the_plugins_settings_need_no_simulator() -> None:
    """LeRobot imports every plugin for every command: only the one that is used may be expensive."""
    code = (
        "import lerobot_robot_neuraltouch_sim, lerobot_camera_tactip, lerobot_teleoperator_neuraltouch, sys;"
        "print(*({'mujoco', 'open3d', 'pygame', 'gym_neuraltouch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
