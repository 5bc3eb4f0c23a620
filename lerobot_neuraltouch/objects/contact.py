"""Ideal contacts on an object and the error of a pose against them.

A contact feature is a curve (or a set) of ideal tcp poses in the object frame, given by knots; between two knots
the pose moves with constant twist, so that lines, circles and helices are exact. Frames: see `lerobot_neuraltouch.features`.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.features import PRESS_DEPTH
from lerobot_neuraltouch.objects.pose_curve import PoseCurve, spin_matrix

DIRECTIONS = ("x", "y", "z", "rx", "ry", "rz")
"""Directions of the target frame: three translations, three rotations."""
_CIRCLE_KNOTS = 13
"""Of the circle that is left of a free spin; exact, because the twist between knots is constant."""


@dataclass(frozen=True, slots=True)
class ContactError:
    """Error of a tcp pose against the nearest ideal pose of a feature."""

    pos_error_m: float
    """Length of the translation error along the constrained directions, and beyond the ends of a slide [m]."""
    cos_error: float
    """1 - cos(angle_rad)."""
    angle_rad: float
    """Angle of the constrained rotation error [rad]."""
    along_m: float
    """Where the nearest ideal pose lies: signed arc length from the middle of the feature's curve [m]; 0 for a set of poses."""
    T_object_target: np.ndarray
    """The nearest ideal pose, shape (4, 4)."""
    T_object_goal: np.ndarray
    """That pose moved along its free directions to where the tcp is: only what counts as error is left to go, shape (4, 4)."""


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
    slide_m: tuple[float, float] = (0.0, 0.0)
    """How far an ideal pose may move along its own z axis, before any spin [m]."""
    spin180: bool = False
    """Whether a pose turned by 180 degrees about tcp z (fingers exchanged) is as good."""
    drawn_spin_rad: float = math.pi
    """Free spins are drawn within so much of the knots' own: every spin is ideal, but a hand may not come in with each [rad]."""

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
        if not self.slide_m[0] <= 0.0 <= self.slide_m[1]:
            raise ValueError(
                f"Feature '{self.name}': slide_m must be a range around 0, got {self.slide_m}."
            )
        if not 0.0 <= self.drawn_spin_rad <= math.pi:
            raise ValueError(
                f"Feature '{self.name}': drawn_spin_rad must lie in [0, pi], got {self.drawn_spin_rad}."
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
        return float(self._curve.arc_m[-1] - self._curve.arc_m[0])

    @cached_property
    def _constrained_axes(self) -> tuple[int, ...]:
        return tuple(axis for axis in range(3) if DIRECTIONS[axis] in self.constrained)

    @cached_property
    def _free(self) -> np.ndarray:
        """One for each free translation, zero for each constrained one, shape (3,)."""
        return np.array([float(axis not in self._constrained_axes) for axis in range(3)])

    @cached_property
    def _curve(self) -> PoseCurve:
        return PoseCurve.make(self.poses, self.connected, self.free_spin, self.spin180)

    def moved(self, offset: np.ndarray) -> "ContactFeature":
        """A contact beside this one, with the same constraints: each ideal pose moved within its own frame.

        What tilts a free spin's axis ends that freedom: of the spins, a circle of ideal poses is left.

        Args:
            offset: Twist in the target frame [m, rad], shape (6,).

        Raises:
            ValueError: If it is not a finite twist, or takes a whole curve of poses off their spin's axis.
        """
        twist = np.asarray(offset, dtype=np.float64)
        if twist.shape != (6,) or not np.isfinite(twist).all():
            raise ValueError(f"An offset of a contact is a finite twist (6,), got {offset}.")
        axis = self.free_spin
        off_axis = axis is not None and any(twist[i] != 0.0 for i in range(6) if i % 3 != axis)
        if not off_axis or axis is None:
            return replace(self, poses=self.poses @ se3.exp(twist))
        if len(self.poses) > 1:
            raise ValueError(
                f"Feature '{self.name}' may spin about {'xyz'[axis]} all along a curve: it can only be moved along and about that axis."
            )
        turns = np.linspace(0.0, 2.0 * math.pi, _CIRCLE_KNOTS)[:, None] * np.eye(6)[3 + axis]
        return replace(
            self,
            poses=self.poses[0] @ se3.exp(turns) @ se3.exp(twist),
            constrained=DIRECTIONS,
            connected=True,
            spin180=axis == 2,
        )

    def nearest(self, T_object_tcp: np.ndarray) -> ContactError:
        """Find the ideal pose that minimises (|dp| / 1 mm)^2 + (angle / 2 deg)^2 and read the error there.

        Args:
            T_object_tcp: Pose of the tcp in the object frame, shape (4, 4).
        """
        T_target, along_m = self._curve.nearest_on_curve(T_object_tcp)
        slide = T_target[:3, 2]
        beyond = self._slide(T_target, T_object_tcp[:3, 3])
        spin = self._curve.best_spin(T_target[:3, :3], T_object_tcp[:3, :3])
        if spin is not None:
            slide = slide.copy()
            T_target[:3, :3] = T_target[:3, :3] @ spin
        offset = (T_object_tcp[:3, 3] - T_target[:3, 3]) @ T_target[:3, :3]
        squared = sum(offset[axis] ** 2 for axis in self._constrained_axes)
        pos_error = math.sqrt(squared + beyond**2)
        T_goal = T_target.copy()
        T_goal[:3, 3] += T_target[:3, :3] @ (offset * self._free)
        if beyond != 0.0:
            T_goal[:3, 3] -= beyond * slide
        # At the best spin the rotation that is left has no part about the free axis: all of it is constrained.
        angle = _angle((T_target[:3, :3].T @ T_object_tcp[:3, :3]).tolist())
        return ContactError(pos_error, 1.0 - math.cos(angle), angle, along_m, T_target, T_goal)

    def _slide(self, T_target: np.ndarray, position: np.ndarray) -> float:
        """Move a target in place as far towards a position as the slide lets it; what is left beyond its end [m]."""
        low, high = self.slide_m
        if low == high:
            return 0.0
        wanted = float((position - T_target[:3, 3]) @ T_target[:3, 2])
        moved = min(max(wanted, low), high)
        T_target[:3, 3] += moved * T_target[:3, 2]
        return wanted - moved

    def sample(self, rng: np.random.Generator, share: float = 1.0) -> np.ndarray:
        """Draw an ideal tcp pose in the object frame, shape (4, 4): uniform along the curve and over the free spin, within `drawn_spin_rad`.

        Args:
            rng: Source of the draw.
            share: Part of the curve to draw from, around its middle, in (0, 1].
        """
        T = self._curve.draw(rng, share)
        low, high = self.slide_m
        if high > low:
            T[:3, 3] += (0.5 * (low + high) + share * (high - low) * rng.uniform(-0.5, 0.5)) * T[
                :3, 2
            ]
        if self.free_spin is not None:
            angle = rng.uniform(-self.drawn_spin_rad, self.drawn_spin_rad)
            T[:3, :3] = T[:3, :3] @ spin_matrix(self.free_spin, math.cos(angle), math.sin(angle))
        return T

    def curve(self, num: int = 64) -> np.ndarray:
        """Ideal poses evenly spread over the feature without free spins, shape (at most num, 4, 4): for pictures and plans."""
        poses = self._curve.poses
        picked = np.unique(np.linspace(0, len(poses) - 1, num).round().astype(int))
        return poses[picked].copy()


def _angle(R: list[list[float]]) -> float:
    """Rotation angle [rad], accurate near zero and near pi."""
    sine = math.hypot(R[2][1] - R[1][2], R[0][2] - R[2][0], R[1][0] - R[0][1])
    return math.atan2(sine, R[0][0] + R[1][1] + R[2][2] - 1.0)
