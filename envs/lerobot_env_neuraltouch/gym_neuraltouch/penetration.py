"""Does anything pass through a finger? Measured on the exact mesh, which the physics never sees.

The skin gives way; the hard core behind it does not. So the pad's centre may lie inside an object by no more than the
core's depth behind it, and no surface may lie inside the core. Physics runs on convex pieces and soft contacts, for which
`TOLERANCE_M` allows.
"""

from dataclasses import dataclass

import numpy as np
import open3d as o3d
import trimesh
from numpy.typing import NDArray

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.objects.views import make_scene, to_tensor
from lerobot_neuraltouch.tactile import TacTipFinger

Array = NDArray[np.float64]

TOLERANCE_M = 0.001
"""Pieces that stand off the exact mesh, and contacts that give way under force, pass for touching up to here [m]."""
_LINES = 5
"""The core is searched along so many by so many lines in each direction."""


@dataclass(frozen=True)
class Depths:
    """How deep objects are in one finger, the deeper of both [m]."""

    pad_m: float
    """Of the undeformed pad's centre inside the object; negative outside."""
    core_m: float
    """Of a surface of the object behind the faces of the hard core; 0 if none is there."""
    table_m: float
    """Of the core below the table's top; negative above."""


class Probe:
    """Measures one object against both fingers.

    Args:
        mesh: Exact and closed mesh of the object, in its own frame.
        finger: Both fingers.
    """

    def __init__(self, mesh: trimesh.Trimesh, finger: TacTipFinger) -> None:
        self._scene: o3d.t.geometry.RaycastingScene = make_scene(mesh)
        self._finger = finger
        half_x, half_y, half_z = finger.core_half_size_m
        # In the pad's frame: z is the outward normal and y points back to the hand.
        self._half = np.array([half_x, half_y, half_z])
        self._middle = np.array([0.0, finger.core_setback_m, -finger.core_depth_m - half_z])
        self._lines = _lines_through(self._half)

    @property
    def max_pad_depth_m(self) -> float:
        """How far inside an object the pad's centre may be [m]: its skin's whole thickness."""
        return self._finger.core_depth_m + TOLERANCE_M

    def measure(self, T_base_tcp: Array, T_base_object: Array, finger_distance_m: float) -> Depths:
        """Look at one moment.

        Args:
            T_base_tcp, T_base_object: Poses, shape (4, 4).
            finger_distance_m: Actual distance of the undeformed pads [m].
        """
        T_base_pads = T_base_tcp @ self._finger.pad_poses(finger_distance_m)
        T_object_pads = se3.inverse(T_base_object) @ T_base_pads
        return Depths(
            self._pad_depth(T_object_pads),
            self._core_depth(T_object_pads),
            self._table(T_base_pads),
        )

    def _pad_depth(self, T_object_pads: Array) -> float:
        centres = to_tensor(T_object_pads[:, :3, 3])
        return -float(self._scene.compute_signed_distance(centres, nthreads=1).numpy().min())

    def _core_depth(self, T_object_pads: Array) -> float:
        """Smallest distance to a face of the core, of the surface points in it that lie deepest."""
        starts, ways = self._lines[:, :3], self._lines[:, 3:]
        rays = np.empty((2, len(self._lines), 6))
        rays[..., :3] = se3.apply(T_object_pads, starts + self._middle)
        rays[..., 3:] = ways @ np.swapaxes(T_object_pads[:, :3, :3], -1, -2)
        share = self._scene.cast_rays(to_tensor(rays), nthreads=1)["t_hit"].numpy()
        finger, line = np.nonzero(share <= 1.0)
        if not len(line):
            return 0.0
        hits = starts[line] + share[finger, line, None] * ways[line]
        return float((self._half - np.abs(hits)).min(axis=1).max())

    def _table(self, T_base_pads: Array) -> float:
        corners = self._middle + self._half * _CORNERS
        return -min(float(se3.apply(T, corners)[:, 2].min()) for T in T_base_pads)


_CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)


def _lines_through(half: Array) -> Array:
    """Lines through a box about the origin, both ways along each axis, as start and whole way, shape (num_lines, 6)."""
    across = np.linspace(-1.0, 1.0, _LINES + 2)[1:-1]
    lines = []
    for axis in range(3):
        for a in across:
            for b in across:
                start = np.insert(np.array([a, b]), axis, -1.0) * half
                way = np.zeros(3)
                way[axis] = 2.0 * half[axis]
                lines += [np.concatenate([start, way]), np.concatenate([start + way, -way])]
    return np.array(lines)
