"""Rotation-equivariant building blocks of the encoder: vector neurons gated by invariant scalars.

Features of a point are scalars s (..., C), unchanged by a rotation, and vectors v (..., 3, C), which turn with it.
Weights mix channels only, never xyz, and vectors have no bias; scalars and vectors meet in inner products (vector
to scalar) and gates (scalar to vector). Cross products make the layers tell mirror images apart. Sources: vector
neurons, Deng et al. 2021, arXiv:2104.12229; gates, Jing et al. 2021, arXiv:2009.01411.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Features(NamedTuple):
    """What is known at every point."""

    scalars: Tensor
    """Invariant, (B, N, C_s)."""
    vectors: Tensor
    """Equivariant, (B, N, 3, C_v)."""


def mix(channels_in: int, channels_out: int, gain: float = 1.0) -> nn.Linear:
    """A bias-free channel mix that keeps the variance (times gain squared) of its input."""
    layer = nn.Linear(channels_in, channels_out, bias=False)
    nn.init.normal_(layer.weight, std=gain * channels_in**-0.5)
    return layer


def neighbours(points: Tensor, num: int, reach: int) -> Tensor:
    """Indices of `num` neighbours spread over the `reach` nearest ones, shape (B, N, num).

    A spread over more neighbours than are used widens the view, which noise of the size of the spacing needs.
    """
    reach = min(reach, points.shape[1] - 1)
    step = max(reach // num, 1)
    squared = points.square().sum(-1)
    distances = squared[:, :, None] + squared[:, None] - 2.0 * points @ points.transpose(1, 2)
    return distances.topk(reach + 1, largest=False, sorted=True).indices[:, :, step::step][
        :, :, :num
    ]


def gather(points: Tensor, index: Tensor) -> Tensor:
    """Points (B, N, 3) at index (B, N, k), shape (B, N, k, 3)."""
    batch, count, num = index.shape
    flat = index.reshape(batch, count * num, 1).expand(-1, -1, 3)
    return points.gather(1, flat).reshape(batch, count, num, 3)


class EdgeStage(nn.Module):
    """First features of a point from the offsets to its neighbours.

    A message is a sum of offset, point and their cross product, weighted by a network of the edge's invariants.
    """

    def __init__(self, scalars: int, vectors: int, hidden: int, num: int, reach: int) -> None:
        super().__init__()
        self.num, self.reach = num, reach
        self.vectors = vectors
        self.network = nn.Sequential(
            nn.Linear(4, hidden), nn.SiLU(), nn.Linear(hidden, 3 * vectors + scalars)
        )
        self.lift = mix(vectors, vectors)

    def forward(self, points: Tensor, context: Tensor) -> Features:
        """Points (B, N, 3) and offsets to a common centre (B, N, 3), both in decimetres."""
        index = neighbours(points, self.num, self.reach)
        offset = 10.0 * (gather(points, index) - points[:, :, None])
        centre = context[:, :, None].expand_as(offset)
        cross = torch.linalg.cross(offset, centre)
        square = offset.square().sum(-1)
        invariants = torch.stack(
            [
                square,
                (offset * centre).sum(-1),
                cross.square().sum(-1),
                centre.square().sum(-1),
            ],
            dim=-1,
        )
        message = self.network(invariants)
        weights = message[..., : 3 * self.vectors].unflatten(-1, (3, self.vectors))
        basis = torch.stack([offset, centre, cross], dim=-1)  # (B, N, k, 3, 3 kinds)
        batch, count, num = index.shape
        basis = basis.permute(0, 1, 3, 2, 4).reshape(batch * count, 3, num * 3)
        vectors = torch.bmm(basis, weights.reshape(batch * count, num * 3, self.vectors)) / num
        vectors = vectors.reshape(batch, count, 3, self.vectors)
        return Features(message[..., 3 * self.vectors :].mean(2), self.lift(vectors))


def unit_size(vectors: Tensor) -> Tensor:
    """Scale vectors (..., 3, C) to a root mean square length of one over the channels."""
    return vectors * (vectors.square().sum(-2, keepdim=True).mean(-1, keepdim=True) + 1e-4).rsqrt()


class Block(nn.Module):
    """Residual update of every point from its own features and an attention pool over all points."""

    def __init__(self, scalars: int, vectors: int, hidden: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.products = mix(vectors, 2 * vectors)
        self.norm = nn.LayerNorm(scalars + vectors)
        self.inner = nn.Linear(scalars + vectors, hidden)
        self.logits = nn.Linear(hidden, heads)
        self.value = mix(vectors, vectors)
        self.pooled = nn.Linear(vectors + hidden, hidden)
        self.outer = nn.Linear(hidden, scalars + 2 * vectors)
        self.own, self.shared = mix(vectors, vectors, 0.5), mix(vectors, vectors, 0.5)

    def forward(self, features: Features) -> Features:
        """Update (B, N, C_s) scalars and (B, N, 3, C_v) vectors."""
        scalars, vectors = features
        unit = unit_size(vectors)
        left, right = self.products(unit).chunk(2, dim=-1)
        invariants = (left * right).sum(-2)
        hidden = F.silu(self.inner(self.norm(torch.cat([scalars, invariants], dim=-1))))
        weights = self.logits(hidden).softmax(dim=1)
        pool = attend(weights, self.value(unit).flatten(-2))  # (B, 3 C_v)
        pool = pool.unflatten(-1, (3, -1))
        shared = attend(weights, hidden)
        shared = torch.cat([(pool * pool).sum(-2), shared], dim=-1)
        hidden = F.silu(hidden + self.pooled(shared)[:, None])
        step, gate_own, gate_pool = self.outer(hidden).split(
            [scalars.shape[-1], vectors.shape[-1], vectors.shape[-1]], dim=-1
        )
        moved = self.own(unit) * gate_own[:, :, None]
        moved = moved + self.shared(pool)[:, None] * gate_pool[:, :, None]
        return Features(scalars + step, vectors + moved)


def attend(weights: Tensor, values: Tensor) -> Tensor:
    """Weighted sums over points: weights (B, N, H), values (B, N, C), shape (B, C).

    Channel c uses head c modulo H, so that channels of all three axes of a vector share their head.
    """
    heads = weights.shape[-1]
    batch, count, channels = values.shape
    grouped = values.reshape(batch, count, channels // heads, heads)
    return torch.einsum("bnh,bnch->bch", weights, grouped).reshape(batch, channels)
