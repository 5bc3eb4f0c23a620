"""Each fault, as ur_rtde's unmodified clients see it."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from lerobot_robot_ur5_tactip.loopback import FAULTS, LoopbackController, LoopbackThread, Record

pytestmark = pytest.mark.slow  # in real time, with clients in processes of their own

Wait = Callable[[Callable[[], Any], str], Any]
TWIST = [0.05, 0.0, 0.0, 0.0, 0.0, 0.0]
UPPER_RANGE_REGISTERS, UPLOAD_SCRIPT = 8, 1


def start_moving(control: Any, arm: LoopbackController, wait_for: Wait) -> None:
    assert control.speedL(TWIST, 1.0)
    wait_for(lambda: arm.state.twist[0] > 0.04, "the arm moves")


def steps_after(arm: LoopbackController, kind: str) -> list[Record]:
    """Control steps behind the last event of a kind."""
    log = arm.log
    last = max(i for i, r in enumerate(log) if (r.source, r.kind) == ("event", kind))
    return [r for r in log[last:] if r.source == "step"]


def seconds_to_stand(steps: list[Record], arm: LoopbackController) -> float:
    """How long the arm went on moving, by the controller's clock [s]; all later steps must be still."""
    moving = [i for i, r in enumerate(steps) if any(r.joint_speeds)]
    last = moving[-1] + 1 if moving else 0
    assert last < len(steps), "the arm still moves"
    return last * arm.config.period_s


CLIENT = """
import sys, time, rtde_control
control = rtde_control.RTDEControlInterface(sys.argv[1])
if float(sys.argv[2]):
    assert control.setWatchdog(float(sys.argv[2]))
"""
IDLE_CLIENT = CLIENT + "time.sleep(1000)"
UPLOADING_ONCE_CLIENT = """
import sys, time, rtde_control
control = rtde_control.RTDEControlInterface(sys.argv[1], flags=16)  # FLAG_NO_WAIT
control.reuploadScript()
while not control.isProgramRunning(): time.sleep(0.01)
assert control.setWatchdog(float(sys.argv[2]))
while True: time.sleep(0.1); control.kickWatchdog()
"""
MOVING_CLIENT = CLIENT + "while control.speedL([0.1, 0, 0, 0, 0, 0], 1.0): time.sleep(0.01)"
StartClient = Callable[[str, float], "subprocess.Popen[bytes]"]
MovingClient = Callable[[float], "subprocess.Popen[bytes]"]


@pytest.fixture
def start_client(arm: LoopbackController) -> Iterator[StartClient]:
    """Start a client in a process of its own, with a watchdog [Hz] unless it is zero."""
    pytest.importorskip("rtde_control")
    started: list[subprocess.Popen[bytes]] = []

    def start(code: str, watchdog_hz: float) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-c", code, arm.config.host, str(watchdog_hz)]
        started.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))
        return started[-1]

    yield start
    for client in started:
        client.kill()
        client.wait()


@pytest.fixture
def moving_client(
    arm: LoopbackController, wait_for: Wait, start_client: StartClient
) -> MovingClient:
    """Start a client that moves the arm at 0.1 m/s."""

    def start(watchdog_hz: float) -> "subprocess.Popen[bytes]":
        client = start_client(MOVING_CLIENT, watchdog_hz)
        wait_for(lambda: arm.state.twist[0] > 0.09, "the client moves the arm")
        return client

    return start


# --- protective stop -------------------------------------------------------------------------------------------------


