"""Kinematics of the UR5e and the UR5 (CB3): forward, Jacobian, inverse, and joint velocities for a tcp twist.

Frames: frame 0 is the arm's base as the controller shows it (z up), frame i moves with joint i, frame 6 is the tool
flange (z out of it); the tcp is fixed to the flange by ``T_flange_tcp``. Angles in radians, lengths in metres. Real
arms differ from these nominal tables by millimetres (each is calibrated on its own): use them for simulation, margins
and velocities, and the controller's own pose as the measured one.

Sources: Universal Robots, "DH Parameters for calculations of kinematics and dynamics" (standard Denavit-Hartenberg
tables); joint ranges, speeds and torques from the user manuals (UR5e 5.8, UR5/CB3 3.13) and "Max. joint torques".
"""

import itertools
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

JOINT_NAMES = ("shoulder_pan", "shoulder_lift", "elbow", "wrist_1", "wrist_2", "wrist_3")
_TURN = 2 * math.pi


class UnreachableError(ValueError):
    """No joint angles within the limits reach the wanted pose."""


@dataclass(frozen=True)
class ArmModel:
    """One arm of the UR kind: ``T_(i-1)_i = Rz(q_i) Tz(d_i) Tx(a_i) Rx(alpha_i)``, i = 1 .. 6."""

    name: str
    a_m: tuple[float, ...]
    """Link lengths a_1 .. a_6 [m]."""
    d_m: tuple[float, ...]
    """Link offsets d_1 .. d_6 [m]."""
    alpha_rad: tuple[float, ...] = (math.pi / 2, 0.0, 0.0, math.pi / 2, -math.pi / 2, 0.0)
    """Link twists alpha_1 .. alpha_6 [rad]; `inverse` is worked out for these."""
    lower_rad: tuple[float, ...] = (-_TURN, -_TURN, -math.pi, -_TURN, -_TURN, -_TURN)
    """Smallest joint angles [rad]. The elbow cannot pass half a turn: the links meet (UR's ROS description)."""
    upper_rad: tuple[float, ...] = (_TURN, _TURN, math.pi, _TURN, _TURN, _TURN)
    """Largest joint angles [rad]."""
    max_speed_rad_per_s: tuple[float, ...] = (math.pi,) * 6
    """Largest joint speeds [rad/s]."""
    max_torque_nm: tuple[float, ...] = (150.0, 150.0, 150.0, 28.0, 28.0, 28.0)
    """Largest joint torques [Nm]."""

    def __post_init__(self) -> None:
        for name, values in vars(self).items():
            if name != "name" and len(values) != 6:
                raise ValueError(f"{name} needs six values, one per joint, got {values}.")

    @cached_property
    def links(self) -> Array:
        """``Tz(d_i) Tx(a_i) Rx(alpha_i)``: frame i seen from joint i's axis, which does not depend on q, shape (6, 4, 4)."""
        links = np.zeros((6, 4, 4))
        c, s = np.cos(self.alpha_rad), np.sin(self.alpha_rad)
        links[:, 0, 0] = links[:, 3, 3] = 1.0
        links[:, 1, 1], links[:, 1, 2] = c, -s
        links[:, 2, 1], links[:, 2, 2] = s, c
        links[:, 0, 3], links[:, 2, 3] = self.a_m, self.d_m
        return links


UR5E = ArmModel(
    name="ur5e",
    a_m=(0.0, -0.425, -0.3922, 0.0, 0.0, 0.0),
    d_m=(0.1625, 0.0, 0.0, 0.1333, 0.0997, 0.0996),
)
UR5 = ArmModel(
    name="ur5",
    a_m=(0.0, -0.425, -0.39225, 0.0, 0.0, 0.0),
    d_m=(0.089159, 0.0, 0.0, 0.10915, 0.09465, 0.0823),
)
ARMS = {arm.name: arm for arm in (UR5E, UR5)}


def get_arm(name: str) -> ArmModel:
    """Look up an arm by its name.

    Raises:
        ValueError: If there is no such arm; the message lists those that exist.
    """
    if name not in ARMS:
        raise ValueError(f"Unknown arm '{name}'. Available: {', '.join(sorted(ARMS))}.")
    return ARMS[name]


# --- forward ---------------------------------------------------------------------------------------------------------


