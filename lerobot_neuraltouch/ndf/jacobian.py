"""Descriptors of many points with their exact Jacobians, by forward-mode differentiation of the baked decoder.

A descriptor depends on its point alone, so three tangents beside the value carry the whole derivative.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from lerobot_neuraltouch.ndf.network import Baked, DecoderBlock, DescriptorField
from lerobot_neuraltouch.ndf.sizes import SCALE


def descriptors_and_jacobians(
    field: DescriptorField, baked: Baked, points: Tensor, columns: slice = slice(None)
) -> tuple[Tensor, Tensor]:
    """Descriptors and how they change with the point.

    Args:
        field: The network.
        baked: Its decoder for one object, from `field.decoder.bake`.
        points: Points [m], (M, 3).
        columns: Which columns of the descriptor.

    Returns:
        Descriptors (M, D) and Jacobians (3, M, D) [1/m].
    """
    decoder = field.decoder
    offset = SCALE * (points - baked.centre[0])
    x = offset @ baked.linear[0]
    x = x + offset.square().sum(-1, keepdim=True) * decoder.square + baked.biases[0][0]
    tangent = baked.linear[0][:, None] + 2.0 * offset.T[..., None] * decoder.square
    for block, bias in zip(decoder.blocks, baked.biases[1:], strict=True):
        assert isinstance(block, DecoderBlock)
        value, slope = _silu(x)
        inner = F.linear(torch.cat([value[None], slope * tangent]), block.inner.weight)
        value, slope = _silu(inner[0] + bias[0])
        outer = F.linear(torch.cat([value[None], slope * inner[1:]]), block.outer.weight)
        x = x + outer[0] + block.outer.bias
        tangent = tangent + outer[1:]
    value, slope = _silu(x)
    result = torch.cat([value[None], SCALE * slope * tangent]) @ field.metric[:, columns]
    return result[0], result[1:]


def _silu(x: Tensor) -> tuple[Tensor, Tensor]:
    """silu(x) and its derivative."""
    gate = torch.sigmoid(x)
    value = x * gate
    return value, gate + value * (1.0 - gate)
