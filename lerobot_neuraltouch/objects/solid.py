"""Make a solid for physics of any surface: open, noisy, torn, doubled, of several bodies that overlap.

First, holes that no finger fits into and holes underneath get a fan of triangles. Then a mesh whose bodies are closed is
taken as it is: their union, cavities filled. Any other one is enclosed on a grid: what cannot be reached from outside
without coming closer to the surface than CLOSE_SHARE of the grid's step is inside, and the boundary is drawn back onto the
surface, so it is as exact as the surface itself. What remains an open sheet, such as the single wall of a cup, becomes a
plate of 2 * HALF_SHEET_M. Only physics sees this solid.

Frame: object, z upwards [m].
"""

from dataclasses import dataclass
from itertools import permutations

import manifold3d
import numpy as np
import trimesh
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from lerobot_neuraltouch.objects.views import Scene, make_scene, to_tensor

MAX_EXACT = 20_000
"""Closed meshes that keep more triangles than this without details below SIMPLIFY_M are scans: they go to the grid too."""
SIMPLIFY_M = 0.00005
GRID_SIMPLIFY_M = 0.0001
"""Finer details are left out; where that leaves more than MAX_GRID triangles, twice and four times that."""
MAX_GRID = 30_000
STEP_M = 0.001
"""Step of the grid; larger for objects that would need more than MAX_NODES."""
MAX_NODES = 6_000_000
MARGIN = 3
"""Steps between the surface and the end of the grid."""
CLOSE_SHARE = 0.6
"""Cracks up to twice this share of a step are closed."""
HALF_SHEET_M = 0.0004
SHEET_RINGS = 3
"""So many rings of triangles around a sheet belong to it too: at its border, the way behind leads along it."""
SKIN_SHARE = 0.01
"""Plates thinner than this share of 1.6 steps are sheets."""
HOLE_M = 0.02
"""Narrower holes are closed: a finger is wider."""
BASE_SHARE = 0.1
"""Holes within this share of the height from below are closed: the base of a scanned object is often missing."""


def make_solid(mesh: trimesh.Trimesh) -> manifold3d.Manifold:
    """The solid that a surface encloses.

    Args:
        mesh: Any surface in the object frame; triangles of a part face the same way.

    Raises:
        ValueError: If nothing solid can be made of it.
    """
    mesh = _without_holes(mesh)
    exact = _union(mesh)
    if exact is not None:
        exact = exact.simplify(SIMPLIFY_M)
        if exact.num_tri() <= MAX_EXACT:
            return exact
    solid = _enclose(mesh)
    for tolerance in (1.0, 2.0, 4.0):
        solid = solid.simplify(tolerance * GRID_SIMPLIFY_M)
        if solid.num_tri() <= MAX_GRID:
            break
    if solid.is_empty():
        raise ValueError("The mesh encloses nothing solid.")
    return solid


def to_manifold(vertices: np.ndarray, faces: np.ndarray) -> manifold3d.Manifold:
    """Vertices (V, 3) and triangles (F, 3) as a solid; an empty one if they are not closed."""
    return manifold3d.Manifold(
        manifold3d.Mesh64(
            vert_properties=np.array(vertices, dtype=np.float64, order="C"),
            tri_verts=np.array(faces, dtype=np.uint64, order="C"),
        )
    )


def _union(mesh: trimesh.Trimesh) -> manifold3d.Manifold | None:
    """Union of the closed bodies of a mesh, or None if any of its parts is not closed."""
    whole = to_manifold(mesh.vertices, mesh.faces)
    if whole.status() != manifold3d.Error.NoError or whole.is_empty():
        return None
    bodies = [body for body in whole.decompose() if body.volume() > 0.0]
    if len(bodies) < 2:
        return bodies[0] if bodies else None
    return manifold3d.Manifold.batch_boolean(bodies, manifold3d.OpType.Add)


