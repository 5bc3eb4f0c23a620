"""A kinematic arm: joint angles that follow one motion at a time, with no mass behind them."""

import numpy as np
from numpy.typing import ArrayLike

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.kinematics import (
    ArmModel,
    Array,
    forward,
    jacobian,
    nearest_inverse,
)

from .motions import Motion, MotionError, StopJ

HALT_RAD_PER_S2 = 10.0
"""Deceleration of the fastest joint when the controller itself stops the arm."""
_STILL_RAD_PER_S = 1e-9
_ROUNDING_RAD = 1e-9


class Arm:
    """State of the arm. `step` moves it by one control step."""

    def __init__(self, model: ArmModel, joints: ArrayLike) -> None:
        self.model = model
        self._lower, self._upper = np.array(model.lower_rad), np.array(model.upper_rad)
        self._fastest = np.array(model.max_speed_rad_per_s)
        self.T_flange_tcp: Array = np.eye(4)
        self.speed_fraction = 1.0
        """The speed slider: scales speeds of moves and speed commands, not of servo commands."""
        self.motion: Motion | None = None
        """What the arm is told to do; whoever set it may look whether it is finished."""
        self.place(joints)

    # --- state -------------------------------------------------------------------------------------------------------

    def place(self, joints: ArrayLike) -> None:
        """Be at joint angles [rad], shape (6,), at rest and without a motion.

        Raises:
            ValueError: If they are not six angles within the limits.
        """
        q = np.array(joints, dtype=np.float64)
        if q.shape != (6,) or not self.is_within_limits(q):
            raise ValueError(f"Joint angles: six within the {self.model.name}'s limits, got {q}.")
        if self.motion is not None:
            self.motion.is_finished = True
        self.q, self.qd, self.qdd = q, np.zeros(6), np.zeros(6)
        self.twist: Array = np.zeros(6)
        self.motion, self._halt = None, None
        self._refresh()

    def is_within_limits(self, q: Array) -> bool:
        """Whether joint angles [rad], shape (6,), are within the arm's ranges."""
        return bool(((q >= self._lower - _ROUNDING_RAD) & (q <= self._upper + _ROUNDING_RAD)).all())

    @property
    def is_still(self) -> bool:
        """Whether no joint moves."""
        return not self.qd.any()

    @property
    def motion_name(self) -> str:
        """What the arm is executing."""
        active = self._halt or self.motion
        return "idle" if active is None else active.name

    def set_tcp(self, T_flange_tcp: Array) -> None:
        """Move the tcp on the flange."""
        self.T_flange_tcp = T_flange_tcp
        self._refresh()

    def flange_at(self, q: ArrayLike) -> Array:
        """T_base_flange at joint angles [rad]."""
        return forward(self.model, q)

    def tcp_at(self, q: ArrayLike) -> Array:
        """T_base_tcp at joint angles [rad]."""
        return forward(self.model, q) @ self.T_flange_tcp

    def joints_for(self, T_base_tcp: Array, q_near: Array | None = None) -> Array:
        """Joint angles [rad] with the tcp at a pose, nearest to others or to the arm's own.

        Raises:
            UnreachableError: If there are none.
        """
        T_base_flange = T_base_tcp @ se3.inverse(self.T_flange_tcp)
        return nearest_inverse(self.model, T_base_flange, self.q if q_near is None else q_near)

    def velocity_for(self, twist: Array) -> Array:
        """Joint speeds [rad/s] that move the tcp with a twist in the base frame, undamped: near a singularity they pass all limits.

        Raises:
            MotionError: At a singularity.
        """
        try:
            speeds = np.linalg.solve(self._jacobian(), twist)
        except np.linalg.LinAlgError as error:
            raise MotionError("singularity") from error
        return np.asarray(speeds, dtype=np.float64)

    def _jacobian(self) -> Array:
        """Of the tcp in the base frame, worked out once for a place of the arm."""
        if self._J is None:
            self._J = jacobian(self.model, self.q, self.T_flange_tcp, frame="base")
        return self._J

    # --- motion ------------------------------------------------------------------------------------------------------

    def hold(self) -> None:
        """Decelerate and stand still, whatever the motion says, until `release`."""
        if self._halt is None:
            self._halt = StopJ(HALT_RAD_PER_S2)

    def release(self) -> None:
        """Go on with the motion from where the arm is now."""
        if self._halt is not None:
            self._halt = None
            if self.motion is not None:
                self.motion.restart()

    def drop_motion(self) -> None:
        """Forget the motion and decelerate."""
        self.motion = None if self.is_still else StopJ(HALT_RAD_PER_S2)

    def step(self, period_s: float) -> None:
        """Move for one control step [s].

        Raises:
            MotionError: If the motion would break a limit of the arm, which has begun to stop.
        """
        active = self._halt or self.motion
        try:
            qd = np.zeros(6) if active is None else active.velocity(self, period_s)
            self._check(qd, period_s)
        except MotionError:
            self.hold()
            qd = StopJ(HALT_RAD_PER_S2).velocity(self, period_s)
            self._move(qd, period_s)
            raise
        self._move(qd, period_s)
        if self.motion is not None and self._halt is None and self.motion.is_finished:
            self.motion = None

    def _check(self, qd: Array, period_s: float) -> None:
        if not qd.any() or self._halt is not None:
            return
        excess = np.abs(qd) / self._fastest
        if excess.max() > 1 + 1e-9:
            raise MotionError(f"speed of joint {int(excess.argmax())}")
        if not self.is_within_limits(self.q + qd * period_s):
            raise MotionError("joint limit")

    def _move(self, qd: Array, period_s: float) -> None:
        qd = np.where(np.abs(qd) < _STILL_RAD_PER_S, 0.0, qd)
        if self.is_still and not qd.any():
            self.qdd = qd
            return
        self.qdd = (qd - self.qd) / period_s
        # Of the place that the step begins at: there the twist is the one that was asked for.
        self.twist = self._jacobian() @ qd
        self.q = np.minimum(np.maximum(self.q + qd * period_s, self._lower), self._upper)
        self.qd = qd
        self._refresh()

    def _refresh(self) -> None:
        """Work out where the tcp is."""
        self._J: Array | None = None
        self.T_base_tcp = self.tcp_at(self.q)
        self.tcp_pose = se3.to_rotvec_pose(self.T_base_tcp)
