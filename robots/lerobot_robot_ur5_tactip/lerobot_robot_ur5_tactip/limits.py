"""Every limit between a policy and the arm, as pure functions of numbers: no I/O, no clock, no threads.

In this order: finite numbers; caps on the twist; ramp of acceleration and jerk; workspace; tilt; joints and
singularities; and before all of them, each tick, what the controller, the force sensor and the fingers say. These are
software limits and not safety rated: set planes, speeds and forces on the teach pendant as well.

Frames: base, and tcp (see `lerobot_neuraltouch.features`).
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lerobot_neuraltouch import features, se3
from lerobot_neuraltouch.kinematics import ArmModel

from .arm import ArmState
from .bounds import JointBounds, cap_norm, joint_scale, keep_in_box, keep_in_cone, ramp
from .errors import ForceLimitError, ProgramStoppedError, TouchOverloadError
from .safety import check_safety

Array = NDArray[np.float64]
Triple = tuple[float, float, float]

TILT_MARGIN_RAD = 0.001
"""Braking begins this much early: a turn about the approach carries a motion along the cone a little beyond it."""
_OVERRUN_M = 0.0005
"""An arm this little outside its workspace may start; it can only move inward from there."""


@dataclass(frozen=True, kw_only=True)
class LimitsConfig:
    """What the arm may do. The workspace has no default: it is yours to measure."""

    workspace_min_m: Triple
    """Lowest x, y, z of the tcp in base [m]. The tcp alone is kept inside: leave room for fingers and camera."""
    workspace_max_m: Triple
    """Highest x, y, z of the tcp in base [m]."""
    approach_axis: Triple = (0.0, 0.0, -1.0)
    """Direction in base that the tool points to in general."""
    max_tilt_rad: float = float(np.pi / 2)
    """Largest angle between the tool's approach direction and `approach_axis` [rad]."""

    max_linear_speed_m_s: float = features.MAX_LINEAR_SPEED
    """Largest norm of the tcp's velocity [m/s]."""
    max_angular_speed_rad_s: float = features.MAX_ANGULAR_SPEED
    """Largest norm of the tcp's angular velocity [rad/s]."""
    max_linear_acceleration_m_s2: float = 0.2
    """[m/s^2]"""
    max_angular_acceleration_rad_s2: float = 1.5
    """[rad/s^2]"""
    max_linear_jerk_m_s3: float = 4.0
    """[m/s^3]. Of wanted motion; braking before a bound does not wait for it."""
    max_angular_jerk_rad_s3: float = 30.0
    """[rad/s^3]"""
    reaction_s: float = 0.1
    """Time that braking before a bound counts with, from a late command to the arm's motion [s]. The robot counts with no less
    than the last twist of a client that dies may last: its oldest state and the controller's watchdog."""

    joint_margin_rad: float = 0.1
    """Distance kept from the ends of each joint's range [rad]."""
    max_joint_speed_rad_s: float = 0.5
    """[rad/s]"""
    joint_deceleration_rad_s2: float = 1.0
    """How joints brake before their ends [rad/s^2]."""
    min_singular_value: float = 0.1
    """Distance kept from singularities: smallest singular value of the Jacobian per 0.1 m and rad. A bent arm has 0.4-0.65."""
    singular_deceleration: float = 0.5
    """How the approach to a singularity slows down [1/s^2]."""

    max_force_n: float = 30.0
    """Largest norm of the force at the tcp [N]. A UR5 without force sensor estimates it to about 10 N."""
    max_torque_nm: float = 10.0
    """Largest norm of the torque at the tcp [Nm]."""
    max_touch: float = 20.0
    """Largest mean absolute difference of a tactile picture from its contact-free reference [gray levels of 255]."""

    def __post_init__(self) -> None:
        low, high = self.workspace_min_m, self.workspace_max_m
        if (
            len(low) != 3
            or len(high) != 3
            or not all(a < b for a, b in zip(low, high, strict=True))
        ):
            raise ValueError(
                f"workspace_min_m must lie below workspace_max_m in x, y and z; got {low} and {high}."
            )
        if abs(np.linalg.norm(self.approach_axis) - 1.0) > 1e-3:
            raise ValueError(f"approach_axis must be a unit vector, got {self.approach_axis}.")
        if not self.max_tilt_rad > TILT_MARGIN_RAD:
            raise ValueError(
                f"max_tilt_rad must be above {TILT_MARGIN_RAD}, got {self.max_tilt_rad}."
            )
        for name, value in vars(self).items():
            if isinstance(value, float) and not (np.isfinite(value) and value > 0.0):
                raise ValueError(f"{name} must be positive, got {value}.")

    @property
    def joints(self) -> JointBounds:
        """The part that concerns joints."""
        return JointBounds(
            margin_rad=self.joint_margin_rad,
            max_speed_rad_s=self.max_joint_speed_rad_s,
            deceleration_rad_s2=self.joint_deceleration_rad_s2,
            min_singular_value=self.min_singular_value,
            singular_deceleration=self.singular_deceleration,
        )


