"""The robot against a loopback controller: what reaches it, read in its own log. No claim about real hardware."""

import socket
import time
from pathlib import Path

import numpy as np
import pytest

from lerobot_neuraltouch import se3
from lerobot_robot_ur5_tactip.errors import (
    GripperError,
    LinkError,
    NotReadyError,
    ProgramStoppedError,
)
from lerobot_robot_ur5_tactip.gripper import GripperConfig
from lerobot_robot_ur5_tactip.loopback import LoopbackController, Record
from lerobot_robot_ur5_tactip.motion_loop import LoopConfig
from lerobot_robot_ur5_tactip.ur5_tactip import UR5TacTip
from tests.plugins.ur5.conftest import HOST, Connect
from tests.plugins.ur5.robots import TCP, action, activate_gripper, make_config, wait_for

pytest.importorskip("rtde_control")


@pytest.fixture
def connect(connect: Connect) -> Connect:
    """With patience: on a busy machine the loopback's clock stands still now and then."""
    return lambda **settings: connect(**({"loop": LoopConfig(state_max_age_s=0.5)} | settings))


def twists(controller: LoopbackController) -> list[Record]:
    return [r for r in controller.log if r.source == "command" and r.kind == "speedl"]


def test_connecting_sets_the_tool_and_moves_nothing(
    controller: LoopbackController, connect: Connect
) -> None:
    robot = connect()
    state = controller.state
    np.testing.assert_allclose(state.tcp_offset, TCP)
    assert state.payload_kg == pytest.approx(1.2)
    assert state.program == "playing"
    assert state.watchdog_hz == pytest.approx(5.0)
    assert not [r for r in controller.log if r.kind in ("speedl", "movej", "movel", "servoj")]
    assert max(r.speed for r in controller.log) == 0.0
    robot.disconnect()
    assert controller.state.program == "stopped"


