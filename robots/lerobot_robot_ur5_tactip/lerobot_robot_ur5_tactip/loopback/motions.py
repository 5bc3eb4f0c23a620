"""How the arm moves for each command of URScript: joint speeds for the next control step.

Speeds ramp with the acceleration of the command, as real controllers' do; the arm follows them exactly, which real arms do not.
"""

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from scipy.spatial.transform import Rotation

from lerobot_neuraltouch.kinematics import Array

if TYPE_CHECKING:
    from .arm import Arm


class MotionError(Exception):
    """A motion would break a limit of the arm; a real controller answers with a protective stop."""


class Motion(ABC):
    """Something the arm can do for a while."""

    name: ClassVar[str]
    """The command, in URScript's words."""
    is_finished = False

    @abstractmethod
    def velocity(self, arm: "Arm", period_s: float) -> Array:
        """Joint speeds for the next control step [rad/s], shape (6,).

        Raises:
            MotionError: If there are none within the arm's limits.
        """

    def restart(self) -> None:
        """The arm has been held: begin again from where it is now."""
        self.is_finished = False


# --- stops -----------------------------------------------------------------------------------------------------------


class StopJ(Motion):
    """Decelerate all joints together, the fastest at a rate [rad/s^2]."""

    name = "stopj"

    def __init__(self, acceleration: float) -> None:
        self.acceleration = acceleration

    def velocity(self, arm: "Arm", period_s: float) -> Array:  # noqa: D102
        qd = _brake(arm.qd, self.acceleration * period_s)
        self.is_finished = not qd.any()
        return qd


class StopL(Motion):
    """Decelerate the tcp along its twist, at a rate [m/s^2, rad/s^2]."""

    name = "stopl"

    def __init__(self, acceleration: float) -> None:
        self._ramp = SpeedL(np.zeros(6), acceleration)

    def velocity(self, arm: "Arm", period_s: float) -> Array:  # noqa: D102
        try:
            qd = self._ramp.velocity(arm, period_s)
        except MotionError:  # a stop never fails: near a singularity the joints stop together
            qd = _brake(arm.qd, self._ramp.acceleration * period_s)
            self._ramp.restart()
        self.is_finished = not qd.any()
        return qd


# --- speeds ----------------------------------------------------------------------------------------------------------


class SpeedL(Motion):
    """Follow a twist of the tcp in the base frame [m/s, rad/s] for ever."""

    name = "speedl"

    def __init__(self, twist: Array, acceleration: float) -> None:
        self.target, self.acceleration = twist, acceleration
        self._twist: Array | None = None

    def velocity(self, arm: "Arm", period_s: float) -> Array:  # noqa: D102
        twist = arm.twist if self._twist is None else self._twist
        target, change = self.target * arm.speed_fraction, self.acceleration * period_s
        twist = np.concatenate(
            [_approach(twist[:3], target[:3], change), _approach(twist[3:], target[3:], change)]
        )
        self._twist = twist
        return arm.velocity_for(twist)

    def restart(self) -> None:  # noqa: D102
        super().restart()
        self._twist = None


class SpeedJ(Motion):
    """Follow joint speeds [rad/s] for ever; the joint with the largest change accelerates at the rate [rad/s^2]."""

    name = "speedj"

    def __init__(self, speeds: Array, acceleration: float) -> None:
        self.target, self.acceleration = speeds, acceleration

    def velocity(self, arm: "Arm", period_s: float) -> Array:  # noqa: D102
        change = self.target * arm.speed_fraction - arm.qd
        largest = np.abs(change).max()
        return arm.qd + change * min(1.0, self.acceleration * period_s / max(largest, 1e-12))


class Servo(Motion):
    """Approach joint angles [rad] with a lag; the target may be changed at any time.

    The lag is the look-ahead time. Gain means nothing to an arm without mass.
    """

    acceleration_rad_per_s2 = 40.0

    def __init__(self, joints: Array, lookahead_s: float, name: str) -> None:
        self.target, self.lookahead_s = joints, lookahead_s
        self.name = name  # pyright: ignore[reportIncompatibleVariableOverride]

    def velocity(self, arm: "Arm", period_s: float) -> Array:  # noqa: D102
        share = -math.expm1(-period_s / self.lookahead_s)
        wanted = (self.target - arm.q) * share / period_s
        fastest = np.array(arm.model.max_speed_rad_per_s)
        wanted /= max(1.0, (np.abs(wanted) / fastest).max())
        change = self.acceleration_rad_per_s2 * period_s
        return arm.qd + np.clip(wanted - arm.qd, -change, change)


