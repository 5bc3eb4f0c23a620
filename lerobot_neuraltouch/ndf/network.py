"""The descriptor field: a cloud's equivariant latent, and an invariant decoder of points near the object.

The decoder's task is the signed distance to the object. It is also trained to tell a point's place in the object's
canonical frame (`COORDINATES`), and the encoder to vote for three anchors on the object (`ANCHORS`); both exist for
free in generated shapes. A point's descriptor is a fixed linear map of the decoder's last hidden layer. After
Simeonov et al. 2022, arXiv:2112.05124, and 2023, arXiv:2211.09786 (signed distance); the layers are our own.

Lengths inside the network are decimetres, outside metres. Clouds may be in any frame: all outputs move with them.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lerobot_neuraltouch.ndf.confidence import NUM_TERMS
from lerobot_neuraltouch.ndf.layers import (
    Block,
    EdgeStage,
    Features,
    attend,
    mix,
    unit_size,
)

SCALE = 10.0
"""Network units per metre."""

ANCHORS = ("top", "base", "handle")
"""Points the encoder votes for: the axis' ends at the object's top and base, and the outermost point of the handle's
centre line (mugs only)."""

COORDINATES = (
    "height", "depth", "radius", "outside", "x", "y", "reach", "level", "drop", "mug", "bottle", "bolt",
)  # fmt: skip
"""What the decoder tells about a point beside its signed distance: height above the base, height over the top,
distance to the axis, that distance less the top part's radius; on mugs x and y in the canonical frame (the handle is
at +x), x beyond the handle's outermost point, height over that point and over the handle's upper corner [all m]; and for each
category whether it is the object's."""


@dataclass(frozen=True, kw_only=True)
class FieldConfig:
    """Sizes of the network."""

    num_points: int = 192
    """Points per encoder pass; larger clouds are split and their latents averaged."""
    neighbours: int = 8
    """Edges per point."""
    reach: int = 16
    """The edges are spread over this many nearest neighbours."""
    edge_hidden: int = 32
    """Width of the edge network."""
    scalars: int = 64
    """Invariant channels per point."""
    vectors: int = 32
    """Vector channels per point."""
    hidden: int = 64
    """Width of a block."""
    heads: int = 8
    """Attention heads of each pool; divides vectors, hidden and latent."""
    blocks: int = 4
    """Point blocks; anchors are estimated once in the middle and once at the end."""
    latent: int = 64
    """Vectors in the latent, anchors included."""
    decoder_width: int = 128
    """Width of the decoder."""
    decoder_blocks: int = 3
    """Residual blocks of the decoder."""
    descriptor: int = 64
    """Size of a point's descriptor."""

    def __post_init__(self) -> None:
        for name in ("vectors", "latent", "hidden"):
            if getattr(self, name) % self.heads:
                raise ValueError(
                    f"{name}={getattr(self, name)} is no multiple of heads={self.heads}."
                )


class Latent(NamedTuple):
    """An object as its encoder sees it."""

    z: Tensor
    """Vectors (B, C, 3) in the cloud's frame [dm]; the first is base to top, the second centre to handle."""
    centre: Tensor
    """Estimated centre of the object (B, 3) in the cloud's frame [m]."""


class Encoding(NamedTuple):
    """A latent with what training needs beside it."""

    latent: Latent
    anchors: tuple[Tensor, ...]
    """Estimates of `ANCHORS` [m], the later the better, each (B, 3, 3)."""


class Baked(NamedTuple):
    """The decoder of one object, with everything that does not depend on the point worked out."""

    centre: Tensor
    """(B, 3) [m]."""
    linear: Tensor
    """First layer's dependence on the point less the centre [dm], (B, 3, W)."""
    biases: tuple[Tensor, ...]
    """Of the first layer and of each block, (B, W) each."""


