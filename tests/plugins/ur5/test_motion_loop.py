"""The motion loop tick by tick, on a clock that the tests turn."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lerobot_neuraltouch.kinematics import UR5E
from lerobot_robot_ur5_tactip.arm import ArmState, SafetyBit
from lerobot_robot_ur5_tactip.dry_arm import DryArm
from lerobot_robot_ur5_tactip.errors import (
    CameraStalledError,
    ForceLimitError,
    LinkError,
    LoopError,
    ProtectiveStopError,
    TouchOverloadError,
    UR5TacTipError,
)
from lerobot_robot_ur5_tactip.limits import Limits
from lerobot_robot_ur5_tactip.motion_loop import LoopConfig, MotionLoop
from tests.plugins.ur5.kinematic import READY, T_FLANGE_TCP, KinematicArm, box_around

PERIOD_S = 1.0 / 125.0
FORWARD = np.array([0.0, 0.0, 0.01, 0.0, 0.0, 0.0])


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class WatchedArm(DryArm):
    """Remembers what it was told; its state can be made to lie."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(UR5E, T_FLANGE_TCP, READY, clock)
        self.told: list[np.ndarray] = []
        self.calls: list[str] = []
        self.change: Callable[[ArmState], ArmState] = lambda state: state

    def read(self) -> ArmState:
        return self.change(super().read())

    def start_watchdog(self, rate_hz: float) -> None:
        self.calls.append(f"watchdog {rate_hz:g}")
        super().start_watchdog(rate_hz)

    def follow(self, twist: np.ndarray) -> None:
        self.told.append(np.array(twist))
        super().follow(twist)

    def stop(self) -> None:
        self.calls.append("stop")
        super().stop()


class World:
    def __init__(self, guards: Sequence[Callable[[], Sequence[float]]] = ()) -> None:
        self.clock = Clock()
        self.arm = WatchedArm(self.clock)
        where = KinematicArm(UR5E, READY)
        limits = Limits(box_around(where, 0.1), UR5E, T_FLANGE_TCP)
        self.loop = MotionLoop(self.arm, limits, LoopConfig(), guards, self.clock)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / PERIOD_S)):
            self.clock.now_s += PERIOD_S
            self.loop.tick()


def test_nothing_is_commanded_before_the_first_action() -> None:
    world = World()
    world.run(1.0)
    assert world.arm.told == world.arm.calls == []


def test_twist_is_that_of_the_tool_as_it_turns() -> None:
    """0.17 rad/s about the tool's x while it moves along its z: after 1 s the way has turned with it."""
    world = World()
    target = np.array([0.0, 0.0, 0.01, 0.17, 0.0, 0.0])
    for _ in range(10):
        world.loop.command(target)
        world.run(0.1)
    T = KinematicArm(UR5E, world.arm.read().q).T_base_tcp
    told = world.arm.told[-1]
    assert_allclose(T[:3, :3].T @ told[:3], target[:3], atol=3e-5)  # one tick of turning
    start = KinematicArm(UR5E, READY).T_base_tcp
    assert np.abs(start[:3, :3].T @ told[:3] - target[:3]).max() > 1e-3


def test_late_policy_is_ramped_to_zero() -> None:
    """The last twist counts up to the deadline, 0.25 s; then 10 mm/s end within 0.15 s."""
    world = World()
    world.loop.command(FORWARD)
    world.run(0.24)
    assert np.linalg.norm(world.arm.told[-1]) == pytest.approx(0.01)
    world.run(0.16)
    assert_array_equal(world.arm.told[-1], np.zeros(6))
    count = len(world.arm.told)
    world.run(1.0)  # zero goes on being said: the watchdog must not fire
    assert len(world.arm.told) == count + 125
    world.loop.command(FORWARD)
    world.run(0.2)
    assert np.linalg.norm(world.arm.told[-1]) == pytest.approx(0.01)


def test_halt_does_not_wait_for_the_deadline() -> None:
    world = World()
    world.loop.halt()
    world.run(0.1)
    assert world.arm.told == []
    world.loop.command(FORWARD)
    world.run(0.2)
    world.loop.halt()
    world.run(0.16)
    assert_array_equal(world.arm.told[-1], np.zeros(6))


