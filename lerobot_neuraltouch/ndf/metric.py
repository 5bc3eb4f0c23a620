"""The metric of descriptors: which directions of the last hidden layer tell corresponding points from others.

Linear discriminant analysis on training shapes, after the training: the same place is looked up on many objects and
views. Directions that scatter there (size of the object, what the view hides) are scaled down, so that a descriptor's
residual between two objects of a category has unit variance.

What "the same place" means depends on the part: `PARTS`. The first half of a descriptor is fitted for contacts at the
top of an object (rim, wall, lid, head), which may lie anywhere around the axis; the second half for contacts at a
mug's handle. A pose search uses the half of its demonstration.
"""

import numpy as np
import torch
from torch import Tensor

from lerobot_neuraltouch.ndf.encoder import Latent
from lerobot_neuraltouch.ndf.losses import CATEGORIES
from lerobot_neuraltouch.ndf.network import DescriptorField
from lerobot_neuraltouch.ndf.shape_set import ShapeSet
from lerobot_neuraltouch.ndf.sizes import COORDINATES, SCALE
from lerobot_neuraltouch.ndf.sizes import PARTS as PARTS

NUM_PLACES = 256
REACH_M = (0.06, 0.05)
"""Places at the top are drawn within this of the top part, along the axis and across it."""
HANDLE_REACH_M = 0.04
"""Places at a handle are drawn within this of it, along each axis."""
NEAR_HANDLE_M = 0.018
"""A contact nearer than this to the handle's outermost point or its upper corner is one of the handle."""


def part_columns(field: DescriptorField, part: str) -> slice:
    """The descriptor's columns that are fitted for contacts at a part."""
    half = field.config.descriptor // 2
    return slice(0, half) if part == "top" else slice(half, None)


@torch.no_grad()
def part_at(field: DescriptorField, latent: Latent, point: Tensor) -> str:
    """The part at a point (3,) [m] of an encoded object (a batch of one), one of PARTS."""
    hidden = field.decoder.hidden(field.decoder.bake(latent), point[None, None])
    found = dict(zip(COORDINATES, field.coordinates(hidden)[0, 0].tolist(), strict=True))
    if found["mug"] < 0.5:
        return "top"
    beside = min(np.hypot(found["reach"], found["level"]), np.hypot(found["past"], found["drop"]))
    return "handle" if np.hypot(beside, found["y"]) / SCALE < NEAR_HANDLE_M else "top"


def same_places(rng: np.random.Generator, shapes: np.ndarray, part: str, num: int) -> np.ndarray:
    """The same places on each of the shapes (S, 7), object frame [m], float32 (S, num, 3).

    Rows of shapes are `losses.SHAPE_NUMBERS`. A place at the top is given by its height over the top and its distance
    to the top part's radius, and lies at any azimuth; a place at a handle by its offset from the handle's outermost
    point or from its upper corner.
    """
    count = len(shapes)
    if part == "top":
        depth = rng.uniform(-REACH_M[0], REACH_M[0], num)
        outside = rng.uniform(-REACH_M[1], REACH_M[1], num)
        azimuth = rng.uniform(-np.pi, np.pi, (count, num))
        radius = np.maximum(shapes[:, 1:2] + outside, 0.0)
        points = [radius * np.cos(azimuth), radius * np.sin(azimuth), shapes[:, :1] + depth]
        return np.stack(points, axis=-1).astype(np.float32)
    offset = rng.uniform(-HANDLE_REACH_M, HANDLE_REACH_M, (num, 3))
    at_corner = rng.random(num) < 0.5
    x, height = (np.where(at_corner, shapes[:, i + 2, None], shapes[:, i, None]) for i in (2, 3))
    return (np.stack([x, np.zeros_like(x), height], axis=-1) + offset).astype(np.float32)


@torch.no_grad()
def scatter(
    field: DescriptorField,
    shapes: ShapeSet,
    part: str,
    rng: np.random.Generator,
    num_objects: int = 256,
) -> tuple[Tensor, Tensor]:
    """Scatter of the last hidden layer within places and between them, (W, W) each, mean over the categories."""
    within, between = [], []
    for kind in np.unique(shapes.shapes[:, -1]):
        if part == "handle" and CATEGORIES[int(kind)] != "mug":
            continue
        members = np.flatnonzero(shapes.shapes[:, -1] == kind)
        chosen = rng.choice(members, num_objects)
        clouds = np.stack(
            [shapes.cloud(rng, i, field.config.num_points, max_views=1) for i in chosen]
        )
        points = torch.from_numpy(same_places(rng, shapes.shapes[chosen], part, NUM_PLACES))
        hidden = []
        for start in range(0, num_objects, 32):
            latent = field.encode(torch.from_numpy(clouds[start : start + 32]))
            baked = field.decoder.bake(latent)
            hidden.append(field.decoder.hidden(baked, points[start : start + 32]))
        h = torch.cat(hidden).double()
        # The median of the objects stands for a place: a few objects seen upside down must not count as scatter.
        mean = h.median(0, keepdim=True).values
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
    mugs = bool((shapes.shapes[:, -1] == CATEGORIES.index("mug")).any())
    for part in PARTS:
        columns = part_columns(field, part)
        size = field.metric[0, columns].numel()
        place = part if mugs else "top"  # a field of bottles alone has no handles to fit
        field.metric[:, columns] = _discriminants(
            *scatter(field, shapes, place, rng), size, shrinkage
        )


def _discriminants(within: Tensor, between: Tensor, num: int, shrinkage: float) -> Tensor:
    """The directions that tell places apart best, float32 (W, num), scaled to unit scatter within places."""
    width = len(within)
    within = within + shrinkage * within.diagonal().mean() * torch.eye(width, dtype=within.dtype)
    values, vectors = torch.linalg.eigh(within)
    whiten = vectors * values.rsqrt()
    _, directions = torch.linalg.eigh(whiten.T @ between @ whiten)
    return (whiten @ directions.flip(-1)[:, :num]).float()
