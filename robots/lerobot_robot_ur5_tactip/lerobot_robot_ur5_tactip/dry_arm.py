"""A kinematic arm in this process: follows twists exactly, needs no network and no ur-rtde."""

import threading
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lerobot_neuraltouch import kinematics, se3
from lerobot_neuraltouch.kinematics import ArmModel

from .arm import ArmState

Array = NDArray[np.float64]

_MAX_STEP_S = 0.02
"""Longest piece of motion that is integrated at once."""


class DryArm:
    """Moves in real time, by reading the clock: there is no thread.

    Args:
        model: The arm.
        T_flange_tcp: The tcp on the flange, shape (4, 4).
        joints_rad: Where it starts, shape (6,).
        clock: Monotonic time [s].
    """

    def __init__(
        self,
        model: ArmModel,
        T_flange_tcp: Array,
        joints_rad: Array,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._model, self._T_flange_tcp, self._clock = model, T_flange_tcp, clock
        self._q, self._twist = np.array(joints_rad, dtype=np.float64), np.zeros(6)
        self._watchdog_s = np.inf
        self._at = self._followed_at = clock()
        self._lock = threading.Lock()

    def connect(self) -> None:
        """Nothing to reach."""

    def read(self) -> ArmState:
        """The state now."""
        with self._lock:
            self._move_on()
            T_base_tcp = kinematics.forward(self._model, self._q) @ self._T_flange_tcp
            return ArmState(
                stamp_s=self._at,
                q=self._q.copy(),
                tcp=np.asarray(se3.to_rotvec_pose(T_base_tcp), dtype=np.float64),
                wrench=np.zeros(6),
            )

    def start_watchdog(self, rate_hz: float) -> None:
        """As the controller's: without twists for a period the arm stands still."""
        self._watchdog_s, self._followed_at = 1.0 / rate_hz, self._clock()

    def follow(self, twist: Array) -> None:
        """Move with a twist in base, shape (6,), until the next call."""
        with self._lock:
            self._move_on()
            self._twist, self._followed_at = np.array(twist, dtype=np.float64), self._at

    def stop(self) -> None:
        """Stand still at once."""
        self.follow(np.zeros(6))

    def disconnect(self) -> None:
        """Stand still."""
        self.stop()

    def _move_on(self) -> None:
        now = self._clock()
        end = min(now, self._followed_at + self._watchdog_s)
        while self._at < end:
            step = min(end - self._at, _MAX_STEP_S)
            J = kinematics.jacobian(self._model, self._q, self._T_flange_tcp, frame="base")
            self._q = self._q + step * np.linalg.lstsq(J, self._twist, rcond=1e-6)[0]
            self._at += step
        self._at = now