def test_twists_move_the_tool_for_as_long_as_they_come(
    controller: LoopbackController, connect: Connect
) -> None:
    robot = connect()
    start = robot.get_observation()["tcp_z.pos"]

    def lower() -> bool:
        """Far beyond the cap, until the tcp is 3 mm lower."""
        executed = robot.send_action(action(0.0, 0.0, 0.5))
        assert executed["tcp_vz.vel"] == pytest.approx(0.02)
        return start - robot.get_observation()["tcp_z.pos"] > 3e-3

    wait_for(lower)
    assert controller.state.watchdog_hz == pytest.approx(5.0)
    wait_for(lambda: np.abs(controller.state.twist).max() < 1e-4)  # the deadline
    robot.disconnect()
    sent = np.array([r.twist for r in twists(controller)])
    assert np.linalg.norm(sent[:, :3], axis=1).max() < 0.02 + 1e-9
    # The tool points down: its z is -z of base at every tick.
    moving = sent[np.linalg.norm(sent[:, :3], axis=1) > 1e-3]
    np.testing.assert_allclose(moving[:, :2], 0.0, atol=1e-4)
    assert (moving[:, 2] < 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("model", ["ur5e", "ur5"])
def test_a_thousand_random_actions_never_command_beyond_the_limits(
    controller: LoopbackController, connect: Connect, model: str
) -> None:
    """Each held for a while. A busy machine may stop the robot in between, which then goes on from where it stands."""
    controller.reset(model=model, log_s=900.0)
    robot = connect(model=model, half_m=0.008, limits={"max_tilt_rad": 0.2})
    rng, num_sent, num_clipped = np.random.default_rng(0), 0, 0
    while num_sent < 1000:
        scale = rng.choice([1.0, 10.0]) * np.repeat([0.02, 0.17], 3)
        try:
            robot.send_action(action(*(scale * rng.uniform(-1, 1, 6)).tolist()))
        except (LinkError, ProgramStoppedError):
            num_clipped += robot.clipped.total()
            robot.disconnect()
            robot.connect()
            continue
        num_sent += 1
        time.sleep(float(rng.choice([0.02, 0.1, 0.4], p=[0.2, 0.7, 0.1])))
    num_clipped += robot.clipped.total()
    limits = robot.config.limits
    robot.disconnect()
    sent = np.array([r.twist for r in twists(controller)])
    assert np.linalg.norm(sent[:, :3], axis=1).max() <= limits.max_linear_speed_m_s + 1e-9
    assert np.linalg.norm(sent[:, 3:], axis=1).max() <= limits.max_angular_speed_rad_s + 1e-9
    steps = [r for r in controller.log if r.source == "step" and r.kind == "speedl"]
    poses = np.array([r.tcp_pose for r in steps])
    assert (poses[:, :3] > np.array(limits.workspace_min_m) - 1e-4).all()
    assert (poses[:, :3] < np.array(limits.workspace_max_m) + 1e-4).all()
    approach = se3.from_rotvec_pose(poses)[:, :3, 2]
    assert np.arccos(np.clip(-approach[:, 2], -1, 1)).max() < limits.max_tilt_rad + 2e-3
    assert num_clipped > 400


def test_gripper_follows_through_its_own_thread(
    controller: LoopbackController, connect: Connect
) -> None:
    gripper = GripperConfig(kind="robotiq_urcap", min_distance_m=0.02)
    with pytest.raises(GripperError, match="never activated from here"):
        connect(gripper=gripper)
    activate_gripper(HOST)
    robot = connect(gripper=gripper)
    executed = robot.send_action(action(distance=0.0))
    assert executed["gripper.pos"] == 0.02
    wait_for(lambda: controller.state.gripper_position == robot._gripper.to_raw(0.02))
    wait_for(lambda: robot.get_observation()["gripper.pos"] == pytest.approx(0.02, abs=5e-4))


# --- what is refused when connecting ---------------------------------------------------------------------------------


def refused(robot: UR5TacTip, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        robot.connect()
    assert not robot.is_connected


def test_a_controller_that_is_not_ready_is_refused_with_the_remedy(
    controller: LoopbackController, tmp_path: Path
) -> None:
    robot = UR5TacTip(make_config(tmp_path, mode="loopback", host=HOST))
    controller.fault("local_control")
    refused(robot, LinkError, "Switch the pendant to remote control")
    controller.clear("local_control")
    controller.fault("registers_in_use", upper=False)
    refused(robot, LinkError, "use_upper_registers")
    controller.clear("registers_in_use")
    controller.fault("emergency_stop")
    refused(robot, Exception, "Emergency stop")


def test_the_wrong_model_is_noticed(controller: LoopbackController, tmp_path: Path) -> None:
    """A UR5's tcp lies 70 mm from a UR5e's at the same joint angles."""
    settings = make_config(tmp_path, mode="loopback", host=HOST, model="ur5", half_m=0.2)
    refused(UR5TacTip(settings), NotReadyError, "check model and tcp")


def test_a_second_client_is_refused(
    controller: LoopbackController, connect: Connect, tmp_path: Path
) -> None:
    connect()
    robot = UR5TacTip(make_config(tmp_path, mode="loopback", host=HOST))
    refused(robot, NotReadyError, "A program is running")


def test_no_controller_is_one_clear_error(tmp_path: Path) -> None:
    robot = UR5TacTip(make_config(tmp_path, mode="loopback", host="127.0.5.99"))
    refused(robot, LinkError, "No state stream from a controller at 127.0.5.99:30004")


def test_a_controller_that_accepts_and_says_nothing_is_one_clear_error(tmp_path: Path) -> None:
    """ur-rtde itself would wait for it without end."""
    robot = UR5TacTip(make_config(tmp_path, mode="loopback", host="127.0.5.98"))
    with socket.create_server(("127.0.5.98", 30004)):
        refused(
            robot, LinkError, "No state stream from a controller at 127.0.5.98:30004 .timed out"
        )


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["dropped_tcp", "dropped_control"])
def test_a_link_lost_before_the_first_action_leaves_nothing_behind(
    controller: LoopbackController, connect: Connect, fault: str
) -> None:
    """An idle client is heard of for longer than the watchdog waits; once it is not, its program ends and the next may start."""
    robot = connect()
    time.sleep(1.0)
    assert controller.state.program == "playing"
    controller.fault(fault)
    wait_for(lambda: controller.state.program == "stopped")
    assert any(r.kind == "watchdog_tripped" for r in controller.log)
    controller.clear(fault)
    robot.disconnect()
    robot.connect()
    robot.send_action(action(0.0, 0.0, 0.01))
    wait_for(lambda: np.abs(controller.state.twist).max() > 0.005)


def test_gripper_that_is_missing_is_one_clear_error(
    controller: LoopbackController, tmp_path: Path
) -> None:
    controller.reset(gripper=False)
    gripper = GripperConfig(kind="robotiq_urcap")
    robot = UR5TacTip(make_config(tmp_path, mode="loopback", host=HOST, gripper=gripper))
    refused(robot, GripperError, "gripper.kind to none")