# --- moves -----------------------------------------------------------------------------------------------------------


class _Move(Motion):
    """Follow a path from rest to rest; the place on it, from 0 to its length, has a trapezoidal speed."""

    def __init__(self, speed: float, acceleration: float) -> None:
        self.speed, self.acceleration = speed, acceleration
        self._length: float | None = None

    def restart(self) -> None:
        self._length = None

    def velocity(self, arm: "Arm", period_s: float) -> Array:
        if self._length is None:
            if not arm.is_still:
                return _brake(arm.qd, self.acceleration * period_s)
            self._length, self._place, self._rate = self._plan(arm), 0.0, 0.0
        self._advance(self._length, self.speed * arm.speed_fraction, period_s)
        self.is_finished = self._place >= self._length
        return self._velocity_to(self._place / max(self._length, 1e-12), arm, period_s)

    def _advance(self, length: float, speed: float, period_s: float) -> None:
        change, left = self.acceleration * period_s, length - self._place
        # The fastest rate from which equal steps of deceleration end on the mark.
        braking = change * (math.sqrt(0.25 + 2 * left / (change * period_s)) - 0.5)
        rate = min(self._rate + change, max(speed, self._rate - change), braking)
        if left - rate * period_s < 1e-12:
            self._place, self._rate = length, 0.0
        else:
            self._place, self._rate = self._place + rate * period_s, rate

    @abstractmethod
    def _plan(self, arm: "Arm") -> float:
        """Lay the path from where the arm is and return its length."""

    @abstractmethod
    def _velocity_to(self, share: float, arm: "Arm", period_s: float) -> Array:
        """Joint speeds that take the arm to a share of the path in one control step."""


class MoveJ(_Move):
    """Go to joint angles [rad] along a straight line in joint space; speed and acceleration are the fastest joint's."""

    name = "movej"

    def __init__(self, joints: Array, speed: float, acceleration: float) -> None:
        super().__init__(speed, acceleration)
        self.target = joints

    def _plan(self, arm: "Arm") -> float:
        if not arm.is_within_limits(self.target):
            raise MotionError("joint limit of the target")
        self._start = arm.q
        return float(np.abs(self.target - arm.q).max())

    def _velocity_to(self, share: float, arm: "Arm", period_s: float) -> Array:
        return (self._start + share * (self.target - self._start) - arm.q) / period_s


class MoveL(_Move):
    """Go to a pose along a straight line, turning about one axis.

    The length of the path is the larger of its metres and its radians, so the speed [m/s] bounds the turn too [rad/s].
    """

    name = "movel"

    def __init__(self, T_base_tcp: Array, speed: float, acceleration: float) -> None:
        super().__init__(speed, acceleration)
        self.target = T_base_tcp

    def _plan(self, arm: "Arm") -> float:
        self._start = arm.T_base_tcp
        self._shift = self.target[:3, 3] - self._start[:3, 3]
        self._turn = _rotvec(self.target[:3, :3] @ self._start[:3, :3].T)
        return float(max(np.linalg.norm(self._shift), np.linalg.norm(self._turn)))

    def _velocity_to(self, share: float, arm: "Arm", period_s: float) -> Array:
        turn = Rotation.from_rotvec(share * self._turn).as_matrix()
        shift = self._start[:3, 3] + share * self._shift - arm.T_base_tcp[:3, 3]
        # Straight on for one step; what its curvature leaves, the next step makes up for.
        way = [shift, _rotvec(turn @ self._start[:3, :3] @ arm.T_base_tcp[:3, :3].T)]
        return arm.velocity_for(np.concatenate(way) / period_s)


def _rotvec(R: Array) -> Array:
    return Rotation.from_matrix(R, assume_valid=True).as_rotvec()


# --- ramps -----------------------------------------------------------------------------------------------------------


def _approach(value: Array, target: Array, change: float) -> Array:
    """Go from a vector towards another by at most a distance."""
    way = target - value
    distance = math.hypot(*way.tolist())
    return target.copy() if distance <= change else value + way * (change / distance)


def _brake(qd: Array, change: float) -> Array:
    """Slow all joints down alike, the fastest by at most `change`."""
    fastest = float(np.abs(qd).max())
    return np.zeros(6) if fastest <= change else qd * (1 - change / fastest)
