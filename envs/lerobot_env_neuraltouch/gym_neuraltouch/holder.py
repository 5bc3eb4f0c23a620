"""What an object is held in at the start of a whole task: convex pieces around it, fixed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import manifold3d
import numpy as np
import trimesh
from numpy.typing import NDArray

from lerobot_neuraltouch.objects.model import ObjectModel
from lerobot_neuraltouch.objects.revolve import hull

Array = NDArray[np.float64]

PLATE_HALF_M = 0.30
"""The plate reaches this far around its holes and is the table for the object there [m]."""
FLOOR_M = 0.010
"""Thickness of the floor under a hole [m]."""


@dataclass(frozen=True, kw_only=True)
class Thread:
    """A screw joint along the object's z axis that ends with the thread."""

    turn_rad: float
    """Turned this far, the thread ends [rad]; counter-clockwise seen from above."""
    pitch_m: float
    """Rise in a full turn [m]."""
    friction_nm: float
    """Torque that it takes to turn it [Nm]."""
    height_m: float
    """Where the thread is in the object's frame [m]."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Holder:
    """Something fixed around an object, in the frame that the object has at the start."""

    pieces: tuple[trimesh.Trimesh, ...]
    """Convex pieces."""
    sink_m: float = 0.0
    """How far the object's base lies below the table's top at the start [m]. Then the pieces are the table for the object, and the
    fingers meet the table itself."""
    moving: ObjectModel | None = None
    """What of the object can move, in the object's frame; without it, all of it."""
    thread: Thread | None = None
    """What connects the two until it is turned to its end."""


def plate_with_holes(
    outlines: Sequence[Array], clearance_m: float, depth_m: float, floor_m: float
) -> Holder:
    """A plate flush with the table's top, with straight holes that an object's prongs stand in.

    Args:
        outlines: Convex sections of the prongs side by side along x, counter-clockwise [m], shapes (num_corners, 2).
        clearance_m: By how much a hole is wider than its prong: half of it is left on either side.
        depth_m: How deep the object's base lies below the top.
        floor_m: How far below the object's base the holes end [m].
    """
    holes = [_grown(outline, 0.5 * clearance_m) for outline in outlines]
    middles = [hole.mean(axis=0)[0] for hole in holes]
    borders = [-PLATE_HALF_M, *(0.5 * (a + b) for a, b in pairwise(middles)), PLATE_HALF_M]
    low, high = -floor_m - FLOOR_M, depth_m
    walls = [
        _prism(region, low, high)
        for hole, left, right in zip(holes, borders[:-1], borders[1:], strict=True)
        for region in _around(hole, left, right)
    ]
    floors = [_prism(hole, low, -floor_m) for hole in holes]
    return Holder(pieces=(*walls, *floors), sink_m=depth_m)


def _grown(outline: Array, by_m: float) -> Array:
    """The outline with every side moved outwards, shape (num_corners, 2)."""
    section = manifold3d.CrossSection([np.asarray(outline)], manifold3d.FillRule.NonZero)  # pyright: ignore[reportArgumentType]
    grown = section.offset(by_m, manifold3d.JoinType.Miter)
    return np.asarray(grown.to_polygons()[0], dtype=np.float64)


def _around(hole: Array, left: float, right: float) -> Iterable[Array]:
    """What is left of a strip of the plate around a hole: one convex region beyond each side, shapes (num_corners, 2)."""
    low, high = np.array([left, -PLATE_HALF_M]), np.array([right, PLATE_HALF_M])
    corners = np.array([[left, low[1]], [right, low[1]], [right, high[1]], [left, high[1]]])
    middle = hole.mean(axis=0)
    for start, end in zip(hole, np.roll(hole, -1, axis=0), strict=True):
        beyond = [_edge_of_box(middle, point - middle, low, high) for point in (start, end)]
        between = [c for c in corners if _is_between(start - middle, c - middle, end - middle)]
        yield np.array([start, end, *beyond, *between])


def _edge_of_box(origin: Array, direction: Array, low: Array, high: Array) -> Array:
    """Where a ray from inside a box leaves it, shape (2,)."""
    with np.errstate(divide="ignore"):
        reach = np.where(direction > 0, high - origin, low - origin) / direction
    reach[direction == 0] = np.inf
    return origin + reach.min() * direction


def _is_between(a: Array, b: Array, c: Array) -> bool:
    """Whether direction b lies between a and c, less than half a turn apart, counter-clockwise."""
    return bool(_cross(a, b) >= 0 and _cross(b, c) >= 0)


def _cross(a: Array, b: Array) -> float:
    return float(a[0] * b[1] - a[1] * b[0])


def _prism(outline: Array, low: float, high: float) -> trimesh.Trimesh:
    ends = [np.column_stack([outline, np.full(len(outline), z)]) for z in (low, high)]
    return hull(np.concatenate(ends))
