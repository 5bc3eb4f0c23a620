"""The search as published for NDF, kept as the baseline of `neuraltouch bench ndf`.

Adam on axis-angle and translation from random starts, minimising the mean absolute difference of descriptors
(Simeonov et al. 2022, arXiv:2112.05124: 10 starts, 500 query points, 500 steps, learning rate 0.01). Two faults of the
public code are left out, both in its favour: weights are frozen, and starts are centred on the object.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lerobot_neuraltouch.ndf.network import DescriptorField
from lerobot_neuraltouch.ndf.pose_search import Demonstration, check_cloud


@dataclass(frozen=True, kw_only=True)
class PublishedSearchConfig:
    """The published numbers."""

    num_starts: int = 10
    num_steps: int = 500
    learning_rate: float = 1e-2
    spread_m: float = 0.05
    """Starts are uniform in a cube of this half-width about the object's centre."""


def rodrigues(rotvec: Tensor) -> Tensor:
    """Rotations (S, 3, 3) of rotation vectors (S, 3) [rad], differentiable."""
    skew = torch.zeros(*rotvec.shape[:-1], 3, 3, dtype=rotvec.dtype)
    skew[..., 2, 1], skew[..., 0, 2], skew[..., 1, 0] = rotvec.unbind(-1)
    return torch.linalg.matrix_exp(skew - skew.transpose(-1, -2))


def published_search(
    field: DescriptorField,
    cloud: np.ndarray | Tensor,
    demo: Demonstration,
    config: PublishedSearchConfig | None = None,
    *,
    generator: torch.Generator,
) -> tuple[np.ndarray, float]:
    """Find T_base_tcp, (4, 4), and its energy, the mean absolute difference of descriptors.

    Args:
        field: Frozen.
        cloud: The object [m], (N, 3).
        demo: The shown grasp; published with 500 query points.
        config: Settings.
        generator: Source of the starts.
    """
    config = config or PublishedSearchConfig()
    with torch.no_grad():
        latent = field.encode(check_cloud(cloud)[None])
        baked = field.decoder.bake(latent)
    starts = config.num_starts
    quaternions = torch.randn(starts, 4, generator=generator)
    quaternions = quaternions / quaternions.norm(dim=-1, keepdim=True)
    angle = 2.0 * quaternions[:, 1:].norm(dim=-1).atan2(quaternions[:, 0])
    axis = quaternions[:, 1:] / quaternions[:, 1:].norm(dim=-1, keepdim=True)
    rotvec = (axis * angle[:, None]).requires_grad_()
    cube = 2.0 * torch.rand(starts, 3, generator=generator) - 1.0
    translation = (latent.centre + config.spread_m * cube).detach().requires_grad_()
    optimizer = torch.optim.Adam([rotvec, translation], config.learning_rate)
    best_energy, best = torch.full((starts,), float("inf")), torch.eye(4).repeat(starts, 1, 1)
    for step in range(config.num_steps + 1):
        R = rodrigues(rotvec)
        points = demo.queries @ R.transpose(-1, -2) + translation[:, None]
        hidden = field.decoder.hidden(baked, points.reshape(1, -1, 3))
        difference = (hidden @ field.metric).reshape(
            starts, len(demo.queries), -1
        ) - demo.descriptors
        energy = difference.abs().mean((1, 2))
        better = energy.detach() < best_energy
        best_energy = torch.where(better, energy.detach(), best_energy)
        best[better, :3, :3], best[better, :3, 3] = R.detach()[better], translation.detach()[better]
        if step == config.num_steps:
            break
        optimizer.zero_grad()
        energy.sum().backward()
        optimizer.step()
    winner = int(best_energy.argmin())
    return best[winner].double().numpy(), float(best_energy[winner])