def test_a_protective_stop_stops_the_arm_and_refuses_commands(
    arm: LoopbackController, clients: SimpleNamespace, wait_for: Wait
) -> None:
    receive, control, dashboard = clients.receive(), clients.control(), clients.dashboard()
    start_moving(control, arm, wait_for)
    arm.fault("protective_stop")
    wait_for(receive.isProtectiveStopped, "the client sees it")
    assert receive.getSafetyMode() == 3 and dashboard.safetystatus().endswith("PROTECTIVE_STOP")
    assert arm.state.program == "paused"
    wait_for(lambda: not control.isProgramRunning(), "the client sees the pause")
    assert control.speedL(TWIST, 1.0) is False
    wait_for(lambda: arm.state.motion == "stopj" and not any(arm.state.joint_speeds), "it stands")
    assert seconds_to_stand(steps_after(arm, "protective_stop"), arm) < 0.1
    with pytest.raises(RuntimeError, match="until 5s after occurrence"):
        dashboard.unlockProtectiveStop()
    assert receive.isProtectiveStopped()


def test_the_way_back_from_a_protective_stop(
    arm: LoopbackController, clients: SimpleNamespace, wait_for: Wait
) -> None:
    """Stop the program, unlock, connect anew. Until then the old control client gets nowhere."""
    arm.reset(unlock_after_s=0.0)
    control, dashboard = clients.control(), clients.dashboard()
    start_moving(control, arm, wait_for)
    control.triggerProtectiveStop()
    wait_for(lambda: arm.state.safety_mode == "PROTECTIVE_STOP", "the stop")
    wait_for(lambda: not any(arm.state.joint_speeds), "it stands")
    dashboard.stop()
    dashboard.unlockProtectiveStop()
    assert arm.state.safety_mode == "NORMAL" and arm.state.program == "stopped"
    wait_for(lambda: control.speedL(TWIST, 1.0) is False, "no program, no motion")
    assert not any(arm.state.joint_speeds)
    control.disconnect()
    fresh = clients.control()
    joints = [a + 0.05 for a in arm.state.joints]
    assert fresh.moveJ(joints, 1.0, 5.0)


@pytest.mark.slow
def test_unlocking_and_playing_goes_on_with_the_motion(
    arm: LoopbackController, clients: SimpleNamespace, wait_for: Wait
) -> None:
    """The hazard of not stopping the program first, after the real five seconds."""
    control, dashboard = clients.control(), clients.dashboard()
    start_moving(control, arm, wait_for)
    arm.fault("protective_stop")
    stopped = time.monotonic()
    wait_for(lambda: not any(arm.state.joint_speeds), "it stands")
    time.sleep(max(0.0, stopped + 5.0 - time.monotonic()))
    dashboard.unlockProtectiveStop()
    assert not any(arm.state.joint_speeds)
    dashboard.play()
    wait_for(lambda: arm.state.twist[0] > 0.04, "it moves again, unasked")


# --- emergency stop --------------------------------------------------------------------------------------------------


def test_an_emergency_stop_ends_the_program_and_the_power(
    arm: LoopbackController, clients: SimpleNamespace, wait_for: Wait
) -> None:
    receive, control, dashboard = clients.receive(), clients.control(), clients.dashboard()
    start_moving(control, arm, wait_for)
    arm.fault("emergency_stop")
    wait_for(receive.isEmergencyStopped, "the client sees it")
    assert (receive.getRobotMode(), receive.getSafetyMode()) == (3, 7)
    wait_for(lambda: not control.isProgramRunning(), "the program is over")
    assert control.speedL(TWIST, 1.0) is False
    wait_for(lambda: not any(arm.state.joint_speeds), "it stands")
    dashboard.powerOn()
    assert arm.state.robot_mode == "POWER_OFF"  # the button is still pressed
    arm.clear("emergency_stop")
    dashboard.powerOn()
    dashboard.brakeRelease()
    wait_for(lambda: receive.getRobotMode() == 7, "running")
    control.disconnect()
    assert clients.control().isProgramRunning()


# --- streams and links -----------------------------------------------------------------------------------------------