def test_state_that_stands_still_ends_the_loop() -> None:
    world = World()
    world.loop.command(FORWARD)
    world.run(0.1)
    frozen = world.arm.read()
    world.arm.change = lambda state: frozen
    with pytest.raises(LinkError, match=r"limit 0\.10 s"):
        world.run(0.2)
    assert world.clock.now_s <= 100.0 + 0.1 + 0.1 + 2 * PERIOD_S


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"safety_bits": SafetyBit.PROTECTIVE_STOP}, ProtectiveStopError),
        ({"wrench": np.full(6, 40.0)}, ForceLimitError),
    ],
)
def test_trouble_ends_the_loop_before_another_twist(
    change: dict, error: type[UR5TacTipError]
) -> None:
    world = World()
    world.loop.command(FORWARD)
    world.run(0.1)
    count = len(world.arm.told)
    world.arm.change = lambda state: dataclasses.replace(state, **change)
    with pytest.raises(error):
        world.run(0.1)
    assert len(world.arm.told) == count


def test_guards_are_asked_every_tick() -> None:
    touch = [0.0, 0.0]
    world = World(guards=[lambda: touch])
    world.run(0.1)
    touch[1] = 25.0
    with pytest.raises(TouchOverloadError, match="right"):
        world.run(0.1)


def test_an_error_from_outside_is_kept_and_stops_the_next_tick() -> None:
    world = World()
    world.loop.command(FORWARD)
    world.run(0.1)
    first = CameraStalledError("left")
    world.loop.fail(first)
    world.loop.fail(CameraStalledError("right"))
    for call in (world.loop.check, world.loop.tick, lambda: world.loop.command(FORWARD)):
        with pytest.raises(CameraStalledError) as caught:
            call()
        assert caught.value is first


# --- with its thread -------------------------------------------------------------------------------------------------


def started(guard: Callable[[], Sequence[float]]) -> tuple[MotionLoop, WatchedArm]:
    world = World()
    clock = __import__("time").perf_counter
    arm = WatchedArm(clock)  # pyright: ignore[reportArgumentType]
    loop = MotionLoop(arm, world.loop.limits, LoopConfig(), [guard], clock)
    loop.start()
    return loop, arm


def wait_for_the_end(loop: MotionLoop) -> None:
    thread = loop._thread
    assert thread is not None
    thread.join(10.0)
    assert not thread.is_alive()


def test_thread_stops_the_arm_on_trouble() -> None:
    def guard() -> Sequence[float]:
        raise CameraStalledError("no pictures")

    loop, arm = started(guard)
    wait_for_the_end(loop)
    assert arm.calls == ["watchdog 5", "stop"]
    with pytest.raises(CameraStalledError, match="no pictures"):
        loop.check()
    loop.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_thread_stops_the_arm_on_a_mistake_of_ours() -> None:
    loop, arm = started(lambda: 1 / 0)  # pyright: ignore[reportArgumentType]
    wait_for_the_end(loop)
    assert arm.calls == ["watchdog 5", "stop"]
    with pytest.raises(LoopError, match="unexpectedly"):
        loop.check()


def test_the_watchdog_is_armed_once_and_closing_stops_the_arm_and_is_no_trouble() -> None:
    loop, arm = started(lambda: ())
    loop.close()
    loop.close()
    wait_for_the_end(loop)
    assert arm.calls == ["watchdog 5", "stop"]
    loop.check()


@pytest.mark.parametrize(
    ("setting", "value"),
    [("inner_hz", 10.0), ("inner_hz", 500.0), ("watchdog_hz", 60.0), ("watchdog_hz", 0.0),
     ("action_deadline_s", 5.0), ("state_max_age_s", 0.001)],
)  # fmt: skip
def test_timing_that_does_not_protect_is_refused(setting: str, value: float) -> None:
    with pytest.raises(ValueError, match=setting):
        LoopConfig(**{setting: value})
