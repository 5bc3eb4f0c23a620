"""Approximate a solid by convex pieces, for physics.

The solid is cut by planes, always the piece whose hull sticks out farthest, at the place that leaves the least empty space
in the hulls of both sides; then pieces whose common hull fits are put together again. The number of pieces is bounded:
where the shape asks for more, those that fit worst stay as they are.
"""

import heapq
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, count
from typing import Any

import manifold3d
import numpy as np
import trimesh

from lerobot_neuraltouch.objects.model import to_trimesh
from lerobot_neuraltouch.objects.solid import make_solid
from lerobot_neuraltouch.objects.views import Scene, make_scene, to_tensor

FIT_M = 0.0002
"""A hull fits when it sticks out of the solid by less than this."""
MAX_PIECES = 128
MAX_CUT = 2 * MAX_PIECES
"""Cutting ends at so many pieces."""
SMALLEST_M = 0.004
"""Smaller pieces are not cut."""
DUST_M3 = 1e-11
"""Pieces with less volume than this, 0.01 mm3, are left out."""
TOUCH_M = 0.0003
"""Pieces whose boxes are farther apart are not put together."""
_NUM_SAMPLES = 400
"""Points that stand for the surface of a piece."""
_MAX_VERTICES = 3_000
"""Up to here a piece's vertices stand for it instead, and cuts are judged exactly."""
_FRACTIONS = np.arange(1, 8) / 8.0
"""Where cuts are tried, as shares of the piece's extent; at its vertices if they lie in a few layers."""
_MAX_LAYERS = 12

Plane = tuple[np.ndarray, float]
"""Unit normal (3,) and distance from the origin along it [m]."""


def convex_pieces(mesh: trimesh.Trimesh) -> tuple[trimesh.Trimesh, ...]:
    """At most MAX_PIECES convex pieces that together cover what a surface encloses, closed or not; see `solid.make_solid`.

    Args:
        mesh: Any surface in the object frame [m].
    """
    solid = make_solid(mesh)
    scene = make_scene(to_trimesh(solid))
    hulls = _put_together([piece.hull for piece in _cut_up(solid, scene)], scene)
    return tuple(to_trimesh(hull) for hull in hulls)


