"""From a point cloud to an equivariant latent, with anchors on the object and how far they may be off.

Lengths inside the network are decimetres, outside metres.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lerobot_neuraltouch.ndf.layers import (
    Block,
    EdgeStage,
    Features,
    attend,
    mix,
    unit_size,
)
from lerobot_neuraltouch.ndf.sizes import SCALE, FieldConfig

LEAST_DOUBT = 0.005
"""No anchor is expected to be nearer to the true one than this [dm]."""


class Latent(NamedTuple):
    """An object as its encoder sees it."""

    z: Tensor
    """Vectors (B, C, 3) in the cloud's frame [dm]; the first is base to top, the second centre to handle, a third
    centre to corner."""
    centre: Tensor
    """Estimated centre of the object (B, 3) in the cloud's frame [m]."""


class Encoding(NamedTuple):
    """A latent with what the encoder knows beside it."""

    latent: Latent
    anchors: tuple[Tensor, ...]
    """Estimates of the first A of `ANCHORS` [m], the later the better, each (B, A, 3)."""
    doubt: Tensor
    """Distance that the last estimates are expected to be off, (B, A) [m]."""


class Votes(NamedTuple):
    """Anchors that the points have voted for."""

    anchors: Tensor
    """(B, 3 xyz, K) [dm]."""
    weights: Tensor
    """Of each point, (B, N, K)."""
    spread: Tensor
    """Root mean square distance of the votes to their anchor, (B, K) [dm]."""


class AnchorVote(nn.Module):
    """Anchors as attention-weighted votes of the points."""

    def __init__(self, scalars: int, vectors: int, num: int) -> None:
        super().__init__()
        self.attention = nn.Linear(scalars, num)
        self.gate = nn.Linear(scalars, 2 * num)
        self.first, self.second = mix(vectors, num), mix(vectors, num)

    def forward(self, points: Tensor, features: Features) -> Votes:
        """Anchors in the frame of the points (B, N, 3) [dm]."""
        weights = self.attention(features.scalars).softmax(dim=1)
        one, two = self.gate(features.scalars)[:, :, None].chunk(2, dim=-1)
        unit = unit_size(features.vectors)
        votes = points[..., None] + self.first(unit) * one + self.second(unit) * two
        anchors = torch.einsum("bnk,bnxk->bxk", weights, votes)
        square = (votes - anchors[:, None]).square().sum(2)
        spread = ((weights * square).sum(1) + 1e-6).sqrt()
        return Votes(anchors, weights, spread)


class Doubt(nn.Module):
    """How far anchors are expected to be off, from the points that voted and how much they differ.

    Clouds that leave open which way a mug stands, or where its handle is, are known by it.
    """

    def __init__(self, scalars: int, num: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(num * scalars)
        self.inner, self.outer = nn.Linear(num * (scalars + 1), hidden), nn.Linear(hidden, num)

    def forward(self, votes: Votes, features: Features) -> Tensor:
        """Expected distance, (B, K) [dm]."""
        seen = torch.einsum("bnk,bnc->bkc", votes.weights, features.scalars).flatten(1)
        evidence = torch.cat([self.norm(seen), votes.spread.log()], dim=-1)
        return LEAST_DOUBT + F.softplus(self.outer(F.silu(self.inner(evidence))))


class Encoder(nn.Module):
    """Point cloud to latent."""

    def __init__(self, config: FieldConfig) -> None:
        super().__init__()
        self.config = config
        self.edges = EdgeStage(
            config.scalars, config.vectors, config.edge_hidden, config.neighbours, config.reach
        )
        self.blocks = nn.ModuleList(
            Block(config.scalars, config.vectors, config.hidden, config.heads)
            for _ in range(config.blocks)
        )
        num = config.anchors
        self.votes = nn.ModuleList(
            AnchorVote(config.scalars, config.vectors, num) for _ in range(2)
        )
        self.inject = mix(num, config.vectors)
        self.inject_scalars = nn.Linear(num * (num + 1) // 2, config.scalars)
        self.attention = nn.Linear(config.scalars, config.heads)
        self.gate = nn.Linear(config.scalars, config.latent)
        self.value = mix(config.vectors, config.latent)
        self.head = mix(config.latent, config.latent - (num - 1))
        self.doubt = Doubt(config.scalars, num, config.hidden)

    def forward(self, cloud: Tensor) -> Encoding:
        """Encode clouds (B, N, 3) [m]."""
        mean = cloud.mean(1, keepdim=True)
        points = SCALE * (cloud - mean)
        features = self.edges(points, points)
        middle = self.config.blocks // 2
        for block in self.blocks[:middle]:
            features = block(features)
        first = self.votes[0](points, features).anchors
        features = self._recentre(points, first, features)
        for block in self.blocks[middle:]:
            features = block(features)
        votes = self.votes[1](points, features)
        second = votes.anchors
        values = self.value(unit_size(features.vectors)) * self.gate(features.scalars)[:, :, None]
        weights = self.attention(features.scalars).softmax(dim=1)
        pooled = attend(weights, values.flatten(-2)).unflatten(-1, (3, -1))
        centre = 0.5 * (second[..., 0] + second[..., 1])
        z = torch.cat(
            [
                (second[..., 0] - second[..., 1])[..., None],
                second[..., 2:] - centre[..., None],
                self.head(pooled),
            ],
            dim=-1,
        )
        latent = Latent(z.transpose(1, 2), mean[:, 0] + centre / SCALE)
        anchors = tuple((a / SCALE + mean.transpose(1, 2)).transpose(1, 2) for a in (first, second))
        return Encoding(latent, anchors, self.doubt(votes, features) / SCALE)

    def _recentre(self, points: Tensor, anchors: Tensor, features: Features) -> Features:
        """Tell every point where it lies from the estimated anchors."""
        offset = points[..., None] - anchors[:, None]  # (B, N, 3, K)
        gram = offset.transpose(-1, -2) @ offset
        row, column = torch.triu_indices(*gram.shape[-2:], device=points.device)
        scalars = features.scalars + self.inject_scalars(gram[..., row, column])
        return Features(scalars, features.vectors + self.inject(offset))
