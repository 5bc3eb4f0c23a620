"""The thread that commands the arm: it alone talks to the controller, and it goes on when the policy does not.

Each tick: read the state; refuse stale, stopped or overloaded; take the latest target, or zero when it is too old;
apply the limits; command the twist. The first trouble stops the arm, is kept, and ends the thread.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .arm import Arm, ArmState
from .errors import LinkError, LoopError, UR5TacTipError
from .limits import Limits, Motion

logger = logging.getLogger(__name__)

Array = NDArray[np.float64]
Guard = Callable[[], Sequence[float]]
"""Something else that may stop the arm: raises a UR5TacTipError, or returns what the tactile fingers feel [gray levels]."""

_CLOSING_S = 5.0
"""How long closing waits for the thread; a controller that hangs holds it for 3 s."""
_MAX_PERIODS = 4
_REMEMBERED = 15_000
"""Ticks whose times are kept: two minutes' worth."""
_DEAD_S = 1.0
"""A loop that has not ticked for so long is dead."""


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """Timing of the thread that commands the arm."""

    inner_hz: float = 125.0
    """Ticks per second, 50 to 125 [1/s]."""
    action_deadline_s: float = 0.25
    """Age at which an action no longer counts and the twist ramps to zero [s]."""
    state_max_age_s: float = 0.1
    """How long the controller's time may stand still [s]."""
    watchdog_hz: float = 5.0
    """The controller stops by itself when twists come less often than this [1/s]."""

    def __post_init__(self) -> None:
        if not 50.0 <= self.inner_hz <= 125.0:
            raise ValueError(f"inner_hz must be 50 to 125, got {self.inner_hz}.")
        if not 2.0 <= self.watchdog_hz <= self.inner_hz / 4:
            raise ValueError(
                f"watchdog_hz must be at least 2 and at most a quarter of inner_hz, got {self.watchdog_hz}."
            )
        for name in ("action_deadline_s", "state_max_age_s"):
            if not 1.0 / self.inner_hz < getattr(self, name) <= 1.0:
                raise ValueError(
                    f"{name} must be longer than a tick and at most 1 s, got {getattr(self, name)}."
                )


class MotionLoop:
    """Commands an arm that is connected.

    Args:
        arm: Commanded by this loop alone from `start` to `close`.
        limits: What every twist passes.
        config: Timing.
        guards: Called each tick; must not block.
        clock: Monotonic time [s].
    """

    def __init__(
        self,
        arm: Arm,
        limits: Limits,
        config: LoopConfig,
        guards: Sequence[Guard] = (),
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.limits, self.config = limits, config
        self.followed_at: deque[float] = deque(maxlen=_REMEMBERED)
        """When the latest twists went to the arm, by the clock [s]."""
        self._arm, self._guards, self._clock = arm, tuple(guards), clock
        self._motion = Motion()
        self._target: tuple[Array, float] | None = (
            None  # replaced as a whole, so readers need no lock
        )
        self._fault: UR5TacTipError | None = None
        self._fault_lock = threading.Lock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._state = arm.read()
        self._advanced_at = self._ticked_at = clock()

    @property
    def state(self) -> ArmState:
        """The arm's state at the last tick."""
        return self._state

    @property
    def motion(self) -> Motion:
        """What was last commanded."""
        return self._motion

    def start(self) -> None:
        """Start ticking. The arm is first commanded with the first target; its watchdog is armed at once.

        Raises:
            LinkError, ProgramStoppedError: If the controller does not take the watchdog.
        """
        self._arm.start_watchdog(self.config.watchdog_hz)
        self._ticked_at = self._advanced_at = self._clock()
        self._thread = threading.Thread(target=self._run, name="ur5_tactip motion", daemon=True)
        self._thread.start()

    def command(self, twist: Array) -> None:
        """Set the target: a twist in the tcp frame [m/s, rad/s], shape (6,), good until the deadline.

        Raises:
            UR5TacTipError: If the arm has been stopped.
        """
        self.check()
        self._target = (np.array(twist, dtype=np.float64), self._clock())

    def halt(self) -> None:
        """Ramp to zero now; the next target moves the arm again."""
        if self._target is not None:
            self._target = (np.zeros(6), self._clock())

    def fail(self, error: UR5TacTipError) -> None:
        """Stop the arm at the next tick and for good; the first error is the one that is kept."""
        with self._fault_lock:
            if self._fault is None:
                logger.error("Arm stopped: %s", error)
                self._fault = error

    def check(self) -> None:
        """Raise what stopped the arm, if anything did.

        Raises:
            UR5TacTipError: The first error.
        """
        if self._fault is not None:
            raise self._fault
        thread, silent_s = self._thread, self._clock() - self._ticked_at
        if thread is None or self._closing.is_set():
            return
        if not thread.is_alive() or silent_s > _DEAD_S:
            self.fail(
                LoopError(
                    f"The arm's motion loop has been silent for {silent_s:.1f} s: this process was held up or suspended, and the "
                    "controller's watchdog has stopped the arm. Connect again."
                )
            )
            self.check()

    def close(self) -> None:
        """Stop the arm and the thread; may be called twice."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(_CLOSING_S)
            if self._thread.is_alive():
                logger.error("The arm's motion loop does not end: the controller does not answer.")

    def tick(self) -> None:
        """One step of the loop; the thread calls it.

        Raises:
            UR5TacTipError: If the arm must not go on.
        """
        if self._fault is not None:
            raise self._fault
        now, state = self._clock(), self._arm.read()
        self._check_age(state, now)
        touch = [value for guard in self._guards for value in guard()]
        self.limits.check(state, touch)
        # A late tick accelerates for as long as it was late, but not for longer than a few periods.
        nominal_s = 1.0 / self.config.inner_hz
        period_s = min(max(now - self._ticked_at, nominal_s), _MAX_PERIODS * nominal_s)
        self._state, self._ticked_at = state, now
        if self._target is None:
            return
        target, sent_at = self._target
        wanted = target if now - sent_at <= self.config.action_deadline_s else np.zeros(6)
        self._motion, _ = self.limits.step(self._motion, wanted, state, period_s)
        self.followed_at.append(self._clock())
        self._arm.follow(self._motion.twist)

    def _check_age(self, state: ArmState, now: float) -> None:
        if state.stamp_s != self._state.stamp_s:
            self._advanced_at = now
        age = now - self._advanced_at
        if age > self.config.state_max_age_s:
            raise LinkError(
                f"The controller's state is {age:.2f} s old (limit {self.config.state_max_age_s:.2f} s): the connection is lost "
                "or frozen. The arm was told to stop, and its watchdog stops it if that did not arrive. Check cable and "
                "network, then connect again."
            )

    def _run(self) -> None:
        period, due = 1.0 / self.config.inner_hz, self._clock()
        try:
            while not self._closing.wait(max(0.0, due - self._clock())):
                self.tick()
                # A late tick is not made up for: twists are no positions.
                due = max(due + period, self._clock())
        except UR5TacTipError as error:
            self.fail(error)
        finally:
            # Whatever ends the loop, known or not, the arm stops first.
            if not self._closing.is_set():
                self.fail(
                    LoopError(
                        "The arm's motion loop ended unexpectedly; see the traceback in the log."
                    )
                )
            self._motion = Motion()
            self._arm.stop()