def link_frames(model: ArmModel, q: ArrayLike) -> Array:
    """T_base_i of the frames 0 (base) to 6 (flange).

    Args:
        model: The arm.
        q: Joint angles [rad], shape (..., 6).

    Returns:
        Shape (..., 7, 4, 4).

    Raises:
        ValueError: If q does not end in six joints.
    """
    q = _check_joints(q)
    turns = np.zeros((*q.shape, 4, 4))
    c, s = np.cos(q), np.sin(q)
    turns[..., 0, 0], turns[..., 0, 1] = c, -s
    turns[..., 1, 0], turns[..., 1, 1] = s, c
    turns[..., 2, 2] = turns[..., 3, 3] = 1.0
    frames = np.empty((*q.shape[:-1], 7, 4, 4))
    frames[..., 0, :, :] = np.eye(4)
    frames[..., 1:, :, :] = turns @ model.links
    for stride in (1, 2, 4):  # products of all beginnings, in three calls instead of six
        tail = frames[..., 1 : 7 - stride, :, :] @ frames[..., 1 + stride :, :, :]
        frames[..., 1 + stride :, :, :] = tail
    return frames


def forward(model: ArmModel, q: ArrayLike) -> Array:
    """T_base_flange, shape (..., 4, 4), at joint angles [rad], shape (..., 6)."""
    return link_frames(model, q)[..., 6, :, :]


def jacobian(
    model: ArmModel,
    q: ArrayLike,
    T_flange_tcp: Array | None = None,
    *,
    frame: Literal["tcp", "base"] = "tcp",
) -> Array:
    """Geometric Jacobian: the tcp's twist (v, omega) = J(q) dq/dt [m/s, rad/s].

    Args:
        model: The arm.
        q: Joint angles [rad], shape (..., 6).
        T_flange_tcp: The tcp on the flange, shape (4, 4); the flange itself by default.
        frame: Axes that v (of the tcp's origin) and omega are written in.

    Returns:
        Shape (..., 6, 6).

    Raises:
        ValueError: If q does not end in six joints, or there is no such frame.
    """
    if frame not in ("tcp", "base"):
        raise ValueError(f"Unknown frame '{frame}'. Available: tcp, base.")
    frames = link_frames(model, q)
    T_base_tcp = (
        frames[..., 6, :, :] if T_flange_tcp is None else frames[..., 6, :, :] @ T_flange_tcp
    )
    R = np.eye(3) if frame == "base" else np.swapaxes(T_base_tcp[..., :3, :3], -1, -2)
    # Columns of `axes` and `arms`: each joint's axis, and the way from the joint to the tcp.
    axes = R @ np.swapaxes(frames[..., :6, :3, 2], -1, -2)
    arms = R @ np.swapaxes(T_base_tcp[..., None, :3, 3] - frames[..., :6, :3, 3], -1, -2)
    x, y, z = axes[..., 0, :], axes[..., 1, :], axes[..., 2, :]
    a, b, c = arms[..., 0, :], arms[..., 1, :], arms[..., 2, :]
    # np.cross along the columns takes several times as long.
    J = np.empty((*axes.shape[:-2], 6, 6))
    J[..., 0, :], J[..., 1, :], J[..., 2, :] = y * c - z * b, z * a - x * c, x * b - y * a
    J[..., 3:, :] = axes
    return J


# --- inverse ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class InverseSolutions:
    """Joint angles that reach a pose, nearest to the reference first."""

    q: Array
    """Joint angles [rad], shape (num_solutions, 6); at most eight rows, none if the pose is out of reach."""
    wrist_is_free: NDArray[np.bool_]
    """Whether sin(wrist_2) = 0 there, shape (num_solutions,): the axes of wrist_1 and wrist_3 are parallel, infinitely many
    joint angles reach the pose, and the row is the member of that family that has the reference's wrist_3."""


