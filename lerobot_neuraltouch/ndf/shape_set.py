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
            across, along = draw_stretch(rng, batch_size)
            factors = np.stack([across, across, along], axis=-1)[:, None]
            clouds *= factors
            labels[..., :3] *= factors
            labels[..., 3] *= np.cbrt(factors.prod(-1))
            shapes[:, :3] *= np.stack([along, across, across], axis=-1)
        points = torch.from_numpy(labels)
        return Batch(
            torch.from_numpy(clouds), points[..., :3], points[..., 3], torch.from_numpy(shapes)
        )


def draw_stretch(rng: np.random.Generator, num: int) -> tuple[np.ndarray, np.ndarray]:
    """Scales across and along the axis, float32 (num,) each: up to 12 % together and 6 % against each other.

    Signed distances are scaled by the mean factor, which is exact on the surface and within 6 % off it, too much
    as often as too little.
    """
    together = rng.uniform(0.88, 1.12, num)
    against = rng.uniform(-0.06, 0.06, num)
    return (
        (together * np.exp(against / 3)).astype(np.float32),
        (together * np.exp(-2 * against / 3)).astype(np.float32),
    )