class AnchorVote(nn.Module):
    """Anchors as attention-weighted votes of the points."""

    def __init__(self, scalars: int, vectors: int) -> None:
        super().__init__()
        self.attention = nn.Linear(scalars, len(ANCHORS))
        self.gate = nn.Linear(scalars, 2 * len(ANCHORS))
        self.first, self.second = mix(vectors, len(ANCHORS)), mix(vectors, len(ANCHORS))

    def forward(self, points: Tensor, features: Features) -> Tensor:
        """Anchors (B, 3 xyz, K) in the frame of the points (B, N, 3) [dm]."""
        weights = self.attention(features.scalars).softmax(dim=1)
        one, two = self.gate(features.scalars)[:, :, None].chunk(2, dim=-1)
        unit = unit_size(features.vectors)
        votes = points[..., None] + self.first(unit) * one + self.second(unit) * two
        return torch.einsum("bnk,bnxk->bxk", weights, votes)


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
        self.votes = nn.ModuleList(AnchorVote(config.scalars, config.vectors) for _ in range(2))
        self.inject = mix(len(ANCHORS), config.vectors)
        self.inject_scalars = nn.Linear(len(ANCHORS) * (len(ANCHORS) + 1) // 2, config.scalars)
        self.attention = nn.Linear(config.scalars, config.heads)
        self.gate = nn.Linear(config.scalars, config.latent)
        self.value = mix(config.vectors, config.latent)
        self.head = mix(config.latent, config.latent - 2)

    def forward(self, cloud: Tensor) -> Encoding:
        """Encode clouds (B, N, 3) [m]."""
        mean = cloud.mean(1, keepdim=True)
        points = SCALE * (cloud - mean)
        features = self.edges(points, points)
        middle = self.config.blocks // 2
        for block in self.blocks[:middle]:
            features = block(features)
        first = self.votes[0](points, features)
        features = self._recentre(points, first, features)
        for block in self.blocks[middle:]:
            features = block(features)
        second = self.votes[1](points, features)
        values = self.value(unit_size(features.vectors)) * self.gate(features.scalars)[:, :, None]
        weights = self.attention(features.scalars).softmax(dim=1)
        pooled = attend(weights, values.flatten(-2)).unflatten(-1, (3, -1))
        centre = 0.5 * (second[..., 0] + second[..., 1])
        z = torch.cat(
            [
                (second[..., 0] - second[..., 1])[..., None],
                (second[..., 2] - centre)[..., None],
                self.head(pooled),
            ],
            dim=-1,
        )
        latent = Latent(z.transpose(1, 2), mean[:, 0] + centre / SCALE)
        anchors = tuple((a / SCALE + mean.transpose(1, 2)).transpose(1, 2) for a in (first, second))
        return Encoding(latent, anchors)

    def _recentre(self, points: Tensor, anchors: Tensor, features: Features) -> Features:
        """Tell every point where it lies from the estimated anchors."""
        offset = points[..., None] - anchors[:, None]  # (B, N, 3, K)
        gram = offset.transpose(-1, -2) @ offset
        row, column = torch.triu_indices(len(ANCHORS), len(ANCHORS), device=points.device)
        scalars = features.scalars + self.inject_scalars(gram[..., row, column])
        return Features(scalars, features.vectors + self.inject(offset))


class DecoderBlock(nn.Module):
    """Pre-activation residual block whose bias depends on the object."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(width, width, bias=False), nn.Linear(width, width)
        self.condition = nn.Linear(width, width)
        nn.init.normal_(self.inner.weight, std=1.4 * width**-0.5)
        nn.init.normal_(self.outer.weight, std=0.3 * width**-0.5)
        nn.init.zeros_(self.outer.bias)


class Decoder(nn.Module):
    """Latent and points to hidden features, invariant under a common motion."""

    def __init__(self, config: FieldConfig) -> None:
        super().__init__()
        width, latent = config.decoder_width, config.latent
        self.partner = mix(latent, latent)
        self.condition = nn.Sequential(
            nn.LayerNorm(latent), nn.Linear(latent, 2 * width), nn.SiLU(), nn.Linear(2 * width, width), nn.SiLU()
        )  # fmt: skip
        self.first = nn.Parameter(torch.randn(latent, width) * latent**-0.5)
        self.square = nn.Parameter(torch.randn(width) * 0.3)
        self.bias = nn.Linear(width, width)
        self.blocks = nn.ModuleList(DecoderBlock(width) for _ in range(config.decoder_blocks))
        self.norm_gain = nn.Parameter(torch.ones(()))

    def bake(self, latent: Latent) -> Baked:
        """Work out all that depends on the object alone."""
        z = latent.z
        partner = torch.einsum("bcx,dc->bdx", z, self.partner.weight)
        condition = self.condition((z * partner).sum(-1))
        biases = (self.bias(condition), *(block.condition(condition) for block in self.blocks))
        return Baked(latent.centre, z.transpose(1, 2) @ self.first, biases)

    def hidden(self, baked: Baked, points: Tensor) -> Tensor:
        """Last hidden layer (B, M, W) at points (B, M, 3) [m]."""
        offset = SCALE * (points - baked.centre[:, None])
        square = offset.square().sum(-1, keepdim=True)
        x = offset @ baked.linear + square * self.square + baked.biases[0][:, None]
        for block, bias in zip(self.blocks, baked.biases[1:], strict=True):
            inner = block.inner(F.silu(x)) + bias[:, None]
            x = x + block.outer(F.silu(inner))
        return F.silu(x)


class DescriptorField(nn.Module):
    """Neural descriptor field of a few object categories."""

    metric: Tensor
    """Map from the last hidden layer to the descriptor, (W, D), see `metric`."""
    calibration: Tensor
    """Logistic coefficients of the pose search's confidence, see `confidence.Evidence`."""

    def __init__(self, config: FieldConfig | None = None) -> None:
        super().__init__()
        self.config = config or FieldConfig()
        self.encoder = Encoder(self.config)
        self.decoder = Decoder(self.config)
        width = self.config.decoder_width
        self.distance = nn.Linear(width, 1)
        self.coordinates = nn.Linear(width, len(COORDINATES))
        start = torch.zeros(width, self.config.descriptor)
        nn.init.orthogonal_(start)
        self.register_buffer("metric", start)
        self.register_buffer("calibration", torch.zeros(NUM_TERMS))

    def encode(self, cloud: Tensor) -> Latent:
        """Latent of clouds (B, N, 3) [m], N at least 16.

        A cloud of several times `config.num_points` points is split into interleaved parts (so its points should be in
        random order), and the mean of their latents is returned, which averages noise. Parts that take the object for
        upside down, judged by the majority, are left out.
        """
        return self.encode_with_agreement(cloud)[0]

    def encode_with_agreement(self, cloud: Tensor) -> tuple[Latent, Tensor]:
        """Latent of clouds (B, N, 3) as `encode` gives it, and the share of parts that agree about top and base, (B,)."""
        parts = max(cloud.shape[1] // self.config.num_points, 1)
        whole = cloud[:, : cloud.shape[1] // parts * parts].unflatten(1, (-1, parts))
        latents = self.encoder(whole.permute(2, 0, 1, 3).flatten(0, 1)).latent
        z = latents.z.unflatten(0, (parts, -1))  # (P, B, C, 3)
        centre = latents.centre.unflatten(0, (parts, -1))
        axes = torch.nn.functional.normalize(z[:, :, 0], dim=-1)
        friends = torch.einsum("pbx,qbx->pqb", axes, axes) > 0.0
        leader = friends.sum(1).argmax(0)  # (B,)
        agree = friends.gather(0, leader[None, None].expand(1, parts, -1))[0].to(z.dtype)
        weights = agree / agree.sum(0)
        latent = Latent(
            torch.einsum("pb,pbcx->bcx", weights, z), torch.einsum("pb,pbx->bx", weights, centre)
        )
        return latent, agree.mean(0)

    def descriptors(self, latent: Latent, points: Tensor) -> Tensor:
        """Descriptors (B, M, D) of points (B, M, 3) [m] in the frame of the encoded cloud."""
        return self.decoder.hidden(self.decoder.bake(latent), points) @ self.metric

    def sdf(self, latent: Latent, points: Tensor) -> Tensor:
        """Signed distance (B, M) [m], positive outside, at points (B, M, 3) [m]."""
        hidden = self.decoder.hidden(self.decoder.bake(latent), points)
        return self.distance(hidden)[..., 0] / SCALE