@dataclass(frozen=True)
class Motion:
    """The commanded motion of the tcp in base."""

    twist: Array = field(default_factory=lambda: np.zeros(6))
    """[m/s, rad/s], shape (6,)."""
    acceleration: Array = field(default_factory=lambda: np.zeros(6))
    """[m/s^2, rad/s^2], shape (6,)."""


@dataclass(frozen=True)
class Limits:
    """The limits of one arm with one tool."""

    config: LimitsConfig
    model: ArmModel
    T_flange_tcp: Array
    """The tcp on the flange, shape (4, 4)."""

    def step(
        self, motion: Motion, target: ArrayLike, state: ArmState, period_s: float
    ) -> tuple[Motion, tuple[str, ...]]:
        """The motion to command for the next period, and what kept it from its target.

        Args:
            motion: What was commanded for the last period.
            target: Wanted twist in the tcp frame [m/s, rad/s], shape (6,).
            state: Where the arm is.
            period_s: Until the next step [s].

        Raises:
            ValueError: If the target is not six finite numbers.
        """
        capped, reasons = self.cap(target)
        T = se3.from_rotvec_pose(state.tcp)
        wanted = _rotate(T[:3, :3], capped)
        ramped, acceleration = self._ramp(motion, wanted, period_s)
        bounded, more = self._bound(ramped, T, state.q, self.config.reaction_s + period_s)
        if more:  # braking before a bound sets the acceleration that the next ramp starts from
            acceleration = self._cap_acceleration((bounded - motion.twist) / period_s)
        return Motion(bounded, acceleration), reasons + more

    def accept(self, target: ArrayLike, state: ArmState) -> tuple[Array, tuple[str, ...]]:
        """The twist in the tcp frame, shape (6,), that a target ends in where the arm is now, once the ramp is through.

        Raises:
            ValueError: As `step`.
        """
        capped, reasons = self.cap(target)
        T = se3.from_rotvec_pose(state.tcp)
        bounded, more = self._bound(_rotate(T[:3, :3], capped), T, state.q, self.config.reaction_s)
        return (_rotate(T[:3, :3].T, bounded) if more else capped), reasons + more

    def cap(self, target: ArrayLike) -> tuple[Array, tuple[str, ...]]:
        """A twist with its linear and angular norms capped, shape (6,), directions kept, and which of them was.

        Raises:
            ValueError: If it is not six finite numbers.
        """
        twist = np.asarray(target, dtype=np.float64)
        if twist.shape != (6,) or not np.isfinite(twist).all():
            raise ValueError(f"A twist is six finite numbers, got {target}.")
        linear = cap_norm(twist[:3], self.config.max_linear_speed_m_s)
        angular = cap_norm(twist[3:], self.config.max_angular_speed_rad_s)
        capped = np.concatenate([linear, angular])
        reasons = tuple(
            name
            for name, part in (("linear speed", slice(0, 3)), ("angular speed", slice(3, 6)))
            if (capped[part] != twist[part]).any()
        )
        return capped, reasons

    def check(self, state: ArmState, touch: ArrayLike = ()) -> None:
        """Refuse to go on with a controller that is not ready, or with too much force or touch.

        Args:
            state: The controller's state.
            touch: Difference of each tactile picture from its reference [gray levels].

        Raises:
            UR5TacTipError: One of its kinds, with what was measured and what to do.
        """
        check_safety(state)
        if not state.is_program_running:
            raise ProgramStoppedError(
                "The controller's program has ended: its watchdog fired because no twists came, or it was stopped at "
                "the pendant. The arm stands still; connect again to go on."
            )
        for what, value, limit, unit in (
            ("force", np.linalg.norm(state.wrench[:3]), self.config.max_force_n, "N"),
            ("torque", np.linalg.norm(state.wrench[3:]), self.config.max_torque_nm, "Nm"),
        ):
            if not value <= limit:
                raise ForceLimitError(
                    f"The {what} at the tool is {value:.1f} {unit}, its limit {limit:.1f} {unit}: stopped. Free the tool "
                    "by hand (pendant: freedrive), check payload and tcp, then connect again."
                )
        for finger, value in enumerate(np.asarray(touch, dtype=np.float64)):
            if not value <= self.config.max_touch:
                raise TouchOverloadError(
                    f"The {('left', 'right')[finger]} tactile picture differs from its reference by {value:.1f} gray levels, "
                    f"the limit is {self.config.max_touch:.1f}: stopped. Open the fingers, look at the skin, then connect again."
                )

    def is_inside(self, position: Array) -> bool:
        """Whether a position of the tcp in base [m], shape (3,), lies in the workspace, or where late ticks may leave the arm."""
        low, high = np.array(self.config.workspace_min_m), np.array(self.config.workspace_max_m)
        return bool((position >= low - _OVERRUN_M).all() and (position <= high + _OVERRUN_M).all())

    def _ramp(self, motion: Motion, wanted: Array, period_s: float) -> tuple[Array, Array]:
        c = self.config
        parts = (
            (slice(0, 3), c.max_linear_acceleration_m_s2, c.max_linear_jerk_m_s3, c.max_linear_speed_m_s),
            (slice(3, 6), c.max_angular_acceleration_rad_s2, c.max_angular_jerk_rad_s3, c.max_angular_speed_rad_s),
        )  # fmt: skip
        twist, acceleration = np.zeros(6), np.zeros(6)
        for part, most, jerk, speed in parts:
            v, acceleration[part] = ramp(
                motion.twist[part], motion.acceleration[part], wanted[part],
                max_acceleration=most, max_jerk=jerk, period_s=period_s,
            )  # fmt: skip
            twist[part] = cap_norm(v, speed)
        return twist, acceleration

    def _bound(
        self, twist: Array, T_base_tcp: Array, q: Array, reaction_s: float
    ) -> tuple[Array, tuple[str, ...]]:
        """A twist in base with what leads beyond workspace, cone, joints or to a singularity taken away."""
        c, R = self.config, T_base_tcp[:3, :3]
        # Half of the acceleration: a corner of the box asks for three brakings at once.
        linear, box = keep_in_box(
            twist[:3], T_base_tcp[:3, 3], c.workspace_min_m, c.workspace_max_m,
            0.5 * c.max_linear_acceleration_m_s2, reaction_s,
        )  # fmt: skip
        angular, cone = keep_in_cone(
            twist[3:], R[:, 2], np.asarray(c.approach_axis), c.max_tilt_rad - TILT_MARGIN_RAD,
            0.5 * c.max_angular_acceleration_rad_s2, reaction_s,
        )  # fmt: skip
        kept = np.concatenate([linear, angular])
        scale, joint = joint_scale(
            self.model, q, self.T_flange_tcp, _rotate(R.T, kept), c.joints, reaction_s
        )
        return scale * kept, box + cone + ((joint,) if joint else ())

    def _cap_acceleration(self, acceleration: Array) -> Array:
        c = self.config
        return np.concatenate(
            [
                cap_norm(acceleration[:3], c.max_linear_acceleration_m_s2),
                cap_norm(acceleration[3:], c.max_angular_acceleration_rad_s2),
            ]
        )


def _rotate(R: Array, twist: Array) -> Array:
    return np.concatenate([R @ twist[:3], R @ twist[3:]])