@dataclass(frozen=True, eq=False)
class _Piece:
    """A part of the solid."""

    part: manifold3d.Manifold
    hull: manifold3d.Manifold
    sticks_out_m: float

    @cached_property
    def vertices(self) -> np.ndarray:
        """Shape (V, 3)."""
        return _arrays(self.part)[0]

    @cached_property
    def edges(self) -> np.ndarray:
        """As pairs of vertices, shape (E, 2)."""
        faces = _arrays(self.part)[1]
        ends = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
        return ends[ends[:, 0] < ends[:, 1]]  # each edge has a triangle on both sides

    @cached_property
    def samples(self) -> np.ndarray:
        """Points of the surface, shape (num, 3)."""
        vertices, faces = _arrays(self.part)
        return np.concatenate(
            [_thinned(vertices, _NUM_SAMPLES // 2), _spread(vertices, faces, _NUM_SAMPLES)]
        )

    @property
    def is_exact(self) -> bool:
        """Whether cuts are judged by all vertices and edges instead of samples."""
        return len(self.vertices) <= _MAX_VERTICES

    @property
    def empty_m3(self) -> float:
        """Volume of the hull that is not the part's own."""
        return max(self.hull.volume() - self.part.volume(), 0.0)

    @property
    def size_m(self) -> float:
        """Longest side of its box."""
        return float(np.ptp(np.reshape(self.part.bounding_box(), (2, 3)), axis=0).max())

    def sides(self, plane: Plane) -> tuple[np.ndarray, np.ndarray]:
        """Points whose hulls are the hulls of what lies on either side of a plane."""
        if not self.is_exact:
            return _sides(self.samples, plane)
        height = self.vertices @ plane[0] - plane[1]
        first, second = self.edges[(height[self.edges] > 0.0).sum(axis=1) == 1].T
        share = height[first] / (height[first] - height[second])
        on_it = self.vertices[first] + share[:, None] * (
            self.vertices[second] - self.vertices[first]
        )
        below, above = self.vertices[height <= 0.0], self.vertices[height >= 0.0]
        return np.concatenate([below, on_it]), np.concatenate([above, on_it])

    def cost(self, plane: Plane) -> float:
        """Volume of the hulls of both sides of a plane [m3]."""
        return sum(map(_hull_volume, self.sides(plane)))


def _cut_up(solid: manifold3d.Manifold, scene: Scene) -> list[_Piece]:
    """Cut until all hulls fit, or there are MAX_CUT pieces."""
    fitting: list[_Piece] = []
    waiting: list[tuple[float, int, _Piece]] = []
    number = count()
    parts = [solid]
    while True:
        for part in (body for whole in parts for body in whole.decompose()):
            if part.volume() < DUST_M3:
                continue
            hull = part.hull()
            piece = _Piece(part, hull, _sticks_out(hull, scene))
            if piece.sticks_out_m < FIT_M or piece.size_m < SMALLEST_M:
                fitting.append(piece)
            else:
                heapq.heappush(waiting, (-piece.sticks_out_m, next(number), piece))
        if not waiting or len(waiting) + len(fitting) >= MAX_CUT:
            return fitting + [piece for *_, piece in waiting]
        worst = heapq.heappop(waiting)[2]
        normal, offset = _best_cut(worst)
        parts = list(worst.part.split_by_plane(tuple(normal), offset))


def _best_cut(piece: _Piece) -> Plane:
    """The plane with the least empty space in the hulls of both sides.

    One cut does not show how good it is where a ring is halved (its halves' hulls still fill the hole), so where no cut gains
    much, the best second cuts are tried too.
    """
    axes, low, high = _extents(piece.vertices if piece.is_exact else piece.samples)
    planes, unevenness = [], []
    for axis, start, end in zip(axes, low, high, strict=True):
        for offset in _offsets(piece, axis, start, end):
            planes.append((axis, offset))
            unevenness.append(abs((offset - start) / (end - start) - 0.5))
    costs = np.array([piece.cost(plane) for plane in planes])
    if costs.min() > piece.hull.volume() - 0.2 * piece.empty_m3:
        middles = list(zip(axes, 0.5 * (low + high), strict=True))
        return min(middles, key=lambda plane: sum(map(_second_cost, _sides(piece.samples, plane))))
    # Between cuts that are about as good, the one nearer to the middle.
    best = int(np.argmin(costs + 0.1 * piece.empty_m3 * np.array(unevenness)))
    return _refined(piece, planes[best], costs[best])


def _offsets(piece: _Piece, axis: np.ndarray, start: float, end: float) -> np.ndarray:
    """Where cuts across an axis are tried."""
    if piece.is_exact:
        layers = np.unique(np.round(piece.vertices @ axis, 5))
        layers = layers[(layers > start + 1e-4) & (layers < end - 1e-4)]
        if len(layers) <= _MAX_LAYERS:
            return np.append(layers, 0.5 * (start + end))
    return start + _FRACTIONS * (end - start)


def _refined(piece: _Piece, plane: Plane, cost: float) -> Plane:
    """Move a plane in smaller and smaller steps to where it costs less."""
    normal, offset = plane
    step = np.ptp(piece.samples @ normal) / 16.0
    while step > 1e-4:
        for moved in (offset - step, offset + step):
            moved_cost = piece.cost((normal, moved))
            if moved_cost < cost - 1e-3 * piece.empty_m3:
                offset, cost = moved, moved_cost
        step /= 2.0
    return normal, float(offset)


def _second_cost(points: np.ndarray) -> float:
    """Least volume of the hulls that one cut through the middle of points leaves [m3]."""
    if len(points) < 8:
        return 0.0
    points = _thinned(points, 200)
    axes, low, high = _extents(points)
    planes = zip(axes, 0.5 * (low + high), strict=True)
    return min(sum(map(_hull_volume, _sides(points, plane))) for plane in planes)


def _extents(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Directions to cut across, x, y, z and the principal axes, without those in which the points (num, 3) are thin.

    Returns:
        Unit vectors, shape (num_axes, 3), and where the points begin and end along each, shapes (num_axes,).
    """
    centred = points - points.mean(axis=0)
    axes = np.concatenate([np.eye(3), np.linalg.eigh(centred.T @ centred)[1].T])
    along = points @ axes.T
    low, high = along.min(axis=0), along.max(axis=0)
    wide = high - low > 0.25 * (high - low).max()
    return axes[wide], low[wide], high[wide]


def _sides(points: np.ndarray, plane: Plane) -> tuple[np.ndarray, np.ndarray]:
    """Points (num, 3) on either side of a plane; those near it are on both."""
    height = points @ plane[0] - plane[1]
    near = 0.02 * np.ptp(height)
    return points[height <= near], points[height >= -near]


@dataclass(frozen=True, eq=False)
class _Hull:
    """A convex solid with what is asked of it again and again."""

    solid: manifold3d.Manifold

    @cached_property
    def vertices(self) -> np.ndarray:
        """Shape (V, 3)."""
        return _arrays(self.solid)[0]

    @cached_property
    def volume_m3(self) -> float:
        """Its volume."""
        return self.solid.volume()

    @cached_property
    def box(self) -> np.ndarray:
        """Lowest and highest corner [m], shape (2, 3)."""
        return np.stack([self.vertices.min(axis=0), self.vertices.max(axis=0)])


_Line = list[tuple[float, int, int, int, _Hull]]
"""Pairs of pieces in a heap: how far their common hull sticks out at least, how well that is known (a step of _LOOKS), the
numbers of both, the common hull."""
_LOOKS = (0, 40, _NUM_SAMPLES)
"""A pair's hull is looked at only when it comes first in line: at few points, then at many."""


def _put_together(hulls: list[manifold3d.Manifold], scene: Scene) -> list[manifold3d.Manifold]:
    """Replace pairs of pieces by their common hull, the best fitting first, while it fits or there are too many pieces."""
    alive = {number: _Hull(hull) for number, hull in enumerate(hulls)}
    line: _Line = []
    for one, two in combinations(alive, 2):
        _line_up(line, alive, one, two)
    for new in count(len(hulls)):
        pair = _next_pair(line, alive, scene)
        if pair is None:
            break
        one, two, both = pair
        del alive[one], alive[two]
        others = list(alive)
        alive[new] = both
        for other in others:
            _line_up(line, alive, other, new)
    return [hull.solid for hull in alive.values()]


def _line_up(line: _Line, alive: dict[int, _Hull], one: int, two: int) -> None:
    """Add a pair of pieces to the line, if they touch."""
    (low_1, high_1), (low_2, high_2) = alive[one].box, alive[two].box
    if (np.maximum(low_1, low_2) - np.minimum(high_1, high_2)).max() > TOUCH_M:
        return
    both = _Hull(_hull_of(np.concatenate([alive[one].vertices, alive[two].vertices])))
    # The new empty space, spread over the whole surface, sticks out less than it does at its deepest.
    empty = both.volume_m3 - alive[one].volume_m3 - alive[two].volume_m3
    heapq.heappush(line, (empty / both.solid.surface_area(), 0, one, two, both))


def _next_pair(line: _Line, alive: dict[int, _Hull], scene: Scene) -> tuple[int, int, _Hull] | None:
    """The pair that fits best, with its common hull; None if it does not fit and there are few enough pieces."""
    while line:
        out, look, one, two, both = heapq.heappop(line)
        if one not in alive or two not in alive:
            continue
        if out > FIT_M and len(alive) <= MAX_PIECES:
            return None
        if look == len(_LOOKS) - 1:
            return one, two, both
        out = max(out, _sticks_out(both.solid, scene, _LOOKS[look + 1]))
        heapq.heappush(line, (out, look + 1, one, two, both))
    return None


def _sticks_out(hull: manifold3d.Manifold, scene: Scene, num: int = _NUM_SAMPLES) -> float:
    """How far a hull's surface lies outside of a solid at the farthest of `num` points [m]."""
    vertices, faces = _arrays(hull)
    if not len(faces):
        return 0.0
    middles = _thinned(vertices[faces].mean(axis=1), num // 2)
    points = to_tensor(np.concatenate([_spread(vertices, faces, num // 2), middles]))
    return float(scene.compute_signed_distance(points).numpy().max())


def _hull_of(points: np.ndarray) -> manifold3d.Manifold:
    corners: Any = np.ascontiguousarray(points)
    return manifold3d.Manifold.hull_points(corners)


def _hull_volume(points: np.ndarray) -> float:
    return _hull_of(points).volume() if len(points) > 3 else 0.0


def _arrays(solid: manifold3d.Manifold) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3) and triangles (F, 3)."""
    mesh = solid.to_mesh64()
    return np.asarray(mesh.vert_properties)[:, :3], np.asarray(mesh.tri_verts).astype(np.int64)


def _thinned(points: np.ndarray, num: int) -> np.ndarray:
    """At most `num` of the points, evenly from the list."""
    return points[np.unique(np.linspace(0, len(points) - 1, num).round().astype(np.int64))]


def _spread(vertices: np.ndarray, faces: np.ndarray, num: int) -> np.ndarray:
    """Points spread evenly over triangles, always the same ones, shape (num, 3)."""
    origin, first, second = (vertices[faces[:, corner]] for corner in range(3))
    first, second = first - origin, second - origin
    areas = np.cumsum(np.linalg.norm(np.cross(first, second), axis=1))
    number = np.arange(num)
    face = np.minimum(np.searchsorted(areas, (number + 0.5) / num * areas[-1]), len(faces) - 1)
    # A low-discrepancy sequence over the square, folded onto the triangle (Roberts 2018, "R2").
    shares = (0.5 + number[:, None] * np.array([0.7548776662466927, 0.5698402909980532])) % 1.0
    shares = np.where(shares.sum(axis=1, keepdims=True) > 1.0, 1.0 - shares, shares)
    return origin[face] + shares[:, :1] * first[face] + shares[:, 1:] * second[face]
