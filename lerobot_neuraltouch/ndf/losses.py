"""What the field is trained on: signed distance, canonical coordinates and anchors."""

from typing import NamedTuple

import torch
from torch import Tensor

from lerobot_neuraltouch.ndf.encoder import Encoding
from lerobot_neuraltouch.ndf.network import DescriptorField
from lerobot_neuraltouch.ndf.sizes import COORDINATES, SCALE

SHAPE_NUMBERS = ("height", "radius", "handle_x", "handle_z", "corner_x", "corner_z", "category")
"""What is known of a shape: its height, the radius of its top part, where the handle's centre line reaches outmost and
where its upper corner is (0 without a handle) [m], and the number of its category in `CATEGORIES`."""
CATEGORIES = COORDINATES[-3:]
CLAMP = 1.0
"""Signed distances are learnt up to this far [dm]."""
NEAR = 0.3
"""Points this far from the surface count half [dm]."""


class Batch(NamedTuple):
    """Training examples; everything is given in the object frame, [m]."""

    cloud: Tensor
    """(B, N, 3)."""
    points: Tensor
    """(B, M, 3)."""
    distance: Tensor
    """Signed distance at the points, (B, M)."""
    shape: Tensor
    """Rows of `SHAPE_NUMBERS`, (B, 7)."""


class Losses(NamedTuple):
    """Errors by task, in decimetres except for the kind, and their weighted sum."""

    total: Tensor
    distance: Tensor
    coordinates: Tensor
    """By coordinate, (13,)."""
    anchors: Tensor
    """Of the last estimate, by anchor, (A,)."""


def true_anchors(shape: Tensor) -> Tensor:
    """`ANCHORS` of shapes (B, 7), (B, 4 anchors, 3 xyz) [m]."""
    height, _, handle_x, handle_z, corner_x, corner_z, _ = shape.unbind(-1)
    zero = torch.zeros_like(height)
    top = torch.stack([zero, zero, height], dim=-1)
    handle = torch.stack([handle_x, zero, handle_z], dim=-1)
    corner = torch.stack([corner_x, zero, corner_z], dim=-1)
    return torch.stack([top, torch.zeros_like(top), handle, corner], dim=1)


def true_coordinates(points: Tensor, shape: Tensor) -> Tensor:
    """`COORDINATES` of points (B, M, 3) [m], (B, M, 13) in network units."""
    columns = (column[:, None] for column in shape.unbind(-1))
    height, radius, handle_x, handle_z, corner_x, corner_z, category = columns
    x, y, z = points.unbind(-1)
    distance = torch.hypot(x, y)
    over_axis = [z, z - height, distance, distance - radius, x, y]
    lengths = [*over_axis, x - handle_x, z - handle_z, x - corner_x, z - corner_z]
    kinds = [(category == number).to(z.dtype).expand_as(z) for number in range(len(CATEGORIES))]
    return torch.stack([SCALE * length for length in lengths] + kinds, dim=-1)


def field_losses(field: DescriptorField, batch: Batch) -> Losses:
    """Errors of the field on a batch."""
    encoding = field.encoder(batch.cloud)
    hidden = field.decoder.hidden(field.decoder.bake(encoding.latent), batch.points)
    mug = (batch.shape[:, -1] == CATEGORIES.index("mug")).to(hidden.dtype)
    target = (SCALE * batch.distance).clamp(-CLAMP, CLAMP)
    weight = NEAR / (NEAR + target.abs())
    weight = weight / weight.mean()
    distance = (
        weight * (field.distance(hidden)[..., 0].clamp(-CLAMP, CLAMP) - target).abs()
    ).mean()
    errors = (field.coordinates(hidden) - true_coordinates(batch.points, batch.shape)).abs()
    errors = (errors * weight[..., None]).mean(1)  # (B, 13)
    coordinates = _masked_mean(errors, mug, slice(4, 10))
    anchors = [_anchor_errors(estimate, batch.shape, mug) for estimate in encoding.anchors]
    scale = torch.tensor([1.0] * 4 + [0.5] * 6 + [0.07] * 3, device=mug.device)
    total = 4.0 * distance + (coordinates * scale).sum() / 2.0
    total = total + 0.3 * (0.5 * anchors[0] + anchors[1]).sum()
    total = total + 0.05 * _surprise(encoding, batch.shape, mug).sum()
    return Losses(total, distance, coordinates, anchors[1])


def _masked_mean(errors: Tensor, mug: Tensor, only_mugs: slice) -> Tensor:
    """Means over the batch of errors (B, K); some columns count on mugs only."""
    masks = torch.ones_like(errors)
    masks[:, only_mugs] = mug[:, None]
    return (errors * masks).sum(0) / masks.sum(0).clamp_min(1.0)


def _anchor_errors(estimate: Tensor, shape: Tensor, mug: Tensor) -> Tensor:
    """Mean distance of the estimated anchors (B, A, 3) [m] to the true ones, by anchor, (A,) [dm]."""
    return _masked_mean(_distances(estimate, shape), mug, slice(2, None))


def _surprise(encoding: Encoding, shape: Tensor, mug: Tensor) -> Tensor:
    """How badly the anchors' distances to the true ones were expected, by anchor, (A,).

    Negative log-likelihood of an exponential distribution: least where the mean distance is expected.
    """
    distance = _distances(encoding.anchors[-1], shape).detach()
    expected = SCALE * encoding.doubt
    return _masked_mean(distance / expected + expected.log(), mug, slice(2, None))


def _distances(estimate: Tensor, shape: Tensor) -> Tensor:
    """Distances of estimated anchors (B, A, 3) [m] to the true ones, (B, A) [dm]."""
    offset = estimate - true_anchors(shape)[:, : estimate.shape[1]]
    return SCALE * offset.square().sum(-1).add(1e-8).sqrt()