def test_a_frozen_stream_shows_only_in_its_timestamp(
    arm: LoopbackController, clients: SimpleNamespace, wait_for: Wait
) -> None:
    receive, control = clients.receive(), clients.control()
    arm.fault("frozen_stream")
    time.sleep(0.1)
    stamp, before = receive.getTimestamp(), receive.getActualTCPPose()
    start_moving(control, arm, wait_for)
    wait_for(lambda: arm.state.time_s > stamp + 0.3, "the controller goes on")
    assert receive.getTimestamp() == stamp and receive.getActualTCPPose() == before
    assert receive.isConnected() and arm.state.tcp_pose[0] > before[0] + 1e-3
    arm.clear("frozen_stream")
    wait_for(lambda: receive.getTimestamp() > stamp, "the stream is back")


def test_a_silent_link_is_noticed_late_and_the_watchdog_stops_the_arm(
    arm: LoopbackController, clients: SimpleNamespace, wait_for: Wait, moving_client: MovingClient
) -> None:
    receive, _ = clients.receive(), moving_client(5.0)
    arm.fault("silent_link")
    cut = time.monotonic()
    assert receive.isConnected()  # for two and a half seconds
    wait_for(lambda: arm.state.program == "stopped", "the watchdog")
    wait_for(lambda: not any(arm.state.joint_speeds), "the arm stands")
    assert seconds_to_stand(steps_after(arm, "silent_link"), arm) < 0.5
    wait_for(lambda: not receive.isConnected(), "the client gives up")
    assert time.monotonic() - cut > 2.0


def test_a_closed_link_refuses_new_clients_until_it_is_cleared(
    arm: LoopbackController, clients: SimpleNamespace, wait_for: Wait
) -> None:
    receive = clients.receive()
    arm.fault("closed_link")
    wait_for(lambda: not receive.isConnected(), "the client sees the end")
    with pytest.raises(RuntimeError):
        clients.receive()
    arm.clear("closed_link")
    assert clients.receive().getRobotMode() == 7


def test_after_a_dropped_connection_an_idle_client_comes_back_without_its_watchdog(
    arm: LoopbackController, wait_for: Wait, start_client: StartClient
) -> None:
    """It uploads its program anew, and 1.6.5 goes on doing so until it is disconnected, whatever comes of it."""
    start_client(IDLE_CLIENT, 0.05)
    wait_for(lambda: arm.state.watchdog_hz == 0.05, "the watchdog is armed")
    arm.clear_log()
    arm.fault("dropped_tcp")
    wait_for(lambda: arm.state.watchdog_hz is None, "the watchdog is gone")
    wait_for(
        lambda: "program_started" in {r.kind for r in arm.records("event")}, "the program is back"
    )
    assert arm.state.watchdog_hz is None


# --- refusals at the beginning ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["ur5e"])
def test_local_control_refuses_the_control_client(
    arm: LoopbackController, clients: SimpleNamespace
) -> None:
    arm.fault("local_control")
    assert not clients.dashboard().isInRemoteControl()
    with pytest.raises(RuntimeError, match="Please enable remote control"):
        clients.control()
    with pytest.raises(RuntimeError, match="local control"):
        clients.dashboard().stop()
    arm.clear("local_control")
    assert clients.control().isProgramRunning()


@pytest.mark.slow
@pytest.mark.parametrize("model", ["ur5"])
def test_a_cb3_has_no_remote_control_to_leave(arm: LoopbackController) -> None:
    with pytest.raises(ValueError, match="no remote control"):
        arm.fault("local_control")


def test_registers_in_use_refuse_one_half_of_them(
    arm: LoopbackController, clients: SimpleNamespace
) -> None:
    arm.fault("registers_in_use", upper=False)
    with pytest.raises(RuntimeError, match="already in use"):
        clients.control()
    upper = clients.control(flags=UPLOAD_SCRIPT | UPPER_RANGE_REGISTERS)
    assert upper.setTcp([0, 0, 0.1, 0, 0, 0])
    assert upper.moveJ([a + 0.05 for a in arm.state.joints], 1.0, 5.0)
    assert arm.state.tcp_offset[2] == 0.1


