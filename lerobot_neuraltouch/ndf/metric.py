"""The metric of descriptors: which directions of the last hidden layer tell corresponding points from others.

Linear discriminant analysis on training shapes, after the training: the same place of the top part (relative to
rim or lid) is looked up on many objects and views. Directions that scatter there (size of the object, what the view
hides) are scaled down, so that a descriptor's residual between two objects of a category has unit variance.
"""

import numpy as np
import torch
from torch import Tensor

from lerobot_neuraltouch.ndf.network import DescriptorField
from lerobot_neuraltouch.ndf.shape_set import ShapeSet

NUM_PLACES = 256
REACH_M = (0.06, 0.05)
"""Places are drawn within this of the top part, along the axis and across it."""


def same_places(rng: np.random.Generator, shapes: np.ndarray, num: int) -> np.ndarray:
    """The same places on each of the shapes (S, 4), object frame [m], float32 (S, num, 3).

    Rows of shapes are as in `data.shape_numbers`; a place is given by its height over the top, its distance to the
    top part's radius and its azimuth.
    """
    depth = rng.uniform(-REACH_M[0], REACH_M[0], num)
    outside = rng.uniform(-REACH_M[1], REACH_M[1], num)
    azimuth = rng.uniform(-np.pi, np.pi, num)
    radius = np.maximum(shapes[:, 1:2] + outside, 0.0)
    points = [radius * np.cos(azimuth), radius * np.sin(azimuth), shapes[:, :1] + depth]
    return np.stack(points, axis=-1).astype(np.float32)


@torch.no_grad()
def scatter(
    field: DescriptorField, shapes: ShapeSet, rng: np.random.Generator, num_objects: int = 256
) -> tuple[Tensor, Tensor]:
    """Scatter of the last hidden layer within places and between them, (W, W) each, mean over the categories."""
    within, between = [], []
    for kind in np.unique(shapes.shapes[:, 3]):
        members = np.flatnonzero(shapes.shapes[:, 3] == kind)
        chosen = rng.choice(members, num_objects)
        clouds = np.stack(
            [shapes.cloud(rng, i, field.config.num_points, max_views=1) for i in chosen]
        )
        points = torch.from_numpy(same_places(rng, shapes.shapes[chosen], NUM_PLACES))
        hidden = []
        for start in range(0, num_objects, 32):
            latent = field.encode(torch.from_numpy(clouds[start : start + 32]))
            baked = field.decoder.bake(latent)
            hidden.append(field.decoder.hidden(baked, points[start : start + 32]))
        h = torch.cat(hidden).double()
        mean = h.mean(0, keepdim=True)
        off = (h - mean).flatten(0, 1)
        within.append(off.T @ off / len(off))
        spread = mean[0] - mean.mean((0, 1))
        between.append(spread.T @ spread / NUM_PLACES)
    return torch.stack(within).mean(0), torch.stack(between).mean(0)


def fit_metric(
    field: DescriptorField,
    shapes: ShapeSet,
    rng: np.random.Generator,
    shrinkage: float = 0.02,
) -> None:
    """Set `field.metric` from training shapes, in place.

    Args:
        field: Trained.
        shapes: Training shapes.
        rng: Draws objects, views and places.
        shrinkage: Share of the mean variance added to every direction, against overfitting.
    """
    within, between = scatter(field, shapes, rng)
    width = len(within)
    within = within + shrinkage * within.diagonal().mean() * torch.eye(width, dtype=within.dtype)
    values, vectors = torch.linalg.eigh(within)
    whiten = vectors * values.rsqrt()
    _, directions = torch.linalg.eigh(whiten.T @ between @ whiten)
    best = directions.flip(-1)[:, : field.config.descriptor]
    field.metric.copy_((whiten @ best).to(field.metric.dtype))