def inverse(
    model: ArmModel, T_base_flange: Array, q_near: ArrayLike | None = None
) -> InverseSolutions:
    """All joint angles within the limits that reach a pose, in closed form.

    Up to eight branches: shoulder left or right, wrist up or down, elbow up or down. Where two branches meet (arm
    stretched, wrist centre at its least distance from the first axis) they are given once. Each joint is shifted by whole turns
    to lie as near to the reference as the limits allow.

    Derivation: Hawkins, "Analytic Inverse Kinematics for the Universal Robots UR-5/UR-10 Arms" (2013), with the angles
    of the wrist taken from two-argument arc tangents of directions, which stay exact near the singularities.

    Args:
        model: The arm.
        T_base_flange: Wanted pose of the flange, shape (4, 4).
        q_near: Reference joint angles [rad], shape (6,); zeros by default.

    Raises:
        ValueError: If the pose is no rigid transform or the reference no six finite angles.
    """
    T = _check_pose(T_base_flange).tolist()
    reference = _check_six(np.zeros(6) if q_near is None else q_near, "Joint angles").tolist()
    found: list[tuple[float, list[float], bool]] = []
    for signs in itertools.product((1, -1), repeat=3):
        branch = _solve_branch(model, T, reference[5], *signs)
        if branch is None:
            continue
        q, free = branch
        nearest = _shift_turns(model, q, reference)
        if nearest is None or any(math.dist(nearest, other) < _SAME_RAD for _, other, _ in found):
            continue
        found.append((math.dist(nearest, reference), nearest, free))
    found.sort(key=lambda solution: solution[0])
    return InverseSolutions(
        q=np.array([q for _, q, _ in found]).reshape(-1, 6),
        wrist_is_free=np.array([free for _, _, free in found], dtype=bool),
    )


def nearest_inverse(model: ArmModel, T_base_flange: Array, q_near: ArrayLike) -> Array:
    """The joint angles that reach a pose with the least motion from q_near [rad], shape (6,).

    Raises:
        UnreachableError: If none within the limits does.
        ValueError: As `inverse`.
    """
    solutions = inverse(model, T_base_flange, q_near)
    if not len(solutions.q):
        position = np.round(np.asarray(T_base_flange)[:3, 3], 4).tolist()
        raise UnreachableError(
            f"The {model.name}'s flange cannot reach position {position} m with this orientation within its joint limits."
        )
    return solutions.q[0]


_SAME_RAD = 1e-6
"""Branches nearer than this to one another are one: where two meet, rounding drives them apart by 1e-8."""
_EDGE = 1e-9
"""Cosines may exceed one by this much, 0.2 nm in reach: where a stretched arm ends is only known to rounding."""
_ROUNDING = 1e-12
"""Angles may exceed their limits by this share of a turn."""
_FREE_SINE = 1e-10
"""Below this sine of wrist_2, wrist_3 is free: choosing it changes the flange's direction by no more."""


def _solve_branch(
    model: ArmModel,
    T: list[list[float]],
    free_wrist_3: float,
    shoulder: int,
    wrist: int,
    elbow: int,
) -> tuple[list[float], bool] | None:
    """Joint angles of one branch, and whether wrist_3 was free to choose; None out of reach.

    All motion of joints 2, 3 and 4 happens in the plane spanned by u (horizontal) and z, normal to n, the common
    direction of their axes; coordinates (along u, along z).
    """
    a2, a3 = model.a_m[1:3]
    d1, d4, d5, d6 = (model.d_m[i] for i in (0, 3, 4, 5))
    x6, y6, z6, p6 = zip(*T[:3], strict=True)
    p5 = [p - d6 * z for p, z in zip(p6, z6, strict=True)]
    # The wrist's centre lies d4 beside the plane, which fixes its direction.
    distance = math.hypot(p5[0], p5[1])
    if distance == 0.0 or d4 > distance * (1 + _EDGE):
        return None
    q1 = math.atan2(p5[1], p5[0]) + shoulder * math.acos(min(d4 / distance, 1.0)) + math.pi / 2
    c1, s1 = math.cos(q1), math.sin(q1)
    along_x, along_y, along_z = (s1 * axis[0] - c1 * axis[1] for axis in (x6, y6, z6))
    sine = math.hypot(along_x, along_y)
    q5 = math.atan2(wrist * sine, along_z)
    free = sine < _FREE_SINE
    q6 = free_wrist_3 if free else math.atan2(-wrist * along_y, wrist * along_x)
    c6, s6 = math.cos(q6), math.sin(q6)
    z4 = [-s6 * x - c6 * y for x, y in zip(x6, y6, strict=True)]
    p4 = [p - d5 * z for p, z in zip(p5, z4, strict=True)]
    u, z = c1 * p4[0] + s1 * p4[1], p4[2] - d1
    cosine = (u * u + z * z - a2 * a2 - a3 * a3) / (2 * a2 * a3)
    if abs(cosine) > 1 + _EDGE:
        return None
    q3 = elbow * math.acos(max(-1.0, min(1.0, cosine)))
    q2 = math.atan2(z, u) - math.atan2(a3 * math.sin(q3), a2 + a3 * math.cos(q3))
    q234 = math.atan2(c1 * z4[0] + s1 * z4[1], -z4[2])
    return [q1, q2, q3, q234 - q2 - q3, q5, q6], free


