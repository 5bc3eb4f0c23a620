"""ur_rtde's own clients, unmodified, against controllers of both generations: they connect, read, and move the arm.

Times are the controller's, in control steps: a busy machine makes them late but not wrong.
"""

import math
import socket
import struct
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest
from numpy.testing import assert_allclose

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.kinematics import forward, get_arm, inverse
from lerobot_robot_ur5_tactip.loopback import LoopbackController, LoopbackThread, Record
from lerobot_robot_ur5_tactip.loopback.config import RTDE_PORT
from lerobot_robot_ur5_tactip.loopback.rtde_protocol import PacketType, pack, unpack_stream

TOOL = [0.01, -0.02, 0.15, 0.1, 0.2, -0.3]
Wait = Callable[[Callable[[], Any], str], Any]
both = pytest.mark.parametrize("model", ["ur5e", "ur5"])
"""Tests for both generations in the fast run too."""


def steps_of(arm: LoopbackController, *kinds: str) -> list[Record]:
    return [r for r in arm.records("step") if r.kind in kinds]


def stream(command: Callable[[], bool], seconds: float, receive: Any) -> None:
    """Repeat a command at about 100 Hz for a time of the controller's clock."""
    end = receive.getTimestamp() + seconds
    while receive.getTimestamp() < end:
        assert command()
        time.sleep(0.01)


def turned(pose: list[float], way: list[float]) -> list[float]:
    """A pose moved along a twist of its own frame."""
    return se3.to_rotvec_pose(se3.from_rotvec_pose(pose) @ se3.exp(np.array(way))).tolist()


def distance(pose: list[float], other: list[float]) -> np.ndarray:
    return se3.log(se3.inverse(se3.from_rotvec_pose(pose)) @ se3.from_rotvec_pose(other))


# --- reading ---------------------------------------------------------------------------------------------------------


@both
def test_receive_shows_the_arm(bench: SimpleNamespace) -> None:
    arm, receive = bench.arm, bench.receive
    joints = np.array([0.3, -1.4, 1.7, -1.8, -1.4, 0.5])
    arm.set_joints(joints.tolist())
    arm.set_wrench([1, 2, 3, 0.1, 0.2, 0.3])
    state = arm.state
    while receive.getTimestamp() < state.time_s + 0.05:
        time.sleep(0.01)
    assert_allclose(receive.getActualQ(), joints)
    assert_allclose(receive.getActualTCPPose(), state.tcp_pose)
    expected = forward(get_arm(arm.config.model), joints)
    assert_allclose(se3.from_rotvec_pose(receive.getActualTCPPose()), expected, atol=1e-12)
    assert receive.getActualTCPForce() == [1, 2, 3, 0.1, 0.2, 0.3]
    assert (receive.getRobotMode(), receive.getSafetyMode()) == (7, 1)
    assert not receive.isProtectiveStopped() and not receive.isEmergencyStopped()


@both
@pytest.mark.parametrize("share", [1, 4])
def test_states_come_at_the_rate_that_was_asked_for(
    arm: LoopbackController, clients: SimpleNamespace, wait_for: Wait, share: int
) -> None:
    """The controller's clock moves from state to state by 2 or 8 ms, or by four times that."""
    rate_hz = arm.config.generation.rate_hz / share
    receive, seen = clients.receive(rate_hz), set[float]()

    def has_seen_two_in_a_row() -> bool:
        for _ in range(1000):
            seen.add(receive.getTimestamp())
        return len(seen) > 5 and np.diff(sorted(seen)).min() * rate_hz < 1.5

    wait_for(has_seen_two_in_a_row, "two states in a row")
    intervals = np.diff(sorted(seen)) * rate_hz
    assert_allclose(
        intervals, np.round(intervals), atol=1e-6
    )  # states may be missed, never between


@both
def test_no_state_is_left_out(arm: LoopbackController) -> None:
    """A client that reads everything gets every control step, whatever the machine is doing."""
    with socket.create_connection((arm.config.host, RTDE_PORT)) as client:
        rate_hz = arm.config.generation.rate_hz
        client.sendall(pack(PacketType.VERSION, b"\0\2"))
        client.sendall(pack(PacketType.SETUP_OUTPUTS, struct.pack(">d", rate_hz) + b"timestamp"))
        client.sendall(pack(PacketType.START))
        buffer, packets = bytearray(), []
        while len(packets) < 63:
            buffer += client.recv(4096)
            packets += unpack_stream(buffer)
    assert packets[:3] == [(ord("V"), b"\1"), (ord("O"), b"\1DOUBLE"), (ord("S"), b"\1")]
    times = [struct.unpack(">Bd", payload)[1] for _, payload in packets[3:]]
    assert_allclose(np.diff(times) * rate_hz, 1.0)


