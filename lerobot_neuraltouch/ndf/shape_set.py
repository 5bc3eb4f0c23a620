"""Shapes in memory, and training batches drawn from them. Frame: object [m]."""

import numpy as np
import torch

from lerobot_neuraltouch.ndf.losses import Batch

UNIT_M = 1e-5
"""Stored lengths are multiples of this [m]."""


class ShapeSet:
    """Shapes in memory, and batches drawn from them."""

    def __init__(self, shards: list[dict[str, np.ndarray]]) -> None:
        joined = {
            name: np.concatenate([shard[name] for shard in shards])
            for name in ("shapes", "labels", "clouds", "sizes")
        }
        self.shapes, self.labels = joined["shapes"], joined["labels"]
        self.clouds, self.sizes = joined["clouds"], joined["sizes"]

    def __len__(self) -> int:
        return len(self.shapes)

    def cloud(
        self, rng: np.random.Generator, index: int, num_points: int, max_views: int = 4
    ) -> np.ndarray:
        """A cloud of one to `max_views` views [m], shape (num_points, 3); half of the clouds are of one view."""
        most = min(max_views, self.clouds.shape[1])
        views = 1 if rng.random() < 0.5 else int(rng.integers(1, most + 1))
        chosen = rng.choice(self.clouds.shape[1], views, replace=False)
        points = np.concatenate([self.clouds[index, v, : self.sizes[index, v]] for v in chosen])
        drawn = rng.permutation(len(points))[:num_points]
        if len(drawn) < num_points:
            drawn = np.concatenate([drawn, rng.integers(len(points), size=num_points - len(drawn))])
        return points[drawn].astype(np.float32) * UNIT_M

    def batch(
        self,
        rng: np.random.Generator,
        batch_size: int,
        num_points: int,
        num_queries: int,
        max_views: int = 4,
        stretch: bool = True,
    ) -> Batch:
        """Draw shapes, views and labelled points; the clouds get another 0.5 mm of noise.

        Args:
            rng: Source of the draws.
            batch_size, num_points, num_queries: Shapes, points of each cloud, labelled points of each shape.
            max_views: Views that a cloud is made of, at most.
            stretch: Whether shapes are scaled (`draw_stretch`), which makes more of the same shapes.
        """
        indices = rng.integers(len(self), size=batch_size)
        clouds = np.stack([self.cloud(rng, i, num_points, max_views) for i in indices])
        clouds += 0.0005 * rng.standard_normal(clouds.shape, dtype=np.float32)
        # Labels are in random order: a random run of them is a random draw.
        starts = rng.integers(self.labels.shape[1] - num_queries + 1, size=batch_size)
        runs = np.stack(
            [self.labels[i, s : s + num_queries] for i, s in zip(indices, starts, strict=True)]
        )
        labels, shapes = runs.astype(np.float32) * np.float32(UNIT_M), self.shapes[indices].copy()
        if stretch:
            stretch_shapes(rng, clouds, labels, shapes)
        points = torch.from_numpy(labels)
        return Batch(
            torch.from_numpy(clouds), points[..., :3], points[..., 3], torch.from_numpy(shapes)
        )


def stretch_shapes(
    rng: np.random.Generator, clouds: np.ndarray, labels: np.ndarray, shapes: np.ndarray
) -> None:
    """Make other shapes of the same ones, in place: scaled along and across the axis, and tapered.

    Up to 12 % together, 6 % along against across, and 8 % more across at one end than at the middle. Signed distances
    are scaled by the mean factor, which is exact on the surface and within a few percent off it, too much as often as
    too little.

    Args:
        rng: Source of the draws.
        clouds: (B, N, 3).
        labels: Points and their signed distances, (B, M, 4).
        shapes: Rows of `losses.SHAPE_NUMBERS`, (B, 7).
    """
    num = len(shapes)
    together, against = rng.uniform(0.88, 1.12, num), rng.uniform(-0.06, 0.06, num)
    across, along = together * np.exp(against / 3), together * np.exp(-2 * against / 3)
    taper = rng.uniform(-0.08, 0.08, num)
    height, _, handle_x, handle_z, corner_x, corner_z, _ = shapes.T.copy()

    def widen(z: np.ndarray) -> np.ndarray:
        """Factor across at heights (B, ...) before scaling."""
        shape = (num,) + (1,) * (z.ndim - 1)
        rise = np.clip(2.0 * z / height.reshape(shape) - 1.0, -1.5, 1.5)
        return (across.reshape(shape) * (1.0 + taper.reshape(shape) * rise)).astype(np.float32)

    for points in (clouds, labels):
        factor = widen(points[..., 2])
        if points is labels:
            points[..., 3] *= np.cbrt(factor**2 * along[:, None])
        points[..., :2] *= factor[..., None]
        points[..., 2] *= along[:, None]
    shapes[:, 1] *= widen(height)
    shapes[:, 2], shapes[:, 4] = handle_x * widen(handle_z), corner_x * widen(corner_z)
    shapes[:, 0], shapes[:, 3], shapes[:, 5] = height * along, handle_z * along, corner_z * along