def _shift_turns(model: ArmModel, q: list[float], reference: list[float]) -> list[float] | None:
    """Shift each joint by whole turns to the nearest place to the reference within its limits; None if there is none."""
    shifted = []
    for angle, near, lower, upper in zip(
        q, reference, model.lower_rad, model.upper_rad, strict=True
    ):
        most = math.floor((upper - angle) / _TURN + _ROUNDING)
        least = math.ceil((lower - angle) / _TURN - _ROUNDING)
        if least > most:
            return None
        turns = min(max(round((near - angle) / _TURN), least), most)
        shifted.append(min(max(angle + turns * _TURN, lower), upper))
    return shifted


# --- joint velocities for a twist ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class DampingConfig:
    """How joint velocities are kept small near singularities: damped least squares, each singular direction on its own.

    With singular value s below the threshold e, lambda^2 = e^2 - s^2, so the gain 1 / s becomes s / (s^2 + lambda^2) = s / e^2:
    it never exceeds 1 / e and falls to nothing at the singularity. What the arm can still do there is done exactly; only
    the direction it loses fades. (Variable damping: Nakamura and Hanafusa, J. Dyn. Sys. Meas. Control 108, 1986; of single
    directions: Maciejewski and Klein, J. Robotic Systems 5(6), 1988.)
    """

    length_m: float = 0.1
    """Length that makes metres and radians one: singular values are those of the Jacobian with v / length_m [m]."""
    threshold: float = 0.1
    """Smallest singular value without damping. A UR5e with bent elbow and wrist has 0.4-0.65; 0.1 is wrist_2 10 degrees, or the
    elbow 10 degrees, from its singularity."""

    def __post_init__(self) -> None:
        for name in ("length_m", "threshold"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}.")

    @cached_property
    def weights(self) -> Array:
        """What rows of a Jacobian are multiplied by to make metres and radians one, shape (6, 1)."""
        return np.array([[1 / self.length_m]] * 3 + [[1.0]] * 3)


@dataclass(frozen=True)
class JointMotion:
    """Joint velocities for a twist, and what was left of the twist."""

    velocity: Array
    """dq/dt [rad/s], shape (6,)."""
    twist: Array
    """The twist (v, omega) that they give, in the tcp frame [m/s, rad/s], shape (6,)."""
    scale: float
    """What joint limits left of the speed, in [0, 1]; the direction is kept."""
    smallest_singular_value: float
    """Of the Jacobian with v / `length_m`: the distance from a singularity."""
    limited_by: tuple[str, ...]
    """Why the twist is not the wanted one: "singularity", and "<joint> speed", "<joint> upper limit" or "<joint> lower limit"
    for the joint that demands the smallest scale. Empty if it is."""


def differential_ik(
    model: ArmModel,
    q: ArrayLike,
    twist: ArrayLike,
    T_flange_tcp: Array | None = None,
    *,
    period_s: float,
    damping: DampingConfig = DampingConfig(),
) -> JointMotion:
    """Joint velocities that move the tcp with a twist, damped near singularities and scaled to the joint limits.

    All velocities are scaled alike until each joint keeps its speed limit and, going on for one period, stays within its range; a joint
    beyond a limit may only return. So a limit slows the motion down and never bends it. (Damping does bend it: near a singularity
    the lost direction fades first.)

    Args:
        model: The arm.
        q: Joint angles [rad], shape (6,).
        twist: Wanted (v, omega) of the tcp in its own frame [m/s, rad/s], shape (6,).
        T_flange_tcp: The tcp on the flange, shape (4, 4); the flange itself by default.
        period_s: How long the velocities will be held [s].
        damping: Near singularities.

    Raises:
        ValueError: If q or twist are not six finite numbers, or the period is not positive.
    """
    q, wanted = _check_six(q, "Joint angles"), _check_six(twist, "A twist")
    if not period_s > 0:
        raise ValueError(f"period_s must be positive, got {period_s}.")
    J = jacobian(model, q, T_flange_tcp)
    velocity, lost, smallest = _damped_velocity(J, wanted, damping)
    scale, reason = _limit_scale(model, q, velocity, period_s)
    velocity = scale * velocity
    limited_by = ("singularity",) * (lost > _LOST_SHARE) + (reason,) * (scale < 1.0)
    return JointMotion(velocity, J @ velocity, scale, smallest, limited_by)


