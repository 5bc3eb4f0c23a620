"""Ideal contacts on an object and the error of a pose against them.

A contact feature is a curve (or a set) of ideal tcp poses in the object frame, given by knots; between two knots
the pose moves with constant twist, so that lines, circles and helices are exact. Frames: see `lerobot_neuraltouch.features`.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.features import PRESS_DEPTH

DIRECTIONS = ("x", "y", "z", "rx", "ry", "rz")
"""Directions of the target frame: three translations, three rotations."""
POSITION_SCALE_M = 0.001
ANGLE_SCALE_RAD = math.radians(2.0)
"""The nearest ideal pose weighs 1 mm like 2 degrees."""
_SPACING = 0.2
"""Distance of precomputed poses in these units (0.2 mm or 0.4 degrees); a parabola through three of them is exact enough."""
_STRIDE = 16
"""Every so many precomputed poses are tried first."""


@dataclass(frozen=True, slots=True)
class ContactError:
    """Error of a tcp pose against the nearest ideal pose of a feature."""

    pos_error_m: float
    """Length of the translation error along the constrained directions [m]."""
    cos_error: float
    """1 - cos(angle_rad)."""
    angle_rad: float
    """Angle of the constrained rotation error [rad]."""
    along_m: float
    """Where the nearest ideal pose lies: signed arc length from the middle of the feature's curve [m]; 0 for a set of poses."""
    T_object_target: np.ndarray
    """The nearest ideal pose, shape (4, 4)."""


@dataclass(frozen=True, eq=False)
class ContactFeature:
    """One kind of contact on one object: where the tcp should be, and which errors count."""

    name: str
    """For example `mug_rim`; the names that tasks know are in `lerobot_neuraltouch.features.TASKS`."""
    poses: np.ndarray
    """Knots of the curve of ideal tcp poses in the object frame, shape (num_knots, 4, 4)."""
    part_thickness_m: float
    """Size of the part between the pads at the target [m]."""
    constrained: tuple[str, ...] = DIRECTIONS
    """Directions of the target frame in which errors count. One rotation may be free: then any spin about that axis is ideal."""
    connected: bool = True
    """Whether the poses between the knots are ideal too; otherwise only the knots are."""
    spin180: bool = False
    """Whether a pose turned by 180 degrees about tcp z (fingers exchanged) is as good."""

    def __post_init__(self) -> None:
        poses = np.asarray(self.poses, dtype=np.float64)
        if poses.ndim != 3 or poses.shape[1:] != (4, 4) or len(poses) == 0:
            raise ValueError(
                f"Feature '{self.name}' needs poses of shape (num_knots, 4, 4), got {poses.shape}."
            )
        if not np.isfinite(poses).all():
            raise ValueError(f"Feature '{self.name}' has a pose with NaN or infinity.")
        orthogonal = np.swapaxes(poses[:, :3, :3], 1, 2) @ poses[:, :3, :3]
        if not np.allclose(orthogonal, np.eye(3), atol=1e-5) or np.any(
            np.linalg.det(poses[:, :3, :3]) < 0
        ):
            raise ValueError(f"Feature '{self.name}' has a pose whose rotation is not a rotation.")
        unknown = [name for name in self.constrained if name not in DIRECTIONS]
        if unknown:
            raise ValueError(
                f"Feature '{self.name}': unknown direction '{unknown[0]}'. Available: {', '.join(DIRECTIONS)}."
            )
        if sum(axis not in self.constrained for axis in DIRECTIONS[3:]) > 1:
            raise ValueError(
                f"Feature '{self.name}': at most one of rx, ry, rz can be free; "
                f"constrained are {', '.join(self.constrained)}."
            )
        if not 0.0 < self.part_thickness_m < np.inf:
            raise ValueError(
                f"Feature '{self.name}': part_thickness_m must be positive, got {self.part_thickness_m}."
            )
        object.__setattr__(self, "poses", poses)

    @property
    def finger_distance_m(self) -> float:
        """Distance of the undeformed pads at the target, both pressed by PRESS_DEPTH [m]; negative on thin parts."""
        return self.part_thickness_m - 2.0 * PRESS_DEPTH

    @property
    def free_spin(self) -> int | None:
        """Index of the tcp axis about which any spin is ideal, or None."""
        free = [axis for axis, name in enumerate(DIRECTIONS[3:]) if name not in self.constrained]
        return free[0] if free else None

    @property
    def length_m(self) -> float:
        """Length of the curve of ideal poses [m]."""
        return float(self._samples.arc_m[-1] - self._samples.arc_m[0])

    @cached_property
    def _constrained_axes(self) -> tuple[int, ...]:
        return tuple(axis for axis in range(3) if DIRECTIONS[axis] in self.constrained)

    @cached_property
    def _samples(self) -> "_Samples":
        return _Samples.make(self.poses, self.connected, self.free_spin, self.spin180)

    def nearest(self, T_object_tcp: np.ndarray) -> ContactError:
        """Find the ideal pose that minimises (|dp| / 1 mm)^2 + (angle / 2 deg)^2 and read the error there.

        Args:
            T_object_tcp: Pose of the tcp in the object frame, shape (4, 4).
        """
        T_target, along_m = self._samples.nearest_on_curve(T_object_tcp)
        spin = self._samples.best_spin(T_target[:3, :3], T_object_tcp[:3, :3])
        if spin is not None:
            T_target[:3, :3] = T_target[:3, :3] @ spin
        offset = (T_object_tcp[:3, 3] - T_target[:3, 3]) @ T_target[:3, :3]
        pos_error = math.sqrt(sum(offset[axis] ** 2 for axis in self._constrained_axes))
        # At the best spin the rotation that is left has no part about the free axis: all of it is constrained.
        angle = _angle((T_target[:3, :3].T @ T_object_tcp[:3, :3]).tolist())
        return ContactError(pos_error, 1.0 - math.cos(angle), angle, along_m, T_target)

    def sample(self, rng: np.random.Generator) -> np.ndarray:
        """Draw an ideal tcp pose in the object frame, shape (4, 4): uniform along the curve and over the free spin."""
        T = self._samples.draw(rng)
        if self.free_spin is not None:
            T = T @ se3.exp(_spin_twist(self.free_spin, rng.uniform(-np.pi, np.pi)))
        return T

    def curve(self, num: int = 64) -> np.ndarray:
        """Ideal poses evenly spread over the feature without free spins, shape (at most num, 4, 4): for pictures and plans."""
        poses = self._samples.poses
        picked = np.unique(np.linspace(0, len(poses) - 1, num).round().astype(int))
        return poses[picked].copy()