def test_a_second_control_client_is_refused(
    arm: LoopbackController, clients: SimpleNamespace
) -> None:
    first = clients.control()
    with pytest.raises(RuntimeError, match="already in use"):
        clients.control()
    assert first.speedL(TWIST, 1.0)


def test_a_dropped_control_connection_leaves_those_that_listen_and_the_program(
    arm: LoopbackController, clients: SimpleNamespace, wait_for: Wait, start_client: StartClient
) -> None:
    """A client that uploads by itself would do so again; this one does not, so its program and its watchdog stay.

    It has a process of its own: 1.6.5 may crash its process when it connects anew.
    """
    receive = clients.receive()
    start_client(UPLOADING_ONCE_CLIENT, 2.0)
    wait_for(lambda: arm.state.watchdog_hz == 2.0, "the watchdog is armed")
    arm.fault("dropped_control")
    wait_for(lambda: arm.state.program == "stopped", "the watchdog")
    assert receive.isConnected()
    assert [r.kind for r in arm.records("event")].count("program_started") == 1


def test_a_program_uploaded_again_is_lost_once_the_client_has_not_read_for_a_while(
    arm: LoopbackController, clients: SimpleNamespace, wait_for: Wait
) -> None:
    """So a program that ended needs a new control client: reuploadScript says True and nothing runs."""
    control = clients.control()

    def is_closed() -> bool:
        return any(r.kind == "script_connection_closed" for r in arm.records("event"))

    wait_for(is_closed, "the unread state has filled the connection")
    control.stopScript()
    assert control.reuploadScript() is True
    time.sleep(0.2)
    assert arm.state.program == "stopped"


def test_unknown_faults_name_those_that_exist(arm: LoopbackController) -> None:
    with pytest.raises(ValueError, match=f"Available: {', '.join(sorted(FAULTS))}"):
        arm.fault("earthquake")
    with pytest.raises(ValueError, match="six within the"):
        arm.set_joints([0.0] * 5)
    arm.clear("silent_link")  # not on: nothing happens


def test_a_controller_that_is_not_running_says_so() -> None:
    for kind in (LoopbackThread, LoopbackController):
        with pytest.raises(RuntimeError, match="not running"):
            kind(host="127.0.0.2").fault("protective_stop")


# --- death of the client ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["ur5e", "ur5"])
@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGSTOP], ids=["kill", "stop"])
def test_with_a_watchdog_the_arm_stops_when_its_client_dies(
    arm: LoopbackController, wait_for: Wait, moving_client: MovingClient, signal_number: int
) -> None:
    """Within 0.5 s of the last command that the controller heard, by its own clock."""
    moving_client(5.0).send_signal(signal_number)
    wait_for(lambda: arm.state.program == "stopped", "the watchdog")
    wait_for(lambda: not any(arm.state.joint_speeds), "the arm stands")
    log = arm.log
    last = max(i for i, r in enumerate(log) if r.kind == "speedl" and r.source == "command")
    steps = [r for r in log[last:] if r.source == "step"]
    (tripped,) = (r for r in log[last:] if r.kind == "watchdog_tripped")
    assert tripped.wall_s - log[last].wall_s > 0.199  # not before its time
    assert seconds_to_stand(steps, arm) <= 0.5


def test_without_a_watchdog_the_arm_goes_on_when_its_client_dies(
    arm: LoopbackController, wait_for: Wait, moving_client: MovingClient
) -> None:
    """The largest hazard of the protocol: the uploaded program repeats the last twist."""
    client = moving_client(0.0)
    wait_for(lambda: arm.state.twist[0] > 0.0999, "its ramp is through")
    client.kill()
    client.wait()
    arm.clear_log()
    killed_s = arm.state.time_s
    wait_for(lambda: arm.state.time_s > killed_s + 0.6, "more than half a second passes")
    speeds = [r.speed for r in arm.log if r.source == "step"]
    assert min(speeds) > 0.0999 and arm.state.motion == "speedl"