def test_a_version_without_some_variables_serves_the_client_too(
    arm: LoopbackController, clients: SimpleNamespace
) -> None:
    version = {"ur5e": "5.4.0", "ur5": "3.10.0"}[arm.config.model]
    arm.reset(version=version)
    assert clients.receive().getRobotMode() == 7
    assert clients.control().isConnected()
    dashboard = clients.dashboard()
    assert dashboard.polyscopeVersion().startswith(version)
    assert not dashboard.isInRemoteControl()  # did not exist yet


# --- settings and questions ------------------------------------------------------------------------------------------


def test_tcp_and_payload_are_set_and_shown(bench: SimpleNamespace) -> None:
    arm, control, receive = bench.arm, bench.control, bench.receive
    assert control.setTcp(TOOL) and control.setPayload(1.1, [0.0, 0.01, 0.06])
    assert_allclose(control.getTCPOffset(), TOOL, atol=1e-12)
    assert_allclose(arm.state.tcp_offset, TOOL, atol=1e-12)
    assert (arm.state.payload_kg, arm.state.payload_cog_m) == (1.1, (0.0, 0.01, 0.06))
    assert receive.getPayload() == 1.1


def test_kinematics_are_ours(bench: SimpleNamespace) -> None:
    arm, control, receive = bench.arm, bench.control, bench.receive
    model, joints = get_arm(arm.config.model), [0.2, -1.3, 1.6, -1.9, -1.5, 0.4]
    assert control.setTcp(TOOL)
    T_flange_tcp = se3.from_rotvec_pose(TOOL)
    # An offset of all zeros makes the client forget to send it, so it is not quite zero.
    flange = control.getForwardKinematics(joints, [0, 0, 0, 0, 0, 1e-9])
    assert_allclose(se3.from_rotvec_pose(flange), forward(model, joints), atol=1e-8)
    tcp = control.getForwardKinematics(joints, TOOL)
    assert_allclose(se3.from_rotvec_pose(tcp), forward(model, joints) @ T_flange_tcp, atol=1e-12)
    assert_allclose(control.getInverseKinematics(tcp, joints), joints, atol=1e-9)
    found = control.getInverseKinematics(tcp)
    every = inverse(model, forward(model, joints), receive.getActualQ())
    assert_allclose(found, every.q[0], atol=1e-9)
    assert control.isPoseWithinSafetyLimits(tcp)
    assert not control.isPoseWithinSafetyLimits([2.0, 0, 0, 0, 0, 0])
    assert not control.isJointsWithinSafetyLimits([0, 0, 4.0, 0, 0, 0])
    assert control.getInverseKinematicsHasSolution(tcp)
    moved = se3.from_rotvec_pose(tcp) @ T_flange_tcp
    assert_allclose(se3.from_rotvec_pose(control.poseTrans(tcp, TOOL)), moved, atol=1e-9)


def test_forward_kinematics_without_an_offset_reads_what_another_command_left(
    bench: SimpleNamespace,
) -> None:
    """A fault of the client's program that plugins must know: millimetres to metres off after another command."""
    control = bench.control
    joints = [0.2, -1.3, 1.6, -1.9, -1.5, 0.4]
    right = control.getForwardKinematics(joints, [0, 0, 0, 0, 0, 1e-9])
    control.getInverseKinematics(right, joints)
    wrong = control.getForwardKinematics(joints, [0.0] * 6)
    assert math.dist(wrong[:3], right[:3]) > 0.1


# --- motion ----------------------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("direction", [(1.0, 0.0, 0.0), (0.0, -0.6, 0.8)], ids=["x", "yz"])
def test_speedl_moves_the_tcp_where_and_as_far_as_it_says(
    bench: SimpleNamespace, direction: tuple[float, float, float]
) -> None:
    """v t - v^2 / 2a while it streams, and v^2 / 2b for the stop; within 5 % and 1 degree."""
    arm, control, receive = bench.arm, bench.control, bench.receive
    assert control.setTcp(TOOL)
    speed, acceleration, deceleration = 0.05, 0.5, 2.0
    start = np.array(arm.state.tcp_pose)
    twist = [*(speed * x for x in direction), 0.0, 0.0, 0.0]
    stream(lambda: control.speedL(twist, acceleration), 0.5, receive)
    assert control.speedStop(deceleration)
    moved = np.array(arm.state.tcp_pose) - start
    seconds = len(steps_of(arm, "speedl")) * arm.config.period_s
    expected = speed * seconds - speed**2 / 2 / acceleration + speed**2 / 2 / deceleration
    length = float(np.linalg.norm(moved[:3]))
    assert seconds >= 0.4 and abs(length / expected - 1) < 0.05
    assert moved[:3] @ direction / length > math.cos(math.radians(1))
    assert_allclose(moved[3:], 0, atol=1e-3)
    assert max(r.speed for r in arm.log) < speed * 1.001
    assert arm.state.motion == "idle" and arm.log[-1].speed == 0