@dataclass(frozen=True, eq=False)
class _Samples:
    """Densely precomputed ideal poses, and what makes the search among them quick."""

    poses: np.ndarray
    """Shape (num_samples, 4, 4)."""
    steps: np.ndarray
    """Coefficients of the poses between each sample and the next one, shape (num_samples - 1, 4, 16), see `_steps`."""
    angles: np.ndarray
    """Rotation from each sample to the next one [rad], shape (num_samples - 1,)."""
    arc_m: np.ndarray
    """Signed arc length from the middle [m], shape (num_samples,)."""
    dense: "_Costs"
    coarse: "_Costs"
    spin_axis: int | None
    spin180: bool
    connected: bool

    @staticmethod
    def make(
        knots: np.ndarray, connected: bool, spin_axis: int | None, spin180: bool
    ) -> "_Samples":
        connected = connected and len(knots) > 1
        poses = _densify(knots) if connected else knots
        twists = se3.log(se3.inverse(poses[:-1]) @ poses[1:])
        arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(twists[:, :3], axis=1))])
        return _Samples(
            poses=poses,
            steps=_steps(poses[:-1], twists),
            angles=np.linalg.norm(twists[:, 3:], axis=1),
            arc_m=arc - arc[-1] / 2 if connected else np.zeros(len(poses)),
            dense=_Costs.make(poses, spin_axis, spin180),
            coarse=_Costs.make(poses[::_STRIDE] if connected else poses, spin_axis, spin180),
            spin_axis=spin_axis,
            spin180=spin180,
            connected=connected,
        )

    def nearest_on_curve(self, T: np.ndarray) -> tuple[np.ndarray, float]:
        """The best pose on the curve before any spin, shape (4, 4), and its signed arc length [m]."""
        coarse = int(self.coarse.at(T).argmin()) if len(self.coarse.constants) > 1 else 0
        if not self.connected:
            return self.poses[coarse].copy(), 0.0
        first = max(coarse * _STRIDE - _STRIDE, 0)
        costs = self.dense.at(T, first, coarse * _STRIDE + _STRIDE + 1)
        centre = min(max(int(costs.argmin()), 1), len(costs) - 2)
        before, here, after = costs[centre - 1 : centre + 2].tolist()
        curvature = before - 2.0 * here + after
        step = 0.5 * (before - after) / curvature if curvature > 0.0 else 0.0
        step = min(max(step, -1.0), 1.0)
        index = first + centre - (step < 0.0)
        return self.between(index, step + (step < 0.0))

    def between(self, index: int, fraction: float) -> tuple[np.ndarray, float]:
        """Pose and signed arc length [m] at a fraction of the way from one sample to the next."""
        angle = fraction * self.angles[index]
        terms = np.array([1.0, fraction, math.sin(angle), 1.0 - math.cos(angle)])
        arc = self.arc_m[index] + fraction * (self.arc_m[index + 1] - self.arc_m[index])
        return (terms @ self.steps[index]).reshape(4, 4), float(arc)

    def best_spin(self, R_target: np.ndarray, R: np.ndarray) -> np.ndarray | None:
        """The spin of the target, shape (3, 3), that leaves the smallest rotation to R; None if there is none to choose."""
        if self.spin_axis is None and not self.spin180:
            return None
        relative = (R_target.T @ R).tolist()
        axis = 2 if self.spin_axis is None else self.spin_axis
        i, j = (axis + 1) % 3, (axis + 2) % 3
        cosine, sine = relative[i][i] + relative[j][j], relative[j][i] - relative[i][j]
        if self.spin_axis is None:
            return None if cosine >= 0.0 else np.diag([-1.0, -1.0, 1.0])
        length = math.hypot(cosine, sine)
        if length < 1e-12:  # the axis points the opposite way: every spin is as bad
            return None
        spin = np.eye(3)
        spin[i, i] = spin[j, j] = cosine / length
        spin[j, i], spin[i, j] = sine / length, -sine / length
        return spin

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """A pose on the curve, uniform in its parameter (knots count alike where they are a set)."""
        if not self.connected:
            return self.poses[rng.integers(len(self.poses))].copy()
        position = rng.uniform(0.0, len(self.steps))
        index = min(int(position), len(self.steps) - 1)
        return self.between(index, position - index)[0]


