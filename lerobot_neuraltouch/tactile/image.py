"""Touch images: how deep the object lies inside each finger's undeformed skin, seen from the finger's camera.

Rays run from the pinhole to the points of the undeformed skin and are cast in the object's frame against its exact
mesh, so nothing is rebuilt when the object moves. Image axes: columns along pad x, rows along pad y, so row 0 is the
fingertip's end (tcp +z). Pixels outside the pad's disc are 0.
"""

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
        self._lattice, self._near = _lattice(self.mask)
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
        self._skin_depth = np.where(on_pad, depth, 1e-9).astype(np.float32)
        self._to_skin = np.concatenate(
            [slopes * self._skin_depth[..., None], self._skin_depth[..., None]], axis=-1
        ).astype(np.float32)
        self._pinhole = np.column_stack([offset, np.full(2, -self.finger.camera_distance_m)])

    def indentation(self, T_object_pad: NDArray[np.floating]) -> NDArray[np.float32]:
        """Depth of the object inside the skin, along the pad's normal [m], shape (2, size, size).

        Args:
            T_object_pad: Poses of the left and right pad in the object's frame, shape (2, 4, 4).
        """
        images = np.zeros((2, self.size * self.size), dtype=np.float32)
        near = np.flatnonzero(self._may_touch(T_object_pad))
        if near.size == 0:
            return images.reshape(2, self.size, self.size)
        # Most rays meet nothing before the skin, and "anything before t = 1?" is far cheaper than "where?". So ask that of every
        # second ray both ways, then cast those that meet something and their neighbours: only what is less than two pixels
        # wide could slip through. The rays of both fingers go together.
        lattice = [self._rays(finger, T_object_pad[finger], self._lattice) for finger in near]
        hits = np.split(self.blocked(np.concatenate(lattice)), near.size)
        which = [self._around(hit) for hit in hits]
        if not any(pixels.size for pixels in which):
            return images.reshape(2, self.size, self.size)
        rays = [
            self._rays(finger, T_object_pad[finger], pixels)
            for finger, pixels in zip(near, which, strict=True)
        ]
        batch = o3d.core.Tensor.from_numpy(np.concatenate(rays))
        # the way to the object, in units of the way to the skin
        fraction = np.minimum(self._scene.cast_rays(batch, nthreads=1)["t_hit"].numpy(), 1)
        parts = np.split(fraction, np.cumsum([pixels.size for pixels in which])[:-1])
        for finger, pixels, part in zip(near, which, parts, strict=True):
            images[finger, self._pixels[pixels]] = (1 - part) * self._skin_depth[finger, pixels]
        return images.reshape(2, self.size, self.size)

    def gray(self, indentation_m: NDArray[np.floating]) -> NDArray[np.uint8]:
        """Gray images of an indentation [m], by the camera's map."""
        return self.gray_map.to_gray(indentation_m)

    def blocked(self, rays: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Whether the object lies on each segment (start, vector) of its frame, shape (num_rays, 6) -> (num_rays,)."""
        return self._scene.test_occlusions(
            o3d.core.Tensor.from_numpy(rays), 0.0, 1.0, nthreads=1
        ).numpy()

    def _rays(
        self, finger: int, T_object_pad: NDArray[np.floating], which: NDArray[np.integer]
    ) -> NDArray[np.float32]:
        """Some rays of one finger, from pinhole (t = 0) to undeformed skin (t = 1) in the object's frame, shape (num, 6)."""
        rotation = T_object_pad[:3, :3]
        rays = np.empty((which.size, 6), dtype=np.float32)
        x, y, z = self._pinhole[finger]
        rays[:, :3] = T_object_pad[:3, 3] + rotation[:, 2] * z + rotation[:, :2] @ (x, y)
        np.matmul(self._to_skin[finger, which], rotation.T.astype(np.float32), out=rays[:, 3:])
        return rays

    def _around(self, hit: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Pixels of the mask around the lattice pixels that met something, shape (num,)."""
        counts = np.bincount(self._near[hit].ravel(), minlength=self._pixels.size + 1)
        return np.flatnonzero(counts[:-1])

    def _may_touch(self, T_object_pad: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Whether the object reaches a sphere around each pad's rays, shape (2,): a cheap, safe first test."""
        sag = self.finger.sagitta(self.finger.pad_radius_m)
        back = self.finger.camera_distance_m
        # the smallest sphere through the pinhole and the rim of the disc; the apex lies inside it
        centre = -back + (self.finger.pad_radius_m**2 + (back - sag) ** 2) / (2 * (back - sag))
        points = T_object_pad[:, :3, 3] + centre * T_object_pad[:, :3, 2]
        distance = self._scene.compute_distance(
            o3d.core.Tensor.from_numpy(points.astype(np.float32)), nthreads=1
        ).numpy()
        beside = float(np.linalg.norm(self._pinhole[:, :2], axis=-1).max())
        return distance <= max(centre + back, -centre) + beside


def _lattice(mask: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Every second pixel of the mask in both directions, and the 3 x 3 pixels around each.

    Pixels are numbered in the order of the mask; a neighbour outside it is numbered one past the end.

    Returns:
        Lattice pixels, shape (num_lattice,), and their neighbourhoods, shape (num_lattice, 9).
    """
    size, count = len(mask), int(mask.sum())
    number = np.full((size + 2, size + 2), count)
    number[1:-1, 1:-1][mask] = np.arange(count)
    rows, columns = np.nonzero(mask[::2, ::2])
    rows, columns = 2 * rows, 2 * columns
    around = [number[rows + i, columns + j] for i in range(3) for j in range(3)]
    return number[rows + 1, columns + 1], np.stack(around, axis=-1)


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
