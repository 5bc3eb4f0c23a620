"""Faults while the tool moves: the controller's own log shows zero speed within 0.5 s, and one clear error is raised.

Against a loopback controller, whose arm stops as fast as it is told: nothing here is a stopping distance.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkProcess
from pathlib import Path

import numpy as np
import pytest

from lerobot_robot_ur5_tactip.errors import (
    CameraStalledError,
    EmergencyStopError,
    ForceLimitError,
    GripperError,
    LinkError,
    ProgramStoppedError,
    ProtectiveStopError,
    TouchOverloadError,
    UR5TacTipError,
)
from lerobot_robot_ur5_tactip.gripper import GripperConfig
from lerobot_robot_ur5_tactip.loopback import LoopbackController
from lerobot_robot_ur5_tactip.ur5_tactip import UR5TacTip
from tests.plugins.ur5.client import run_client
from tests.plugins.ur5.conftest import HOST, Connect
from tests.plugins.ur5.robots import BOTH_FINGERS, action, activate_gripper, wait_for

pytest.importorskip("rtde_control")
pytestmark = pytest.mark.slow

STOP_S = 0.5
SLOW = 1e-4
"""Speeds below are rest [m/s, rad/s]."""


class Policy:
    """Sends the same action from a thread of its own, as a policy does, until it is stopped or an error comes."""

    def __init__(self, robot: UR5TacTip, *twist: float) -> None:
        self._robot, self._twist = robot, twist
        self.error: Exception | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stall(self) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._ended.wait(0.05):
                self._robot.send_action(action(*self._twist))
        except (UR5TacTipError, ValueError) as error:
            self.error = error


def is_moving(controller: LoopbackController) -> bool:
    return bool(np.abs(controller.state.twist).max() > 0.005)


def assert_rest_after(controller: LoopbackController, since_s: float) -> None:
    """The arm's speed in every control step later than 0.5 s after a moment, a second long."""
    time.sleep(max(0.0, since_s + 1.5 - time.monotonic()))
    steps = [r for r in controller.log if r.source == "step" and r.wall_s > since_s + STOP_S]
    assert len(steps) > 5
    moving = [r for r in steps if max(r.speed, r.angular_speed) > SLOW]
    assert not moving, f"still {moving[-1].speed} m/s {moving[-1].wall_s - since_s:.2f} s later"


MODEL = "ur5"
"""Its controller runs at 125 Hz, which leaves a test machine the time that these tests are about."""


@pytest.fixture
def moving(controller: LoopbackController, connect: Connect) -> Iterator[tuple[UR5TacTip, Policy]]:
    controller.reset(model=MODEL)
    robot = connect(model=MODEL, cameras=BOTH_FINGERS)
    policy = Policy(robot, 0.0, 0.0, 0.01)
    wait_for(lambda: is_moving(controller) or policy.error is not None)
    assert policy.error is None, policy.error
    yield robot, policy
    policy.stall()


FAULTS: list[tuple[str, type[UR5TacTipError], str]] = [
    ("protective_stop", ProtectiveStopError, "neuraltouch recover"),
    ("emergency_stop", EmergencyStopError, "Emergency stop"),
    ("frozen_stream", LinkError, "lost or frozen"),
    ("silent_link", LinkError, "lost"),
    ("closed_link", LinkError, "lost"),
    ("dropped_tcp", LinkError, "lost"),
    ("dropped_control", LinkError, "lost"),
]


@pytest.mark.parametrize(("name", "error", "words"), FAULTS, ids=[name for name, *_ in FAULTS])
def test_fault_of_the_controller_or_its_link(
    controller: LoopbackController,
    moving: tuple[UR5TacTip, Policy],
    name: str,
    error: type[UR5TacTipError],
    words: str,
) -> None:
    robot, policy = moving
    since_s = time.monotonic()
    controller.fault(name)
    assert_rest_after(controller, since_s)
    wait_for(lambda: policy.error is not None)
    assert isinstance(policy.error, error)
    assert words in str(policy.error)
    with pytest.raises(error) as caught:
        robot.get_observation()
    assert caught.value is policy.error
    # ur-rtde, which connects anew by itself, must not have started the program again: the new one had no watchdog.
    assert [r.kind for r in controller.records("event")].count("program_started") == 1
    controller.clear(name)
    robot.disconnect()


def act(robot: UR5TacTip, controller: LoopbackController, what: str) -> None:
    match what:
        case "force":
            controller.set_wrench([0.0, 0.0, 45.0, 0.0, 0.0, 0.0])
        case "touch":
            robot.cameras["tactile_left"].level += 40
        case "camera":
            robot.cameras["tactile_right"].stall()


@pytest.mark.parametrize(
    ("what", "error"),
    [("force", ForceLimitError), ("touch", TouchOverloadError), ("camera", CameraStalledError)],
)
def test_too_much_force_or_touch_or_no_pictures(
    controller: LoopbackController,
    moving: tuple[UR5TacTip, Policy],
    what: str,
    error: type[UR5TacTipError],
) -> None:
    robot, policy = moving
    since_s = time.monotonic()
    act(robot, controller, what)
    assert_rest_after(controller, since_s)
    assert isinstance(policy.error, error)


