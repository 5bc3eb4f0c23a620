"""Approximate any mesh by convex pieces, for physics.

A closed solid is halved again and again, each time by the plane that leaves the least empty space in the hulls of the
halves, until those hulls fit. An open mesh has no inside: its surface becomes a shell of small thick tiles.
"""

import manifold3d
import numpy as np
import open3d as o3d
import trimesh

from lerobot_neuraltouch.objects.model import to_trimesh
from lerobot_neuraltouch.objects.revolve import hull

DEPTH_M = 0.0002
"""A hull fits when no corner of the solid lies deeper than this below the hull's surface."""
MAX_DEPTH = 9
"""A solid is halved at most so often: at most 2 ** MAX_DEPTH pieces."""
SMALLEST_M = 0.004
"""Smaller pieces are not halved."""
MAX_TRIANGLES = 5_000
"""Finer meshes are made coarser first."""
SIMPLIFY_M = 0.00005
"""Details of the surface finer than this are left out."""
TILE_M = 0.008
SHELL_M = 0.002
"""Size and thickness of the tiles of an open mesh."""


def convex_pieces(mesh: trimesh.Trimesh) -> tuple[trimesh.Trimesh, ...]:
    """Convex pieces that together cover a solid, or the surface of an open mesh."""
    mesh = _lighter(mesh)
    solid = _to_manifold(mesh)
    if solid is None:
        return tuple(_tiles(mesh))
    return tuple(to_trimesh(piece) for piece in _halve(solid.simplify(SIMPLIFY_M), MAX_DEPTH))


def _lighter(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """A mesh of at most MAX_TRIANGLES, so that a scan does not take minutes."""
    if len(mesh.faces) <= MAX_TRIANGLES:
        return mesh
    heavy = o3d.geometry.TriangleMesh(
        o3d.utility.Vector3dVector(mesh.vertices), o3d.utility.Vector3iVector(mesh.faces)
    )
    light = heavy.simplify_quadric_decimation(MAX_TRIANGLES)
    return trimesh.Trimesh(np.asarray(light.vertices), np.asarray(light.triangles))


def _to_manifold(mesh: trimesh.Trimesh) -> manifold3d.Manifold | None:
    """The mesh as a solid, or None if it does not enclose one."""
    vertices = np.array(mesh.vertices, dtype=np.float64, order="C")
    faces = np.array(mesh.faces, dtype=np.uint64, order="C")
    solid = manifold3d.Manifold(manifold3d.Mesh64(vert_properties=vertices, tri_verts=faces))
    sound = solid.status() == manifold3d.Error.NoError and solid.volume() > 0.0
    return solid if sound else None


def _halve(solid: manifold3d.Manifold, depth: int) -> list[manifold3d.Manifold]:
    pieces = []
    for part in solid.decompose():
        if part.is_empty() or part.volume() < 1e-12:
            continue
        around = part.hull()
        empty = around.volume() - part.volume()
        small = np.ptp(np.reshape(part.bounding_box(), (2, 3)), axis=0).max() < SMALLEST_M
        if depth == 0 or small or _hollow(part, around) < DEPTH_M:
            pieces.append(around)
        else:
            for half in _best_halves(part, empty):
                pieces.extend(_halve(half, depth - 1))
    return pieces


def _hollow(part: manifold3d.Manifold, around: manifold3d.Manifold) -> float:
    """How deep the deepest corner or face of a solid lies below the surface of its hull [m]."""
    mesh, surface = to_trimesh(part), to_trimesh(around)
    points = np.concatenate([mesh.vertices, mesh.triangles_center])
    sound = surface.area_faces > 1e-12  # slivers have no normal
    normals = surface.face_normals[sound]
    offsets = np.sum(normals * surface.triangles[sound, 0], axis=1)
    deepest = 0.0
    for chunk in np.array_split(points, 1 + len(points) * len(normals) // 1_000_000):
        deepest = max(deepest, float((offsets - chunk @ normals.T).min(axis=1).max()))
    return deepest


def _best_halves(part: manifold3d.Manifold, empty: float) -> tuple[manifold3d.Manifold, ...]:
    """Cut in the middle of one of the three axes: the one after which the hulls hold the least empty space.

    Args:
        part: What to cut.
        empty: Volume of its hull that is not its own [m3].

    One cut does not show how good it is where a ring is halved (its halves' hulls still fill the hole), so where no cut
    gains much, the best second cuts are tried too.
    """
    cuts = _middle_cuts(part)
    volumes = [_hull_volume(halves) for halves in cuts]
    if min(volumes) > part.volume() + 0.8 * empty:
        volumes = [
            sum(min(map(_hull_volume, _middle_cuts(half))) for half in halves) for halves in cuts
        ]
    return cuts[int(np.argmin(volumes))]


def _middle_cuts(part: manifold3d.Manifold) -> list[tuple[manifold3d.Manifold, ...]]:
    """Both halves for each axis, the longest axis first."""
    bounds = np.reshape(part.bounding_box(), (2, 3))
    middle, extents = bounds.mean(axis=0), np.ptp(bounds, axis=0)
    longest_first = np.argsort(-extents)
    wide_enough = [axis for axis in longest_first if extents[axis] > 0.3 * extents.max()]
    return [part.split_by_plane(tuple(np.eye(3)[axis]), middle[axis]) for axis in wide_enough]


def _hull_volume(parts: tuple[manifold3d.Manifold, ...]) -> float:
    return sum(part.hull().volume() for part in parts)


def _tiles(mesh: trimesh.Trimesh) -> list[trimesh.Trimesh]:
    """Hulls of the surface within the cells of a grid, made SHELL_M thick against the normals."""
    vertices, faces, *_ = trimesh.remesh.subdivide_to_size(
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