_LOST_SHARE = 1e-6
"""A singularity is named as the reason when damping takes more than this share of a twist."""


def smallest_singular_value(
    model: ArmModel,
    q: ArrayLike,
    T_flange_tcp: Array | None = None,
    damping: DampingConfig = DampingConfig(),
) -> float:
    """Distance of joint angles [rad], shape (6,), from a singularity: that of `JointMotion`."""
    weighted = damping.weights * jacobian(model, _check_six(q, "Joint angles"), T_flange_tcp)
    return float(np.linalg.svd(weighted, compute_uv=False)[-1])


def _damped_velocity(J: Array, twist: Array, config: DampingConfig) -> tuple[Array, float, float]:
    """Damped solution of J dq = twist, the share of the (weighted) twist that damping takes, and the smallest singular value."""
    weights = config.weights
    U, s, Vt = np.linalg.svd(weights * J)
    gains = s / np.maximum(s, config.threshold) ** 2
    wanted = U.T @ (weights[:, 0] * twist)
    smallest, lost = float(s[-1]), 0.0
    if smallest < config.threshold:
        lost = math.hypot(*((1 - s * gains) * wanted)) / (math.hypot(*wanted) or 1.0)
    return Vt.T @ (gains * wanted), lost, smallest


_STILL_RAD_PER_S = 1e-9
"""No limit stops a joint that is slower than this: rounding would hold an arm that moves along its limit."""


def _limit_scale(model: ArmModel, q: Array, velocity: Array, period_s: float) -> tuple[float, str]:
    """Largest scale in [0, 1] that all joint limits allow, and the limit that demands it."""
    scale, reason = 1.0, ""
    for name, angle, speed, lower, upper, fastest in zip(
        JOINT_NAMES, q.tolist(), velocity.tolist(),
        model.lower_rad, model.upper_rad, model.max_speed_rad_per_s, strict=True,
    ):  # fmt: skip
        room = upper - angle if speed > 0 else angle - lower
        end = "upper" if speed > 0 else "lower"
        for allowed, limit in ((fastest, "speed"), (max(room, 0.0) / period_s, f"{end} limit")):
            if abs(speed) * scale > allowed + _STILL_RAD_PER_S:
                scale, reason = allowed / abs(speed), f"{name} {limit}"
    return scale, reason


# --- checks ----------------------------------------------------------------------------------------------------------


def _check_joints(q: ArrayLike) -> Array:
    joints = np.asarray(q, dtype=np.float64)
    if joints.shape[-1:] != (6,):
        raise ValueError(f"Joint angles have shape (..., 6), got {joints.shape}.")
    return joints


def _check_six(values: ArrayLike, what: str) -> Array:
    six = np.asarray(values, dtype=np.float64)
    if six.shape != (6,) or not all(map(math.isfinite, six.tolist())):
        raise ValueError(f"{what}: six finite numbers, got {values}.")
    return six


def _check_pose(T: Array) -> Array:
    pose = np.asarray(T, dtype=np.float64)
    if pose.shape != (4, 4) or not np.isfinite(pose).all():
        raise ValueError(f"A pose is a finite array of shape (4, 4), got {T}.")
    R = pose[:3, :3]
    if np.abs(R.T @ R - np.eye(3)).max() > _RIGID or np.linalg.det(R) < 0:
        raise ValueError(
            f"The rotation of a pose must be orthonormal and right-handed, got {R.tolist()}."
        )
    return pose


_RIGID = 1e-6
"""How far a rotation may be from orthonormal."""