def test_stalled_policy(controller: LoopbackController, moving: tuple[UR5TacTip, Policy]) -> None:
    """No error: the arm waits at rest, and goes on with the next action."""
    robot, policy = moving
    policy.stall()
    assert_rest_after(controller, time.monotonic())
    assert policy.error is None
    again = Policy(robot, 0.0, 0.0, 0.01)
    wait_for(lambda: is_moving(controller))
    again.stall()


@pytest.mark.parametrize(
    "bad", [{"tcp_vx.vel": float("nan")}, {"gripper.pos": float("-inf")}, {"tcp_x.pos": 0.0}]
)
def test_bad_action(
    controller: LoopbackController, moving: tuple[UR5TacTip, Policy], bad: dict[str, float]
) -> None:
    robot, policy = moving
    policy.stall()
    robot.send_action(action(0.0, 0.0, 0.01))
    since_s = time.monotonic()
    with pytest.raises(ValueError, match="action"):
        robot.send_action(action(0.0, 0.0, 0.01) | bad)
    assert_rest_after(controller, since_s)


def test_actions_beyond_limits_and_out_of_bounds(
    controller: LoopbackController, connect: Connect
) -> None:
    """50 m/s sideways: capped to 20 mm/s, and at rest before the face of the workspace; no error."""
    controller.reset(model=MODEL)
    robot = connect(model=MODEL, half_m=0.006)
    policy = Policy(robot, 50.0, 0.0, 0.0)
    wait_for(lambda: is_moving(controller))
    wait_for(lambda: not is_moving(controller))
    face = abs(np.array(controller.state.tcp_pose[:3]) - robot.config.limits.workspace_max_m).min()
    policy.stall()
    assert policy.error is None
    sent = [r for r in controller.log if r.source == "command" and r.kind == "speedl"]
    assert max(r.speed for r in sent) <= 0.02 + 1e-9
    # Before the first twist the controller may still have had another tcp.
    steps = np.array([r.tcp_pose[:3] for r in controller.records("step", since_s=sent[0].time_s)])
    limits = robot.config.limits
    assert (steps > np.array(limits.workspace_min_m) - 1e-4).all()
    assert (steps < np.array(limits.workspace_max_m) + 1e-4).all()
    assert face < 0.006


def test_lost_gripper(controller: LoopbackController, connect: Connect) -> None:
    controller.reset(model=MODEL)
    activate_gripper(HOST)
    robot = connect(model=MODEL, gripper=GripperConfig(kind="robotiq_urcap"))
    policy = Policy(robot, 0.0, 0.0, 0.01)
    wait_for(lambda: is_moving(controller) or policy.error is not None)
    since_s = time.monotonic()
    robot._gripper._socket.shutdown(2)  # pyright: ignore[reportOptionalMemberAccess]
    assert_rest_after(controller, since_s)
    assert isinstance(policy.error, GripperError)


# --- the client itself -----------------------------------------------------------------------------------------------


@pytest.fixture
def client(controller: LoopbackController, tmp_path: Path) -> Iterator[ForkProcess]:
    """Another process that moves the arm; a copy of this one, since it has imported everything already."""
    controller.reset(model=MODEL)
    process = multiprocessing.get_context("fork").Process(
        target=run_client, args=(HOST, MODEL, tmp_path)
    )
    process.start()
    try:
        wait_for(lambda: is_moving(controller) or not process.is_alive(), timeout_s=60.0)
        assert process.is_alive(), (tmp_path / "error").read_text()
        yield process
    finally:
        process.kill()
        process.join()


def send(process: ForkProcess, number: signal.Signals) -> None:
    assert process.pid is not None
    os.kill(process.pid, number)


def tripped(controller: LoopbackController) -> Callable[[], bool]:
    return lambda: any(r.kind == "watchdog_tripped" for r in controller.log)


def test_killed_client(controller: LoopbackController, client: ForkProcess) -> None:
    since_s = time.monotonic()
    send(client, signal.SIGKILL)
    assert_rest_after(controller, since_s)
    assert controller.state.program == "stopped"


def test_frozen_client(controller: LoopbackController, client: ForkProcess, tmp_path: Path) -> None:
    """The watchdog stops the arm; the client says so when it wakes, and moves nothing any more."""
    since_s = time.monotonic()
    send(client, signal.SIGSTOP)
    assert_rest_after(controller, since_s)
    assert tripped(controller)()
    send(client, signal.SIGCONT)
    client.join(60.0)
    assert client.exitcode
    error = (tmp_path / "error").read_text()
    # Whichever of its threads wakes first says so.
    assert error.startswith(("ProgramStoppedError", "LinkError", "LoopError"))
    assert_rest_after(controller, since_s)


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_client_that_is_asked_to_end(
    controller: LoopbackController, client: ForkProcess, signal_number: signal.Signals
) -> None:
    since_s = time.monotonic()
    send(client, signal_number)
    assert_rest_after(controller, since_s)
    client.join(60.0)
    assert controller.state.program == "stopped"


def test_program_stopped_at_the_pendant(
    controller: LoopbackController, moving: tuple[UR5TacTip, Policy]
) -> None:
    import dashboard_client

    _, policy = moving
    dashboard = dashboard_client.DashboardClient(HOST)
    dashboard.connect()
    since_s = time.monotonic()
    dashboard.stop()
    assert_rest_after(controller, since_s)
    wait_for(lambda: policy.error is not None)
    assert isinstance(policy.error, ProgramStoppedError)
