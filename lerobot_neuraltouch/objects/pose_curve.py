"""Search for the nearest pose on a curve of poses, quick enough for every control step.

Between two knots the pose moves with constant twist. Frames: object, tcp; lengths [m], angles [rad].
"""

import math
from dataclasses import dataclass

import numpy as np

from lerobot_neuraltouch import se3

POSITION_SCALE_M = 0.001
ANGLE_SCALE_RAD = math.radians(2.0)
"""The nearest ideal pose weighs 1 mm like 2 degrees."""
_SPACING = 0.2
"""Distance of precomputed poses in these units (0.2 mm or 0.4 degrees); a parabola through three of them is exact enough."""
_STRIDE = 16
"""Every so many precomputed poses are tried first."""


@dataclass(frozen=True, eq=False)
class PoseCurve:
    """Densely precomputed ideal poses, and what makes the search among them quick."""

    poses: np.ndarray
    """Shape (num_samples, 4, 4)."""
    steps: np.ndarray
    """Coefficients of the poses between each sample and the next one, shape (num_samples - 1, 4, 16), see `_steps`."""
    angles: np.ndarray
    """Rotation from each sample to the next one [rad], shape (num_samples - 1,)."""
    arc_m: np.ndarray
    """Signed arc length from the middle [m], shape (num_samples,)."""
    dense: "PoseCosts"
    coarse: "PoseCosts"
    spin_axis: int | None
    spin180: bool
    connected: bool

    @staticmethod
    def make(
        knots: np.ndarray, connected: bool, spin_axis: int | None, spin180: bool
    ) -> "PoseCurve":
        """Precompute a curve through knots (or only the knots, if not connected), shape (num_knots, 4, 4)."""
        connected = connected and len(knots) > 1
        poses = _densify(knots) if connected else knots
        twists = se3.log(se3.inverse(poses[:-1]) @ poses[1:])
        arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(twists[:, :3], axis=1))])
        return PoseCurve(
            poses=poses,
            steps=_steps(poses[:-1], twists),
            angles=np.linalg.norm(twists[:, 3:], axis=1),
            arc_m=arc - arc[-1] / 2 if connected else np.zeros(len(poses)),
            dense=PoseCosts.make(poses, spin_axis, spin180),
            coarse=PoseCosts.make(poses[::_STRIDE] if connected else poses, spin_axis, spin180),
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
        return spin_matrix(axis, cosine / length, sine / length)

    def draw(self, rng: np.random.Generator, share: float = 1.0) -> np.ndarray:
        """A pose in the middle `share` of the curve, uniform in its parameter (knots count alike where they are a set)."""
        if not self.connected:
            return self.poses[rng.integers(len(self.poses))].copy()
        position = len(self.steps) * (0.5 + share * rng.uniform(-0.5, 0.5))
        index = min(int(position), len(self.steps) - 1)
        return self.between(index, position - index)[0]


@dataclass(frozen=True, eq=False)
class PoseCosts:
    """(|dp| / 1 mm)^2 + (angle / 2 deg)^2 of a tcp pose against samples at their best spin.

    Both terms are functions of numbers that are linear in the 12 entries of the tcp pose.
    """

    weights: np.ndarray
    """Shape (num_samples, num_terms, 12)."""
    constants: np.ndarray
    """|p_target|^2 [m^2], shape (num_samples,)."""
    spin_axis: int | None
    spin180: bool

    @staticmethod
    def make(poses: np.ndarray, spin_axis: int | None, spin180: bool) -> "PoseCosts":
        """Precompute the coefficients for ideal poses, shape (num_samples, 4, 4)."""
        weights = _weights(poses, 2 if spin_axis is None else spin_axis)
        if spin_axis is None and not spin180:
            weights = np.stack([weights[:, 0], weights[:, 1] + weights[:, 3]], axis=1)
        constants = np.sum(poses[:, :3, 3] ** 2, axis=1)
        return PoseCosts(np.ascontiguousarray(weights), constants, spin_axis, spin180)

    def at(self, T: np.ndarray, first: int = 0, last: int | None = None) -> np.ndarray:
        """Cost of each sample in [first, last), shape (num_samples,)."""
        weights = self.weights[first:last]
        num_terms = weights.shape[1]
        # One flat product is three times quicker than a stack of them.
        terms = (weights.reshape(-1, 12) @ T[:3].ravel()).reshape(-1, num_terms).T
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
    M_ii + M_jj, M_ji - M_ij and M_kk, with k the spin axis; shape (num_samples, 4, 12).
    """
    i, j = (axis + 1) % 3, (axis + 2) % 3
    weights = np.zeros((len(poses), 4, 3, 4))
    weights[:, 0, :, 3] = poses[:, :3, 3]
    terms = ((i, i, 1, 1), (j, j, 1, 1), (j, i, 2, 1), (i, j, 2, -1), (axis, axis, 3, 1))
    for row, column, term, sign in terms:
        weights[:, term, :, column] += sign * poses[:, :3, row]
    return weights.reshape(len(poses), 4, 12)


def spin_matrix(axis: int, cosine: float, sine: float) -> np.ndarray:
    """Rotation about one of the axes x, y, z (0, 1, 2), shape (3, 3)."""
    i, j = (axis + 1) % 3, (axis + 2) % 3
    spin = np.eye(3)
    spin[i, i] = spin[j, j] = cosine
    spin[j, i], spin[i, j] = sine, -sine
    return spin