def _without_holes(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """The mesh with a fan of triangles from the edges of each hole to its middle, where the hole is to be closed."""
    ends, num = np.asarray(mesh.edges), len(mesh.vertices)
    keys = ends.min(axis=1) * num + ends.max(axis=1)
    _, index, times = np.unique(keys, return_inverse=True, return_counts=True)
    edges = ends[times[index] == 1]
    links = coo_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(num, num))
    label = connected_components(links, directed=False)[1][edges[:, 0]]
    vertices, faces = [np.asarray(mesh.vertices)], [np.asarray(mesh.faces)]
    base = mesh.bounds[0, 2] + BASE_SHARE * mesh.extents[2]
    order = np.argsort(label, kind="stable")
    holes = np.split(edges[order], np.flatnonzero(np.diff(label[order])) + 1) if len(edges) else []
    for hole in holes:
        places = mesh.vertices[hole]
        if _width(places.reshape(-1, 3)) < HOLE_M or places[..., 2].max() < base:
            lengths = np.linalg.norm(places[:, 1] - places[:, 0], axis=1)
            middle = np.full((len(hole), 1), num + len(vertices) - 1)
            vertices.append(np.average(places.mean(axis=1), axis=0, weights=lengths)[None])
            faces.append(np.concatenate([hole[:, ::-1], middle], axis=1))
    return trimesh.Trimesh(np.concatenate(vertices), np.concatenate(faces), process=False)


def _width(points: np.ndarray) -> float:
    """Extent of points (num, 3) across their longest direction [m]."""
    centred = points - points.mean(axis=0)
    return float(np.ptp(centred @ np.linalg.svd(centred, full_matrices=False)[2][1]))


@dataclass(frozen=True, eq=False)
class _Grid:
    """Distances to a surface on a grid around it."""

    scene: Scene
    low: np.ndarray
    """Place of the first node [m], shape (3,)."""
    step: float
    distance: np.ndarray
    """Of each node near the surface [m], large elsewhere; float32 (nx, ny, nz)."""
    outside: np.ndarray
    """Whether a node is reached from outside, bool (nx, ny, nz)."""

    @property
    def reach(self) -> float:
        """How close to the surface the way from outside may come [m]."""
        return CLOSE_SHARE * self.step

    def places(self, nodes: np.ndarray) -> np.ndarray:
        """Nodes, by their number in the flattened grid, as places [m], shape (num, 3)."""
        return self.low + self.step * np.stack(np.unravel_index(nodes, self.distance.shape), axis=1)

    def is_outside(self, places: np.ndarray) -> np.ndarray:
        """Whether the nodes nearest to places (num, 3) are outside."""
        last = np.array(self.distance.shape) - 1
        nodes = np.clip(np.rint((places - self.low) / self.step).astype(np.int64), 0, last)
        return self.outside[tuple(nodes.T)]


def _enclose(mesh: trimesh.Trimesh) -> manifold3d.Manifold:
    """What cannot be reached from outside, as a solid."""
    grid = _make_grid(mesh)
    reach = grid.reach
    inside = np.where(grid.distance > reach, -grid.step, grid.distance - reach)
    field = np.where(grid.outside, grid.distance - reach, inside)
    edges, faces = march(np.where(field == 0.0, -1e-9, field))
    # From the node outside towards the other one, but not so far that the surface could be crossed.
    swapped = field.ravel()[edges[:, 0]] < 0.0
    outer = np.where(swapped, edges[:, 1], edges[:, 0])
    start, way = grid.places(outer), grid.places(np.where(swapped, edges[:, 0], edges[:, 1]))
    way -= start
    far = 0.7 * grid.distance.ravel()[outer] / np.linalg.norm(way, axis=1)
    vertices = _drawn_back(grid, start + np.minimum(far, 0.5)[:, None] * way, faces)
    return to_manifold(vertices, faces)


def _make_grid(mesh: trimesh.Trimesh) -> _Grid:
    low, high = mesh.bounds
    volume = np.prod(high - low + 2 * MARGIN * STEP_M)
    step = max(STEP_M, float((volume / MAX_NODES) ** (1.0 / 3.0)))
    # The number of nodes is one more than a multiple of 4: distances are first taken at every fourth.
    size = np.ceil(((high - low) / step + 2 * MARGIN) / 4.0).astype(np.int64) * 4 + 1
    low = 0.5 * (low + high) - 0.5 * step * (size - 1)
    scene = make_scene(mesh)
    distance = _distances(scene, low, step, size)
    region = np.asarray(ndimage.label(distance > CLOSE_SHARE * step)[0])  # pyright: ignore[reportGeneralTypeIssues]
    return _Grid(scene, low, step, distance, region == region[0, 0, 0])


