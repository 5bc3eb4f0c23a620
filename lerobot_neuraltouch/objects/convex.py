"""Approximate any mesh by convex pieces, for physics.

A closed solid is halved again and again, each time by the plane that leaves the least empty space in the hulls of the
halves, until those hulls fit. An open mesh has no inside: its surface becomes a shell of small thick tiles.
"""

import manifold3d
import numpy as np
import trimesh

from lerobot_neuraltouch.objects.model import to_trimesh
from lerobot_neuraltouch.objects.revolve import hull

GAP_M = 0.0001
"""A hull fits when the empty space in it, spread over half of its surface, is thinner than this."""
MAX_DEPTH = 9
"""A solid is halved at most so often: at most 2 ** MAX_DEPTH pieces."""
SMALLEST_M = 0.004
"""Smaller pieces are not halved."""
SIMPLIFY_M = 0.00003
"""Details of the surface finer than this are left out."""
TILE_M = 0.008
SHELL_M = 0.002
"""Size and thickness of the tiles of an open mesh."""


def convex_pieces(mesh: trimesh.Trimesh) -> tuple[trimesh.Trimesh, ...]:
    """Convex pieces that together cover a solid, or the surface of an open mesh."""
    solid = _to_manifold(mesh)
    if solid is None:
        return tuple(_tiles(mesh))
    return tuple(to_trimesh(piece) for piece in _halve(solid.simplify(SIMPLIFY_M), MAX_DEPTH))


def _to_manifold(mesh: trimesh.Trimesh) -> manifold3d.Manifold | None:
    """The mesh as a solid, or None if it does not enclose one."""
    vertices = np.asarray(mesh.vertices, dtype=np.float64)
    faces = np.asarray(mesh.faces, dtype=np.uint64)
    solid = manifold3d.Manifold(manifold3d.Mesh64(vert_properties=vertices, tri_verts=faces))
    sound = solid.status() == manifold3d.Error.NoError and solid.volume() > 0.0
    return solid if sound else None


def _halve(solid: manifold3d.Manifold, depth: int) -> list[manifold3d.Manifold]:
    pieces = []
    for part in solid.decompose():
        if part.is_empty() or part.volume() < 1e-12:
            continue
        around = part.hull()
        size = np.reshape(part.bounding_box(), (2, 3))
        fits = around.volume() - part.volume() < GAP_M * part.surface_area() / 2.0
        if fits or depth == 0 or np.ptp(size, axis=0).max() < SMALLEST_M:
            pieces.append(around)
        else:
            for half in _best_halves(part, size):
                pieces.extend(_halve(half, depth - 1))
    return pieces


def _best_halves(part: manifold3d.Manifold, bounds: np.ndarray) -> tuple[manifold3d.Manifold, ...]:
    """Cut in the middle of one of the three axes."""
    middle = bounds.mean(axis=0)
    cuts = [
        part.split_by_plane(tuple(np.eye(3)[axis]), middle[axis])
        for axis in range(3)
        if np.ptp(bounds[:, axis]) > SMALLEST_M / 2.0
    ]
    return min(cuts, key=lambda halves: sum(half.hull().volume() for half in halves))


def _tiles(mesh: trimesh.Trimesh) -> list[trimesh.Trimesh]:
    """Hulls of the surface within the cells of a grid, made SHELL_M thick against the normals."""
    vertices, faces = trimesh.remesh.subdivide_to_size(
        mesh.vertices, mesh.faces, max_edge=TILE_M / 2.0, max_iter=12
    )
    fine = trimesh.Trimesh(vertices, faces, process=False)
    corners = fine.triangles
    inner = corners - SHELL_M * fine.face_normals[:, None]
    cells = np.floor(fine.triangles_center / TILE_M).astype(np.int64)
    order = np.lexsort(cells.T)
    starts = np.flatnonzero(np.any(np.diff(cells[order], axis=0) != 0, axis=1)) + 1
    groups = np.split(order, starts)
    tiles = [hull(np.concatenate([corners[g], inner[g]]).reshape(-1, 3)) for g in groups]
    return [tile for tile in tiles if len(tile.faces)]