def test_speedl_turns_the_tcp_in_the_base_frame(bench: SimpleNamespace) -> None:
    arm, control, receive = bench.arm, bench.control, bench.receive
    assert control.setTcp(TOOL)
    before = se3.from_rotvec_pose(np.array(arm.state.tcp_pose))
    stream(lambda: control.speedL([0, 0, 0, 0, 0.3, 0], 2.0), 0.4, receive)
    assert control.speedStop(2.0)
    after = se3.from_rotvec_pose(np.array(arm.state.tcp_pose))
    turn = se3.log(se3.transform(after[:3, :3] @ before[:3, :3].T))[3:]
    assert turn[1] > 0.08 and np.abs(turn[[0, 2]]).max() < 0.01 * turn[1]
    assert np.linalg.norm(after[:3, 3] - before[:3, 3]) < 1e-3


def test_all_twists_that_were_sent_are_in_the_log(bench: SimpleNamespace) -> None:
    arm, control = bench.arm, bench.control
    sent = [[0.001 * i, 0.0, -0.001 * i, 0.0, 0.01, 0.0] for i in range(30)]
    for twist in sent:
        assert control.speedL(twist, 0.3)
    assert control.speedStop()
    commands = arm.records("command")
    received = [r for r in commands if r.kind == "speedl"]
    assert_allclose([r.twist for r in received], sent)
    assert_allclose([r.values for r in received], [[*twist, 0.3, 0.0] for twist in sent])
    assert [r.kind for r in commands if r.kind != "dashboard"][-1] == "speed_stop"


@both
def test_movej_and_movel_arrive(bench: SimpleNamespace) -> None:
    arm, control = bench.arm, bench.control
    assert control.setTcp(TOOL)
    joints = [a + b for a, b in zip(arm.state.joints, [0.3, 0.1, -0.1, 0.2, 0, -0.2], strict=True)]
    assert control.moveJ(joints, 2.0, 10.0)
    assert_allclose(arm.state.joints, joints, atol=1e-9)
    target = turned(list(arm.state.tcp_pose), [0.02, 0.0, -0.03, 0.0, 0.1, 0.05])
    assert control.moveL(target, 0.5, 4.0)
    assert_allclose(distance(list(arm.state.tcp_pose), target), 0, atol=1e-5)
    assert arm.state.motion == "idle"
    assert control.moveJ_IK(target, 2.0, 10.0) and control.moveL_FK(joints, 0.5, 4.0)
    assert_allclose(arm.state.joints, joints, atol=1e-4)


def test_an_asynchronous_move_can_be_stopped(bench: SimpleNamespace, wait_for: Wait) -> None:
    arm, control, receive = bench.arm, bench.control, bench.receive
    joints = list(arm.state.joints)
    joints[0] += 1.5
    assert control.moveJ(joints, 0.5, 2.0, True)
    wait_for(lambda: receive.getActualQd()[0] > 0.2, "the move has begun")
    assert control.getAsyncOperationProgress() >= 0
    control.stopJ(5.0)
    state = arm.state
    assert state.motion == "idle" and 0 < state.joints[0] < joints[0] - 0.5
    wait_for(lambda: control.getAsyncOperationProgress() < 0, "the operation is over")
    assert control.isSteady()


@pytest.mark.parametrize("command", ["servoL", "servoJ"])
def test_servo_follows_its_targets(bench: SimpleNamespace, wait_for: Wait, command: str) -> None:
    arm, control, receive = bench.arm, bench.control, bench.receive
    state = arm.state
    if command == "servoL":
        target = turned(list(state.tcp_pose), [0.02, 0.01, -0.02, 0.0, 0.0, 0.1])
        reached = lambda: np.abs(distance(list(arm.state.tcp_pose), target)).max() < 1e-4  # noqa: E731
    else:
        target = [a + 0.05 for a in state.joints]
        reached = lambda: np.allclose(arm.state.joints, target, atol=1e-4)  # noqa: E731
    servo = getattr(control, command)
    stream(lambda: servo(target, 0.5, 0.5, 0.002, 0.05, 300), 0.3, receive)
    wait_for(reached, "the target")
    assert control.servoStop()
    assert arm.state.motion == "idle"
    kinds = {r.kind for r in arm.records("command")}
    assert command.lower() in kinds and steps_of(arm, command.lower())


