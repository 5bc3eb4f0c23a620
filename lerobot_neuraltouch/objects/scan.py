"""Meshes as a scanner leaves them, made from clean ones."""

from typing import Any

import numpy as np
import open3d as o3d
import trimesh

NUM_TRIANGLES = 50_000
NOISE_M = 0.0003
HOLE_M = 0.004
"""Radius of a hole."""
NUM_HOLES, NUM_BITS = 12, 6


def scan_like(mesh: trimesh.Trimesh, rng: np.random.Generator) -> trimesh.Trimesh:
    """About NUM_TRIANGLES triangles [m] with noise along the normals, holes, and loose bits around."""
    edge = float(np.sqrt(4.6 * mesh.area / NUM_TRIANGLES))
    vertices, faces, *_ = trimesh.remesh.subdivide_to_size(mesh.vertices, mesh.faces, edge, 12)
    dense = o3d.geometry.TriangleMesh(
        o3d.utility.Vector3dVector(vertices), o3d.utility.Vector3iVector(faces)
    ).merge_close_vertices(1e-6)
    even = dense.simplify_quadric_decimation(NUM_TRIANGLES)
    scan = trimesh.Trimesh(np.asarray(even.vertices), np.asarray(even.triangles))
    noise = NOISE_M * rng.standard_normal((len(scan.vertices), 1))
    scan.vertices = scan.vertices + noise * scan.vertex_normals
    centres = scan.triangles_center
    holes = centres[rng.integers(len(centres), size=NUM_HOLES)]
    scan.update_faces(np.linalg.norm(centres[:, None] - holes, axis=-1).min(axis=1) > HOLE_M)
    low, high = mesh.bounds
    bits = [
        trimesh.creation.icosphere(1, 0.001).apply_translation(rng.uniform(low - 0.05, high + 0.05))
        for _ in range(NUM_BITS)
    ]
    whole: Any = trimesh.util.concatenate([scan, *bits])
    return whole
