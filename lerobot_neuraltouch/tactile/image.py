"""Touch images: how deep the object lies inside each finger's undeformed skin, seen from the finger's camera.

Rays run from the pinhole to the points of the undeformed skin and are cast in the object's frame against its exact
mesh, so nothing is rebuilt when the object moves. Image axes: columns along pad x, rows along pad y, so row 0 is the
fingertip's end (tcp +z). Pixels outside the pad's disc are 0.
"""

import math

import numpy as np
import open3d as o3d
import trimesh
from numpy.typing import NDArray

from .finger import TacTipFinger
from .gray import GRAY_MAPS, GrayMap

MIN_SIZE = 8
"""Smallest touch image [pixels a side]."""


def disc_mask(size: int) -> NDArray[np.bool_]:
    """Pixels inside the inscribed disc, shape (size, size)."""
    centres = _pixel_centres(size)
    return np.square(centres[:, None]) + np.square(centres[None, :]) <= 1


class TactileCamera:
    """Takes the touch images of both fingers against one object.

    Args:
        mesh: The object's exact surface in its own frame [m]; need not be watertight.
        finger: Shape of the fingertip.
        size: Width and height of an image [pixels].
        gray_map: How indentations become gray levels.
    """

    def __init__(
        self,
        mesh: trimesh.Trimesh,
        finger: TacTipFinger | None = None,
        size: int = 64,
        gray_map: GrayMap = GRAY_MAPS["linear"],
    ) -> None:
        if size < MIN_SIZE:
            raise ValueError(f"A touch image needs at least {MIN_SIZE} pixels a side, got {size}.")
        self.finger = finger or TacTipFinger()
        self.size = size
        self.gray_map = gray_map
        self.mask = disc_mask(size)
        self._scene = o3d.t.geometry.RaycastingScene(nthreads=1)
        self._scene.add_triangles(
            o3d.core.Tensor(np.asarray(mesh.vertices, dtype=np.float32)),
            o3d.core.Tensor(np.asarray(mesh.faces, dtype=np.uint32)),
        )
        self._pixels = np.flatnonzero(self.mask)
        self._coarse = np.flatnonzero(self.mask[::2, ::2])
        self._nearness = _Nearness(self._scene, self.finger)
        self.mount(np.zeros(2), np.zeros((2, 2)))

    def mount(
        self,
        yaw_rad: NDArray[np.floating],
        shift_px: NDArray[np.floating],
        offset_m: NDArray[np.floating] | None = None,
    ) -> None:
        """Mount the left and right camera with an error.

        Args:
            yaw_rad: About the pad's normal [rad], shape (2,): the picture turns.
            shift_px: Of the picture, (columns, rows) [pixels], shape (2, 2).
            offset_m: Of the pinhole along pad x and y [m], shape (2, 2): near and far parts of the skin move differently.
        """
        offset = np.zeros((2, 2)) if offset_m is None else np.asarray(offset_m, dtype=np.float64)
        slopes = _slopes(self.finger, self.size, self._pixels, yaw_rad, shift_px)
        depth = np.stack([self.finger.skin_depth(slopes[i], offset[i]) for i in range(2)])
        rim_depth = self.finger.camera_distance_m - self.finger.sagitta(self.finger.pad_radius_m)
        at_rim = slopes + offset[:, None] / rim_depth
        on_pad = np.linalg.norm(at_rim, axis=-1) <= self.finger.tan_half_fov
        # Rays beside the pad's disc see its frame, never the object: they end at once.
        skin_depth = np.where(on_pad, depth, 1e-9)
        # Homogeneous (x, y, z, 1), so that one small product gives both ends of a ray.
        to_skin = np.ones((2, self.size**2, 4), dtype=np.float32)
        to_skin[:, self._pixels, :2] = slopes * skin_depth[..., None]
        to_skin[:, self._pixels, 2] = skin_depth
        self._to_skin = to_skin.reshape(-1, 4)
        self._skin_depth = np.ascontiguousarray(self._to_skin[:, 2])
        square = to_skin.reshape(2, self.size, self.size, 4)
        self._to_lattice = square[:, ::2, ::2].reshape(2, -1, 4)[:, self._coarse]
        self._pinhole = np.column_stack([offset, np.full(2, -self.finger.camera_distance_m)])
        self._beside_m = float(np.linalg.norm(offset, axis=-1).max())

    def indentation(self, T_object_pad: NDArray[np.floating]) -> NDArray[np.float32]:
        """Depth of the object inside the skin, along the pad's normal [m], shape (2, size, size).

        Args:
            T_object_pad: Poses of the left and right pad in the object's frame, shape (2, 4, 4).
        """
        images = np.zeros((2, self.size, self.size), dtype=np.float32)
        places, depth = self._feel(T_object_pad)
        images.reshape(-1)[places] = depth
        return images

    def picture(self, T_object_pad: NDArray[np.floating]) -> NDArray[np.uint8]:
        """Gray images of `indentation`, by the camera's map, uint8 (2, size, size)."""
        images = np.zeros((2, self.size, self.size), dtype=np.uint8)
        places, depth = self._feel(T_object_pad)
        images.reshape(-1)[places] = self.gray_map.to_gray(depth)
        return images

    def _feel(
        self, T_object_pad: NDArray[np.floating]
    ) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """Where the object may lie inside the skins, as places in the flattened pair of images, and how deep [m], shapes (num,)."""
        near = [
            finger
            for finger in (0, 1)
            if self._nearness.within(finger, T_object_pad[finger], self._beside_m)
        ]
        if not near:
            return _NOWHERE
        # Most rays meet nothing before the skin, and "anything before t = 1?" is far cheaper than "where?". So ask that of every
        # second ray both ways, then cast those that meet something and their neighbours: only what is less than two pixels
        # wide could slip through. The rays of both fingers go together.
        ends = [self._ends(finger, T_object_pad[finger]) for finger in near]
        lattice = [self._to_lattice[finger] @ end for finger, end in zip(near, ends, strict=True)]
        met = self.blocked(lattice[0] if len(near) == 1 else np.concatenate(lattice))
        if not met.any():
            return _NOWHERE
        places = self._around(met.reshape(len(near), -1)) + near[0] * self.size**2
        to_skin = self._to_skin.take(places, axis=0)
        rays = np.empty((places.size, 6), dtype=np.float32)
        middle = int(np.searchsorted(places, self.size**2))
        for finger, end in zip(near, ends, strict=True):
            part = slice(middle, None) if finger else slice(middle)
            np.matmul(to_skin[part], end, out=rays[part])
        hit = self._scene.cast_rays(o3d.core.Tensor.from_numpy(rays), nthreads=1)["t_hit"].numpy()
        # the way from the object to the skin, in units of the way to the skin
        beyond = 1 - np.minimum(hit, 1)
        beyond *= self._skin_depth.take(places)
        return places, beyond

    def _around(self, met: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Pixels of the mask in the 3 x 3 neighbourhoods of lattice pixels, (num_fingers, num_lattice) -> flat, in order."""
        size = self.size
        coarse = np.zeros((len(met), -(-size // 2), -(-size // 2)), dtype=np.bool_)
        coarse.reshape(len(met), -1)[:, self._coarse] = met
        rows = np.empty((len(met), size, coarse.shape[2]), dtype=np.bool_)
        rows[:, ::2] = coarse
        rows[:, 1::2] = coarse[:, : size // 2]
        rows[:, 1:-1:2] |= coarse[:, 1:]
        marked = np.empty((len(met), size, size), dtype=np.bool_)
        marked[:, :, ::2] = rows
        marked[:, :, 1::2] = rows[:, :, : size // 2]
        marked[:, :, 1:-1:2] |= rows[:, :, 1:]
        marked &= self.mask
        return np.flatnonzero(marked)

    def gray(self, indentation_m: NDArray[np.floating]) -> NDArray[np.uint8]:
        """Gray images of an indentation [m], by the camera's map."""
        return self.gray_map.to_gray(indentation_m)

    def blocked(self, rays: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Whether the object lies on each segment (start, vector) of its frame, shape (num_rays, 6) -> (num_rays,)."""
        return self._scene.test_occlusions(
            o3d.core.Tensor.from_numpy(rays), 0.0, 1.0, nthreads=1
        ).numpy()

    def _ends(self, finger: int, T_object_pad: NDArray[np.floating]) -> NDArray[np.float32]:
        """What `_to_skin` is multiplied by for rays (start, vector) from pinhole (t = 0) to undeformed skin (t = 1) in the object's
        frame, shape (4, 6)."""
        rotation = T_object_pad[:3, :3]
        ends = np.zeros((4, 6), dtype=np.float32)
        ends[:3, 3:] = rotation.T
        ends[3, :3] = T_object_pad[:3, 3] + rotation @ self._pinhole[finger]
        return ends


class _Nearness:
    """Whether an object reaches a sphere around a pad's rays: a cheap, safe first test.

    Distances change by no more than the way gone, so the object is asked again only where the last answers leave it open.

    Args:
        scene: The object.
        finger: Shape of the fingertip.
    """

    def __init__(self, scene: o3d.t.geometry.RaycastingScene, finger: TacTipFinger) -> None:
        self._scene = scene
        sag, back = finger.sagitta(finger.pad_radius_m), finger.camera_distance_m
        # the smallest sphere through the pinhole and the rim of the disc; the apex lies inside it
        self._centre = -back + (finger.pad_radius_m**2 + (back - sag) ** 2) / (2 * (back - sag))
        self._radius = max(self._centre + back, -self._centre)
        self._known = [((np.inf, 0.0, 0.0), 0.0)] * 2
        """The last place of each pad that was asked for, and the object's distance from there [m]."""

    def within(self, finger: int, T_object_pad: NDArray[np.floating], beside_m: float) -> bool:
        """Whether the object reaches the sphere, made larger by `beside_m`, around the left (0) or right (1) pad."""
        place = (T_object_pad[:3, 3] + self._centre * T_object_pad[:3, 2]).tolist()
        known, distance = self._known[finger]
        radius, moved = self._radius + beside_m, math.dist(place, known)
        if distance - moved > radius:
            return False
        if distance + moved <= radius:
            return True
        point = o3d.core.Tensor.from_numpy(np.array([place], dtype=np.float32))
        distance = self._scene.compute_distance(point, nthreads=1).item()
        self._known[finger] = place, distance
        return distance <= radius


_NOWHERE = np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.float32)


def _pixel_centres(size: int) -> NDArray[np.float64]:
    return (np.arange(size, dtype=np.float64) + 0.5) * (2 / size) - 1


def _slopes(
    finger: TacTipFinger,
    size: int,
    pixels: NDArray[np.integer],
    yaw_rad: NDArray[np.floating],
    shift_px: NDArray[np.floating],
) -> NDArray[np.float64]:
    """Ray directions (x / z, y / z) of both cameras in the pad frame, shape (2, num_pixels, 2)."""
    centres = _pixel_centres(size)
    image = np.stack([centres[pixels % size], centres[pixels // size]], axis=-1)
    moved = image[None] - np.asarray(shift_px)[:, None, :] * (2 / size)
    c, s = np.cos(yaw_rad), np.sin(yaw_rad)
    turn = np.stack([np.stack([c, s], -1), np.stack([-s, c], -1)], axis=-2)  # image to pad: by -yaw
    return finger.tan_half_fov * np.einsum("fij,fpj->fpi", turn, moved)