def _distances(scene: Scene, low: np.ndarray, step: float, size: np.ndarray) -> np.ndarray:
    """Distance to the surface at the nodes within two steps of it, 1 m elsewhere, float32 (nx, ny, nz).

    From a coarse grid to the fine one: only cells that the surface can come close to are looked into.
    """
    wanted = np.ones((size - 1) // 4 + 1, dtype=bool)
    distance = np.empty(0)
    for stride in (4, 2, 1):
        distance = np.ones(wanted.shape, dtype=np.float32)
        places = low + stride * step * np.argwhere(wanted)
        distance[wanted] = scene.compute_distance(to_tensor(places)).numpy()
        if stride > 1:
            # A node of a cell is at most half its diagonal away from the nearest corner.
            near = ndimage.minimum_filter(distance, size=2, origin=-1)[:-1, :-1, :-1]
            close = near < (0.5 * np.sqrt(3.0) * stride + 2.0) * step
            wanted = np.zeros((size - 1) // (stride // 2) + 1, dtype=bool)
            for corner in np.ndindex(3, 3, 3):
                wanted[
                    tuple(slice(c, c + 2 * n, 2) for c, n in zip(corner, close.shape, strict=True))
                ] |= close
    return distance


def _drawn_back(grid: _Grid, places: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Vertices (num, 3) just outside the surface moved onto it, or to the side of a plate where it is an open sheet."""
    closest = grid.scene.compute_closest_points(to_tensor(places))
    surface = closest["points"].numpy().astype(np.float64)
    away = places - surface
    away /= np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-12)
    # Right behind a sheet one is outside again, with nothing in between.
    way = -(grid.reach + grid.step) * away
    behind = surface + way
    sheet = grid.is_outside(behind)
    sheet &= grid.scene.compute_distance(to_tensor(behind)).numpy() > grid.reach
    rays = np.concatenate([surface + SKIN_SHARE * way, (1.0 - SKIN_SHARE) * way], axis=1)
    sheet &= ~grid.scene.test_occlusions(to_tensor(rays), 0.0, 1.0).numpy()
    for _ in range(SHEET_RINGS):
        sheet[faces[sheet[faces].any(axis=1)]] = True
    return surface + np.where(sheet, HALF_SHEET_M, 0.0)[:, None] * away


def march(field: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Closed surface between negative and positive nodes of a grid, by six tetrahedra in each cell.

    Args:
        field: Shape (nx, ny, nz), nowhere zero, positive all around.

    Returns:
        Edges of the grid that are crossed, as numbers of nodes in the flattened grid, shape (num_vertices, 2), one vertex
        on each; and triangles of those vertices that face the positive side, shape (num_faces, 3).
    """
    negative = field < 0.0
    cells = np.flatnonzero(_mixed_cells(negative))
    strides = np.array([field.shape[1] * field.shape[2], field.shape[2], 1])
    triangles = []
    for axes in permutations(range(3)):
        corners = cells[:, None] + np.concatenate([[0], np.cumsum(strides[list(axes)])])
        odd = _is_odd(axes)
        below = negative.ravel()[corners]
        for case in range(1, 15):
            inner = [bool(case >> corner & 1) for corner in range(4)]
            cut = corners[(below == inner).all(axis=1)]
            for triangle in _triangles_of(inner, odd):
                triangles.append(cut[:, triangle])
    crossed = np.sort(np.concatenate(triangles), axis=2)
    keys, vertices = np.unique(crossed[..., 0] * field.size + crossed[..., 1], return_inverse=True)
    return np.stack(np.divmod(keys, field.size), axis=1), vertices.reshape(-1, 3)


def _mixed_cells(negative: np.ndarray) -> np.ndarray:
    """Whether the corners of the cell that begins at each node differ, same shape."""
    low = ndimage.minimum_filter(negative.view(np.uint8), size=2, origin=-1)
    high = ndimage.maximum_filter(negative.view(np.uint8), size=2, origin=-1)
    return low != high


def _is_odd(order: tuple[int, ...]) -> bool:
    swaps = sum(a > b for i, a in enumerate(order) for b in order[i + 1 :])
    return swaps % 2 == 1


def _triangles_of(inner: list[bool], mirrored: bool) -> list[list[list[int]]]:
    """Triangles of a tetrahedron's cut, each as three of its edges, each edge as two of its corners."""
    ins = [corner for corner in range(4) if inner[corner]]
    outs = [corner for corner in range(4) if not inner[corner]]
    if len(ins) == 2:
        (a, b), (c, d) = ins, outs
        found = [[[a, c], [a, d], [b, d]], [[a, c], [b, d], [b, c]]]
        odd = _is_odd((a, b, c, d))
    elif len(ins) == 1:
        found = [[[ins[0], corner] for corner in outs]]
        odd = _is_odd((ins[0], *outs))
    else:
        found = [[[corner, outs[0]] for corner in ins]]
        odd = not _is_odd((outs[0], *ins))
    return [triangle[::-1] for triangle in found] if odd != mirrored else found
