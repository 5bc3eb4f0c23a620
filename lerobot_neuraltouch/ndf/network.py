"""The descriptor field: a cloud's equivariant latent, and an invariant decoder of points near the object.

The decoder's task is the signed distance to the object. It is also trained to tell a point's place in the object's
canonical frame (`COORDINATES`), and the encoder to vote for anchors on the object (`ANCHORS`); both exist for
free in generated shapes. A point's descriptor is a fixed linear map of the decoder's last hidden layer. After
Simeonov et al. 2022, arXiv:2112.05124, and 2023, arXiv:2211.09786 (signed distance); the layers are our own.

Lengths inside the network are decimetres, outside metres. Clouds may be in any frame: all outputs move with them.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lerobot_neuraltouch.ndf.confidence import NUM_TERMS
from lerobot_neuraltouch.ndf.encoder import Encoder, Latent
from lerobot_neuraltouch.ndf.layers import mix
from lerobot_neuraltouch.ndf.sizes import COORDINATES, PARTS, SCALE, FieldConfig


class Reading(NamedTuple):
    """What all parts of a cloud say together."""

    latent: Latent
    agreement: Tensor
    """Share of the parts that agree about top and base, (B,)."""
    doubt: Tensor
    """How far the parts expect their anchors to be off, mean over the parts, (B, A) [m]."""


class Baked(NamedTuple):
    """The decoder of one object, with everything that does not depend on the point worked out."""

    centre: Tensor
    """(B, 3) [m]."""
    linear: Tensor
    """First layer's dependence on the point less the centre [dm], (B, 3, W)."""
    biases: tuple[Tensor, ...]
    """Of the first layer and of each block, (B, W) each."""


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
    """Logistic coefficients of the pose search's confidence for each of `sizes.PARTS`, see `confidence.Evidence`, (2, 11)."""

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
        self.register_buffer("calibration", torch.zeros(len(PARTS), NUM_TERMS))

    def encode(self, cloud: Tensor) -> Latent:
        """Latent of clouds (B, N, 3) [m], N at least 16.

        A cloud of several times `config.num_points` points is split into interleaved parts (so its points should be in
        random order), and the mean of their latents is returned, which averages noise. Parts that take the object for
        upside down, judged by the majority, are left out.
        """
        return self.read(cloud).latent

    def read(self, cloud: Tensor) -> Reading:
        """Latent of clouds (B, N, 3) as `encode` gives it, and how far it is to be trusted."""
        parts = max(cloud.shape[1] // self.config.num_points, 1)
        whole = cloud[:, : cloud.shape[1] // parts * parts].unflatten(1, (-1, parts))
        encoding = self.encoder(whole.permute(2, 0, 1, 3).flatten(0, 1))
        z = encoding.latent.z.unflatten(0, (parts, -1))  # (P, B, C, 3)
        centre = encoding.latent.centre.unflatten(0, (parts, -1))
        axes = torch.nn.functional.normalize(z[:, :, 0], dim=-1)
        friends = torch.einsum("pbx,qbx->pqb", axes, axes) > 0.0
        leader = friends.sum(1).argmax(0)  # (B,)
        agree = friends.gather(0, leader[None, None].expand(1, parts, -1))[0].to(z.dtype)
        weights = agree / agree.sum(0)
        latent = Latent(
            torch.einsum("pb,pbcx->bcx", weights, z), torch.einsum("pb,pbx->bx", weights, centre)
        )
        doubt = encoding.doubt.unflatten(0, (parts, -1)).mean(0)
        return Reading(latent, agree.mean(0), doubt)

    def descriptors(self, latent: Latent, points: Tensor) -> Tensor:
        """Descriptors (B, M, D) of points (B, M, 3) [m] in the frame of the encoded cloud."""
        return self.decoder.hidden(self.decoder.bake(latent), points) @ self.metric

    def sdf(self, latent: Latent, points: Tensor) -> Tensor:
        """Signed distance (B, M) [m], positive outside, at points (B, M, 3) [m]."""
        hidden = self.decoder.hidden(self.decoder.bake(latent), points)
        return self.distance(hidden)[..., 0] / SCALE
