"""Make a solid for physics of any surface: open, noisy, torn, doubled, of several bodies that overlap.

A mesh whose bodies are closed is taken as it is: their union, cavities filled. Any other one is closed on a grid. First each
hole gets a fan of triangles, except where a finger has to pass: those are openings. Then what cannot be reached from
outside without coming closer to the surface than CLOSE_SHARE of the grid's step is inside, and the boundary is drawn back
onto the surface, so it is as exact as the surface itself. What remains an open sheet, such as the single wall of a cup,
becomes a plate of 2 * HALF_SHEET_M. Where noise is felt it is smoothed away. Only physics sees this solid.
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
STEP_M = 0.001
"""Step of the grid; larger for objects that would need more than MAX_NODES."""
MAX_NODES = 6_000_000
MARGIN = 3
"""Steps between the surface and the end of the grid."""
CLOSE_SHARE = 0.6
"""Cracks up to twice this share of a step are closed."""
HALF_SHEET_M = 0.0004
NOISE_M = 0.00005
"""Smoothing that moves half of the surface by less than this is not worth it: the surface is not noisy."""
GRID_SIMPLIFY_M = 0.0001
NO_PASSAGES = np.empty((0, 2, 3))


def make_solid(mesh: trimesh.Trimesh, passages: np.ndarray = NO_PASSAGES) -> manifold3d.Manifold:
    """The solid that a surface encloses.

    Args:
        mesh: Any surface [m].
        passages: Straight ways (start, end) that have to stay free, such as those of fingers [m], shape (num, 2, 3).

    Raises:
        ValueError: If nothing solid can be made of it.
    """
    exact = _union(mesh)
    if exact is not None:
        exact = exact.simplify(SIMPLIFY_M)
        if exact.num_tri() <= MAX_EXACT:
            return exact
    closed = np.concatenate([mesh.triangles, _fans(mesh, passages)]).reshape(-1, 3)
    triangles = np.arange(len(closed)).reshape(-1, 3)
    solid = _enclose(trimesh.Trimesh(closed, triangles, process=False))
    if solid.is_empty():
        raise ValueError("The mesh encloses nothing solid.")
    return solid.simplify(GRID_SIMPLIFY_M)


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


def _fans(mesh: trimesh.Trimesh, passages: np.ndarray) -> np.ndarray:
    """Triangles (num, 3, 3) from the edges of each hole to its middle, without the holes that passages lead through."""
    ends = np.sort(mesh.edges, axis=1)
    edges, count = np.unique(ends, axis=0, return_counts=True)
    edges = edges[count % 2 == 1]
    num = len(mesh.vertices)
    links = coo_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(num, num))
    hole = connected_components(links, directed=False)[1][edges[:, 0]]
    places = mesh.vertices[edges]
    lengths = np.maximum(np.linalg.norm(places[:, 1] - places[:, 0], axis=1), 1e-12)
    sums = [np.bincount(hole, lengths * x, num) for x in places.mean(axis=1).T]
    total = np.bincount(hole, lengths, num)
    apex = np.stack(sums, axis=1)[hole] / total[hole, None]
    fans = np.concatenate([places, apex[:, None]], axis=1)
    return fans[~np.isin(hole, hole[_crossed(fans, passages)])]


def _crossed(triangles: np.ndarray, passages: np.ndarray) -> np.ndarray:
    """Numbers of the triangles (num, 3, 3) that segments (num, 2, 3) cross."""
    if not len(triangles) or not len(passages):
        return np.empty(0, dtype=np.int64)
    faces = np.arange(3 * len(triangles)).reshape(-1, 3)
    scene = make_scene(trimesh.Trimesh(triangles.reshape(-1, 3), faces, process=False))
    rays = np.concatenate([passages[:, 0], passages[:, 1] - passages[:, 0]], axis=1)
    hits = scene.list_intersections(to_tensor(rays))
    return hits["primitive_ids"].numpy()[hits["t_hit"].numpy() <= 1.0].astype(np.int64)


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
    vertices = _drawn_back(grid, start + np.minimum(far, 0.5)[:, None] * way)
    return to_manifold(_without_noise(vertices, faces), faces)


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


def _drawn_back(grid: _Grid, places: np.ndarray) -> np.ndarray:
    """Places just outside the surface, (num, 3), moved onto it, or to the side of a plate where it is an open sheet."""
    surface = (
        grid.scene.compute_closest_points(to_tensor(places))["points"].numpy().astype(np.float64)
    )
    away = places - surface
    away /= np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-12)
    depth = grid.reach + grid.step
    behind = surface - depth * away
    # Behind a sheet one is outside again, with no surface nearer than the sheet.
    free = grid.scene.compute_distance(to_tensor(behind)).numpy() > 0.9 * depth
    sheet = free & grid.is_outside(behind)
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


def _without_noise(vertices: np.ndarray, faces: np.ndarray, rounds: int = 12) -> np.ndarray:
    """Vertices (num, 3) smoothed without shrinking (Taubin 1995), or as they are where that changes next to nothing."""
    num = len(vertices)
    ends = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    links = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(num, num)).tocsr()
    share = 1.0 / links.sum(axis=1)[:, None]
    smooth = vertices
    for factor in rounds * (0.5, -0.53):
        smooth = smooth + factor * (share * (links @ smooth) - smooth)
    normals = trimesh.Trimesh(vertices, faces, process=False).vertex_normals
    moved = np.abs(np.sum((smooth - vertices) * normals, axis=1))
    return smooth if np.median(moved) > NOISE_M else vertices