@dataclass(frozen=True, eq=False)
class _Costs:
    """(|dp| / 1 mm)^2 + (angle / 2 deg)^2 of a tcp pose against samples at their best spin.

    Both terms are functions of numbers that are linear in the 12 entries of the tcp pose.
    """

    weights: np.ndarray
    """Shape (num_terms, num_samples, 12)."""
    constants: np.ndarray
    """|p_target|^2 [m^2], shape (num_samples,)."""
    spin_axis: int | None
    spin180: bool

    @staticmethod
    def make(poses: np.ndarray, spin_axis: int | None, spin180: bool) -> "_Costs":
        weights = _weights(poses, 2 if spin_axis is None else spin_axis)
        if spin_axis is None and not spin180:
            weights = np.stack([weights[0], weights[1] + weights[3]])
        constants = np.sum(poses[:, :3, 3] ** 2, axis=1)
        return _Costs(np.ascontiguousarray(weights), constants, spin_axis, spin180)

    def at(self, T: np.ndarray, first: int = 0, last: int | None = None) -> np.ndarray:
        """Cost of each sample in [first, last), shape (num_samples,)."""
        terms = self.weights[:, first:last] @ T[:3].ravel()
        if self.spin_axis is not None:
            trace = np.hypot(terms[1], terms[2]) + terms[3]
        elif self.spin180:
            trace = np.abs(terms[1]) + terms[3]
        else:
            trace = terms[1]
        cosine = np.minimum(np.maximum(0.5 * trace - 0.5, -1.0), 1.0)
        squared = self.constants[first:last] - 2.0 * terms[0] + T[:3, 3].dot(T[:3, 3])
        return squared * POSITION_SCALE_M**-2 + np.arccos(cosine) ** 2 * ANGLE_SCALE_RAD**-2


