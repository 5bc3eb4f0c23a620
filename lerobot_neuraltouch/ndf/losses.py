"""What the field is trained on: signed distance, canonical coordinates and anchors."""

from typing import NamedTuple

import torch
from torch import Tensor

from lerobot_neuraltouch.ndf.network import ANCHORS, COORDINATES, SCALE, DescriptorField

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
    """Height, radius of the top part, handle's reach (0 without one), kind (+1 mug, -1 bottle), (B, 4)."""


class Losses(NamedTuple):
    """Errors by task, in decimetres except for the kind, and their weighted sum."""

    total: Tensor
    distance: Tensor
    coordinates: Tensor
    """By coordinate, (7,)."""
    anchors: Tensor
    """Of the last estimate, by anchor, (3,)."""


def true_anchors(shape: Tensor) -> Tensor:
    """`ANCHORS` of shapes (B, 4), (B, 3 anchors, 3 xyz) [m]."""
    height, _, reach, _ = shape.unbind(-1)
    zero = torch.zeros_like(height)
    top = torch.stack([zero, zero, height], dim=-1)
    handle = torch.stack([reach, zero, 0.5 * height], dim=-1)
    return torch.stack([top, torch.zeros_like(top), handle], dim=1)


def true_coordinates(points: Tensor, shape: Tensor) -> Tensor:
    """`COORDINATES` of points (B, M, 3) [m], (B, M, 7) in network units."""
    height, radius, _, kind = (column[:, None] for column in shape.unbind(-1))
    x, y, z = points.unbind(-1)
    distance = torch.hypot(x, y)
    lengths = torch.stack([z, z - height, distance, distance - radius, x, y], dim=-1) * SCALE
    return torch.cat([lengths, kind.expand_as(z)[..., None]], dim=-1)


def field_losses(field: DescriptorField, batch: Batch) -> Losses:
    """Errors of the field on a batch."""
    encoding = field.encoder(batch.cloud)
    hidden = field.decoder.hidden(field.decoder.bake(encoding.latent), batch.points)
    mug = (batch.shape[:, 3] > 0).float()
    target = (SCALE * batch.distance).clamp(-CLAMP, CLAMP)
    weight = NEAR / (NEAR + target.abs())
    weight = weight / weight.mean()
    distance = (
        weight * (field.distance(hidden)[..., 0].clamp(-CLAMP, CLAMP) - target).abs()
    ).mean()
    errors = (field.coordinates(hidden) - true_coordinates(batch.points, batch.shape)).abs()
    errors = (errors * weight[..., None]).mean(1)  # (B, 7)
    masks = torch.ones(len(mug), len(COORDINATES), device=mug.device)
    masks[:, 4:6] = mug[:, None]
    coordinates = (errors * masks).sum(0) / masks.sum(0).clamp_min(1.0)
    anchors = [_anchor_errors(estimate, batch.shape, mug) for estimate in encoding.anchors]
    scale = torch.ones(len(COORDINATES), device=mug.device)
    scale[4:] = torch.tensor([0.5, 0.5, 0.1])
    total = 4.0 * distance + (coordinates * scale).sum() / 2.0
    total = total + 0.3 * (0.5 * anchors[0] + anchors[1]).sum()
    return Losses(total, distance, coordinates, anchors[1])


def _anchor_errors(estimate: Tensor, shape: Tensor, mug: Tensor) -> Tensor:
    """Mean distance of the estimated anchors (B, 3, 3) [m] to the true ones, by anchor, (3,) [dm]."""
    errors = SCALE * (estimate - true_anchors(shape)).square().sum(-1).add(1e-8).sqrt()
    masks = torch.ones(len(mug), len(ANCHORS), device=mug.device)
    masks[:, 2] = mug
    return (errors * masks).sum(0) / masks.sum(0).clamp_min(1.0)
