"""Slowing down before bounds: pure functions of numbers, used by `limits.py`.

Frame: base [m, rad, s], unless a name says otherwise. Twists are (v, omega) of the tcp.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lerobot_neuraltouch import kinematics
from lerobot_neuraltouch.kinematics import ArmModel, DampingConfig

Array = NDArray[np.float64]

_PROBE_S = 0.01
"""How far ahead along the joint velocities the distance from a singularity is differentiated."""
_SINGULAR = 1e-3
"""Singular values are taken as no smaller, so that joint velocities stay finite."""


def approach_speed(room: float, deceleration: float, reaction_s: float) -> float:
    """Largest speed towards a bound that is `room` away from which braking still ends before it.

    Solves ``speed * reaction_s + speed^2 / (2 deceleration) = room``; 0 at and beyond the bound.
    """
    if room <= 0.0:
        return 0.0
    return deceleration * (math.sqrt(reaction_s**2 + 2.0 * room / deceleration) - reaction_s)


def cap_norm(vector: Array, largest: float) -> Array:
    """The vector, shortened to a length of at most `largest`; its direction is kept."""
    length = math.hypot(*vector.tolist())
    return vector if length <= largest else vector * (largest / length)


def ramp(
    velocity: Array,
    acceleration: Array,
    target: Array,
    *,
    max_acceleration: float,
    max_jerk: float,
    period_s: float,
) -> tuple[Array, Array]:
    """Velocity and acceleration one period later on the way to a target velocity, all of shape (3,).

    The acceleration stays below its limit, changes by at most `max_jerk * period_s`, and fades near the target so
    that this jerk suffices to arrive without running past it by more than half a step of it.
    """
    error = target - velocity
    distance = math.hypot(*error.tolist())
    if distance == 0.0:
        wanted = np.zeros(3)
    else:
        # a^2 = 2 j d arrives under constant jerk; in discrete time a part of it is kept in hand.
        fading = math.sqrt(2.0 * _JERK_IN_USE * max_jerk * distance)
        wanted = error * (min(max_acceleration, fading, distance / period_s) / distance)
    acceleration = acceleration + cap_norm(wanted - acceleration, max_jerk * period_s)
    velocity = velocity + period_s * acceleration
    return (target.copy() if np.abs(target - velocity).max() < _SAME else velocity), acceleration


_JERK_IN_USE = 0.7
_SAME = 1e-9
"""Velocities nearer than this [m/s, rad/s] are the same."""


def keep_in_box(
    velocity: Array,
    position: Array,
    low: ArrayLike,
    high: ArrayLike,
    deceleration: float,
    reaction_s: float,
) -> tuple[Array, tuple[str, ...]]:
    """Take away what leads out of a box too fast to brake; motion along faces and back inside stays, shape (3,)."""
    kept, reasons = velocity.copy(), []
    for axis, (lower, upper) in enumerate(zip(np.asarray(low), np.asarray(high), strict=True)):
        outward = approach_speed(float(upper - position[axis]), deceleration, reaction_s)
        inward = -approach_speed(float(position[axis] - lower), deceleration, reaction_s)
        kept[axis] = min(max(velocity[axis], inward), outward)
        if kept[axis] != velocity[axis]:
            reasons.append(f"workspace {'-+'[bool(velocity[axis] > 0)]}{'xyz'[axis]}")
    return kept, tuple(reasons)


def keep_in_cone(
    omega: Array,
    approach: Array,
    axis: Array,
    max_tilt_rad: float,
    deceleration: float,
    reaction_s: float,
) -> tuple[Array, tuple[str, ...]]:
    """Take away the rotation that tilts the tool's approach direction out of a cone about an axis, shape (3,).

    Args:
        omega: Angular velocity.
        approach, axis: Unit vectors: z of the tcp, and the cone's axis.
        max_tilt_rad, deceleration, reaction_s: The cone's half angle, and how to brake before it.
    """
    (a, b, c), (x, y, z) = axis.tolist(), approach.tolist()
    normal = np.array([b * z - c * y, c * x - a * z, a * y - b * x])
    sine = math.hypot(*normal.tolist())
    if sine < 1e-9:  # on the axis no direction leads out; opposite to it every one leads back
        return omega, ()
    normal /= sine
    tilt = math.atan2(sine, float(axis @ approach))
    excess = float(omega @ normal) - approach_speed(max_tilt_rad - tilt, deceleration, reaction_s)
    return (omega, ()) if excess <= 0.0 else (omega - excess * normal, ("tilt",))


@dataclass(frozen=True, kw_only=True)
class JointBounds:
    """What joints may do; margins are kept from the model's own ranges."""

    margin_rad: float
    max_speed_rad_s: float
    deceleration_rad_s2: float
    min_singular_value: float
    singular_deceleration: float
    """How fast the approach to a singularity may slow down [1/s^2]."""


def joint_scale(
    model: ArmModel,
    q: Array,
    T_flange_tcp: Array,
    twist_tcp: Array,
    bounds: JointBounds,
    reaction_s: float,
) -> tuple[float, str]:
    """Largest scale in [0, 1] of a twist (in the tcp frame) that joints and singularities allow, and what demands it."""
    J = kinematics.jacobian(model, q, T_flange_tcp)
    weights = DampingConfig().weights
    U, s, Vt = np.linalg.svd(weights * J)
    dq = Vt.T @ ((U.T @ (weights[:, 0] * twist_tcp)) / np.maximum(s, _SINGULAR))
    scale, reason = 1.0, ""
    for name, angle, speed, lower, upper in zip(
        kinematics.JOINT_NAMES,
        q.tolist(),
        dq.tolist(),
        model.lower_rad,
        model.upper_rad,
        strict=True,
    ):
        room = (upper - angle if speed > 0 else angle - lower) - bounds.margin_rad
        allowed = approach_speed(room, bounds.deceleration_rad_s2, reaction_s)
        for most, limit in ((bounds.max_speed_rad_s, "speed"), (allowed, "limit")):
            if abs(speed) * scale > most + _SAME:
                scale, reason = most / abs(speed), f"{name} {limit}"
    ahead = kinematics.smallest_singular_value(model, q + _PROBE_S * dq, T_flange_tcp)
    closing = (float(s[-1]) - ahead) / _PROBE_S
    room = float(s[-1]) - bounds.min_singular_value
    allowed = approach_speed(room, bounds.singular_deceleration, reaction_s)
    if closing * scale > allowed + _SAME:
        scale, reason = allowed / closing, "singularity"
    return scale, reason