def _densify(knots: np.ndarray) -> np.ndarray:
    """Fill a curve with poses evenly spaced along it (in the units of the cost), shape (num_samples, 4, 4)."""
    twists = se3.log(se3.inverse(knots[:-1]) @ knots[1:])
    scaled = twists / np.repeat([POSITION_SCALE_M, ANGLE_SCALE_RAD], 3)
    lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(scaled, axis=1))])
    num = max(math.ceil(lengths[-1] / _SPACING) + 1, 3)
    places = np.linspace(0.0, lengths[-1], num)
    segment = np.clip(np.searchsorted(lengths, places, side="right") - 1, 0, len(twists) - 1)
    fraction = (places - lengths[segment]) / np.maximum(
        lengths[segment + 1] - lengths[segment], 1e-12
    )
    return knots[segment] @ se3.exp(fraction[:, None] * twists[segment])


def _steps(poses: np.ndarray, twists: np.ndarray) -> np.ndarray:
    """Write T exp(u twist) as a sum over (1, u, sin(u angle), 1 - cos(u angle)) of constant 4x4 matrices.

    Args:
        poses, twists: Starts and the twists (v, omega) followed from there, shapes (num, 4, 4) and (num, 6).

    Returns:
        The matrices, flattened, shape (num, 4, 16). Source: Rodrigues' formula.
    """
    angles = np.linalg.norm(twists[:, 3:], axis=1)
    turning = angles > 1e-9
    inverse_angles = np.where(turning, 1.0 / np.where(turning, angles, 1.0), 0.0)
    axes = twists[:, 3:] * inverse_angles[:, None]
    cross = np.zeros((len(twists), 3, 3))
    cross[:, [2, 0, 1], [1, 2, 0]] = axes
    cross[:, [1, 2, 0], [2, 0, 1]] = -axes
    squared = cross @ cross
    v = twists[:, :3, None]
    terms = np.zeros((len(twists), 4, 4, 4))
    terms[:, 0] = np.eye(4)
    terms[:, 1, :3, 3:] = v + squared @ v
    terms[:, 2, :3, :3], terms[:, 3, :3, :3] = cross, squared
    terms[:, 2, :3, 3:] = -inverse_angles[:, None, None] * (squared @ v)
    terms[:, 3, :3, 3:] = inverse_angles[:, None, None] * (cross @ v)
    return (poses[:, None] @ terms).reshape(-1, 4, 16)


def _weights(poses: np.ndarray, axis: int) -> np.ndarray:
    """Coefficients over the 12 entries of a tcp pose T of: p . p_target, then of M = R_target^T R the terms
    M_ii + M_jj, M_ji - M_ij and M_kk, with k the spin axis; shape (4, num_samples, 12).
    """
    i, j = (axis + 1) % 3, (axis + 2) % 3
    weights = np.zeros((4, len(poses), 3, 4))
    weights[0, :, :, 3] = poses[:, :3, 3]
    terms = ((i, i, 1, 1), (j, j, 1, 1), (j, i, 2, 1), (i, j, 2, -1), (axis, axis, 3, 1))
    for row, column, term, sign in terms:
        weights[term, :, :, column] += sign * poses[:, :3, row]
    return weights.reshape(4, len(poses), 12)


def _angle(R: list[list[float]]) -> float:
    """Rotation angle [rad], accurate near zero and near pi."""
    sine = math.hypot(R[2][1] - R[1][2], R[0][2] - R[2][0], R[1][0] - R[0][1])
    return math.atan2(sine, R[0][0] + R[1][1] + R[2][2] - 1.0)


def _spin_twist(axis: int, angle: float) -> np.ndarray:
    twist = np.zeros(6)
    twist[3 + axis] = angle
    return twist