def test_the_stop_of_a_script_stops_the_arm(
    arm: LoopbackController, clients: SimpleNamespace, wait_for: Wait
) -> None:
    control, receive = clients.control(), clients.receive()
    stream(lambda: control.speedL([0.05, 0, 0, 0, 0, 0], 1.0), 0.1, receive)
    control.stopScript()
    assert arm.state.program == "stopped"
    wait_for(lambda: arm.state.motion == "idle", "the arm stands")
    assert not control.speedL([0.05, 0, 0, 0, 0, 0], 1.0)


def test_a_new_client_replaces_the_program_that_runs(
    arm: LoopbackController, clients: SimpleNamespace
) -> None:
    receive, first = clients.receive(), clients.control()
    stream(lambda: first.speedL([0.02, 0, 0, 0, 0, 0], 1.0), 0.1, receive)
    first.disconnect()
    assert arm.state.motion == "speedl"  # nobody told it to stop
    second = clients.control()
    assert arm.state.program == "playing" and arm.state.motion != "speedl"
    assert second.moveJ(list(arm.state.joints), 1.0, 1.0)


def test_zeroing_the_sensor_takes_off_what_acts_now(bench: SimpleNamespace, wait_for: Wait) -> None:
    arm, control, receive = bench.arm, bench.control, bench.receive
    arm.set_wrench([0, 0, -5.0, 0, 0, 0])
    wait_for(lambda: receive.getActualTCPForce()[2] == -5.0, "the wrench")
    assert control.zeroFtSensor()
    wait_for(lambda: receive.getActualTCPForce()[2] == 0.0, "the zero")
    arm.set_wrench([0, 0, -7.0, 0, 0, 0])
    wait_for(lambda: receive.getActualTCPForce()[2] == -2.0, "the difference")


# --- outputs and dashboard -------------------------------------------------------------------------------------------


def test_outputs_and_the_speed_slider_are_set(
    arm: LoopbackController, clients: SimpleNamespace, wait_for: Wait
) -> None:
    receive, io = clients.receive(), clients.io()
    assert io.setStandardDigitalOut(3, True) and io.setToolDigitalOut(1, True)
    assert io.setConfigurableDigitalOut(0, True) and io.setStandardDigitalOut(2, True)
    assert io.setStandardDigitalOut(3, False) and io.setSpeedSlider(0.4)
    expected = 1 << 2 | 1 << 8 | 1 << 17
    wait_for(lambda: arm.state.digital_outputs == expected, "the outputs")
    wait_for(lambda: receive.getDigitalOutState(2), "the client sees them")
    wait_for(lambda: receive.getTargetSpeedFraction() == 0.4, "the slider")
    assert not receive.getDigitalOutState(3) and arm.state.speed_fraction == 0.4


def test_the_dashboard_answers_as_its_client_expects(
    arm: LoopbackController, clients: SimpleNamespace, wait_for: Wait
) -> None:
    control, dashboard = clients.control(), clients.dashboard()
    assert dashboard.robotmode() == "Robotmode: RUNNING"
    assert dashboard.safetystatus() == "Safetystatus: NORMAL"
    assert dashboard.running() and dashboard.programState() == "PLAYING rtde_control"
    if arm.config.model == "ur5e":
        assert dashboard.getSerialNumber().isdigit() and dashboard.isInRemoteControl()
    dashboard.pause()
    assert arm.state.program == "paused"
    wait_for(lambda: not control.isProgramRunning(), "the client sees the pause")
    dashboard.play()
    assert arm.state.program == "playing"
    dashboard.stop()
    assert arm.state.program == "stopped" and not dashboard.running()
    with pytest.raises(RuntimeError, match="Failed to execute: play"):
        dashboard.play()
    dashboard.powerOff()
    assert arm.state.robot_mode == "POWER_OFF"
    dashboard.powerOn()
    dashboard.brakeRelease()
    assert arm.state.robot_mode == "RUNNING"
    dashboard.popup("hello")
    dashboard.closePopup()
    dashboard.closeSafetyPopup()
    with pytest.raises(RuntimeError, match="File not found"):
        dashboard.loadURP("nothing.urp")


# --- several arms ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("model", ["ur5e"])
def test_two_arms_stand_side_by_side_and_leave_nothing_behind(
    arm: LoopbackController, clients: SimpleNamespace
) -> None:
    host = f"{arm.config.host.rpartition('.')[0]}.254"
    with LoopbackController(host=host, model="ur5") as second:
        pid = second.pid
        arm.set_joints([a + 0.1 for a in arm.config.joints])
        assert clients.receive().getRobotMode() == 7
        assert_allclose(second.state.joints, second.config.joints)
        with pytest.raises(OSError, match="Cannot listen on"), LoopbackThread(host=host):
            pass
    assert pid is not None and not psutil.pid_exists(pid)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, RTDE_PORT))
    with pytest.raises(RuntimeError, match="not running"):
        second.state  # noqa: B018
