"""Mug handles: a path in the x-z plane, a rounded section swept along it, convex hulls between the sections.

Distances [m]; x is measured outwards from the middle of the mug's wall at the same height.
"""

from collections.abc import Callable
from dataclasses import dataclass

import manifold3d
import numpy as np

STYLES = ("loop", "right_angle")
HELD_OUT_STYLE = "ear"
"""Never in the streams that are trained on."""
NUM_LOOP_SECTIONS = 33
_OVERLAP_M = 2e-5
"""Neighbouring hulls that only share a face would leave slivers of empty space between them."""


@dataclass(frozen=True, kw_only=True)
class Handle:
    """Shape of a handle."""

    style: str
    """`loop` (half a superellipse), `right_angle` (three straight bars) or `ear` (two, which meet in a rounded bend)."""
    reach_m: float
    """From the middle of the wall to the outermost point of the centre line."""
    span_m: float
    """Height between the centre lines of both ends."""
    middle_m: float
    """Height of the middle between both ends above the base."""
    width_m: float
    """Size of the section across the handle's plane."""
    thickness_m: float
    """Size of the section within the handle's plane."""
    roundness: float
    """Exponent of the superellipse: 2 (ellipse) to 4 for a loop, little more than 1 for an ear."""
    corner_m: float
    """Radius of the centre line's corners of the right-angle style."""
    droop_m: float = 0.0
    """How far the outermost part lies below the middle between the ends."""

    def __post_init__(self) -> None:
        if self.style not in (*STYLES, HELD_OUT_STYLE):
            raise ValueError(
                f"Unknown handle style '{self.style}'. Available: {', '.join((*STYLES, HELD_OUT_STYLE))}."
            )


def centre_line(handle: Handle) -> np.ndarray:
    """Path from the upper to the lower end as (x out of the wall's middle, z), shape (num_points, 2)."""
    half = handle.span_m / 2.0
    if handle.style != "right_angle":
        angles = np.linspace(np.pi / 2, -np.pi / 2, 400)
        cosine, sine = np.cos(angles), np.sin(angles)
        power = 2.0 / handle.roundness
        x = handle.reach_m * np.maximum(cosine, 0.0) ** power
        z = half * np.sign(sine) * np.abs(sine) ** power
        path = _resample(np.column_stack([x, z]), NUM_LOOP_SECTIONS)
    else:
        path = _bars(handle.reach_m, half, max(handle.corner_m, 1e-4))
    drooped = path[:, 1] - handle.droop_m * path[:, 0] / handle.reach_m
    return np.column_stack([path[:, 0], handle.middle_m + drooped])


def sections(handle: Handle, wall_x: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    """Outlines across the centre line, shape (num_sections, num_points, 3); both ends lie in the middle of the wall.

    Args:
        wall_x: The x at which the middle of the wall lies, given y and z.
    """
    path = centre_line(handle)
    x = wall_x(np.zeros(len(path)), path[:, 1]) + path[:, 0]
    centres = np.column_stack([x, path[:, 1]])
    tangents = np.gradient(centres, axis=0)
    tangents[[0, -1]] = centres[[1, -1]] - centres[[0, -2]]
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    normals = np.column_stack([tangents[:, 1], -tangents[:, 0]])
    outline = _rounded_outline(handle.width_m, handle.thickness_m)
    rings = np.empty((len(path), len(outline), 3))
    rings[:, :, 1] = outline[:, 0]
    rings[:, :, [0, 2]] = centres[:, None] + normals[:, None] * outline[None, :, 1:]
    for end in (0, -1):
        rings[end, :, 2] = path[end, 1] + outline[:, 1] * np.sign(normals[end, 1])
        rings[end, :, 0] = wall_x(rings[end, :, 1], rings[end, :, 2])
    return rings


def hulls(rings: np.ndarray) -> list[manifold3d.Manifold]:
    """Convex hulls between each section and the next one, overlapping a little so that their union is one solid."""
    steps = np.diff(rings.mean(axis=1), axis=0)
    overlap = _OVERLAP_M * steps / np.linalg.norm(steps, axis=1, keepdims=True)
    starts = rings[:-1] - overlap[:, None]
    ends = rings[1:] + overlap[:, None]
    return [manifold3d.Manifold.hull_points(p) for p in np.concatenate([starts, ends], axis=1)]


def _rounded_outline(width: float, thickness: float, num: int = 24) -> np.ndarray:
    """A superellipse of exponent 3, shape (num, 2): flat sides, round edges."""
    angles = 2.0 * np.pi * (np.arange(num) + 0.5) / num
    x, y = np.cos(angles), np.sin(angles)
    scale = (np.abs(x) ** 3 + np.abs(y) ** 3) ** (-1.0 / 3.0)
    return np.column_stack([width / 2.0 * scale * x, thickness / 2.0 * scale * y])


def _bars(reach: float, half: float, corner: float) -> np.ndarray:
    """Three straight bars with rounded corners, shape (num_points, 2)."""
    turn = np.linspace(np.pi / 2, 0.0, 6)
    arc = corner * np.column_stack([np.cos(turn), np.sin(turn)])
    upper = np.array([reach - corner, half - corner]) + arc
    return np.concatenate([[[0.0, half]], upper, (upper * [1.0, -1.0])[::-1], [[0.0, -half]]])


def _resample(path: np.ndarray, num: int) -> np.ndarray:
    """Spread points along a path, half of them by length and half by turning, so that bends stay smooth; shape (num, 2)."""
    steps = np.diff(path, axis=0)
    lengths = np.linalg.norm(steps, axis=1)
    headings = np.unwrap(np.arctan2(steps[:, 1], steps[:, 0]))
    turns = np.abs(np.gradient(headings))
    weights = lengths / lengths.sum() + turns / turns.sum()
    places = np.concatenate([[0.0], np.cumsum(weights)])
    wanted = np.linspace(0.0, places[-1], num)
    return np.column_stack([np.interp(wanted, places, column) for column in path.T])
