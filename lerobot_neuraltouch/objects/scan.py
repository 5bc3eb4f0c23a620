"""Meshes as a scanner leaves them, made from clean ones."""

import numpy as np
import trimesh

from lerobot_neuraltouch.objects.model import to_trimesh
from lerobot_neuraltouch.objects.solid import to_manifold

NUM_TRIANGLES = 50_000
NOISE_M = 0.0003
HOLE_M = 0.004
"""Radius of a hole."""
BASE_M = 0.0005
"""The scanner does not see what lies this close to the table."""
NUM_HOLES, NUM_BITS = 12, 6


def scan_like(mesh: trimesh.Trimesh, rng: np.random.Generator) -> trimesh.Trimesh:
    """About NUM_TRIANGLES triangles with noise along the normals, no base, holes, and loose bits around.

    Args:
        mesh: A closed surface that stands on z = 0 [m].
        rng: Draws noise, holes and bits.
    """
    scan = _even(mesh)
    noise = NOISE_M * rng.standard_normal((len(scan.vertices), 1))
    centres = scan.triangles_center
    scan.vertices = scan.vertices + noise * scan.vertex_normals
    holes = centres[rng.integers(len(centres), size=NUM_HOLES)]
    distances = np.linalg.norm(centres[:, None] - holes, axis=-1).min(axis=1)
    scan.update_faces((distances > HOLE_M) & (centres[:, 2] > BASE_M))
    low, high = mesh.bounds
    for _ in range(NUM_BITS):
        bit = trimesh.creation.icosphere(1, 0.001)
        bit.apply_translation(rng.uniform(low - 0.05, high + 0.05))
        scan += bit
    return scan


def _even(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """The same surface in NUM_TRIANGLES triangles or a little more, none with an edge much longer than the usual one."""
    solid = to_manifold(mesh.vertices, mesh.faces)
    edge = 4.0 * np.sqrt(mesh.area / NUM_TRIANGLES)
    even = solid
    while even.num_tri() < NUM_TRIANGLES:
        even = solid.refine_to_length(edge)
        edge *= 0.95
    return to_trimesh(even)
