"""Which of the poses that a search ended at is the answer, and how far ahead of a different answer it is.

Frames: base, tcp [m].
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from lerobot_neuraltouch.ndf.approach import obstruction
from lerobot_neuraltouch.ndf.encoder import Latent
from lerobot_neuraltouch.ndf.lm import PoseSearchConfig
from lerobot_neuraltouch.ndf.network import DescriptorField

SEEN_M = 0.025
"""Points of the cloud within this of a tcp show the place."""
LEAST_ENERGY = 0.05
"""Between two objects no match is better than this, whatever its energy."""
ELSEWHERE_M = 0.025
"""Poses farther apart than this are different answers, ..."""
ELSEWHERE_COSINE = 0.5
"""... and so are those whose approach directions are more than 60 degrees apart."""
NO_RIVAL = 5.0
"""The gap where there is no different answer at all."""


def obstructions(
    field: DescriptorField,
    latent: Latent,
    points: Tensor,
    T: Tensor,
    openings_m: Sequence[float | None],
    table_height_m: float | None,
) -> Tensor:
    """What is in the gripper's way at each of the poses T (S, 4, 4), with their openings, (S,); 0 where there is none."""
    blocked = torch.zeros(len(openings_m))
    for opening in {opening for opening in openings_m if opening is not None}:
        rows = [row for row, its in enumerate(openings_m) if its == opening]
        blocked[rows] = obstruction(field, latent, points, T[rows], opening, table_height_m)
    return blocked


def rank(energy: Tensor, blocked: Tensor, seen: Tensor, config: PoseSearchConfig) -> list[int]:
    """Indices of poses from the best to the worst, given energy, obstruction and points seen of each, (S,)."""
    score = energy.clamp_min(LEAST_ENERGY).log()
    score = score + config.obstruction_weight * blocked.clamp_max(1.0)
    score = score - config.seen_weight * (seen / config.enough_seen).clamp_max(1.0)
    by_energy = energy.argsort(stable=True)
    return by_energy[score[by_energy].argsort(stable=True)].tolist()


def gap(
    latent: Latent, T: Tensor, energy: Tensor, best: Tensor, best_energy: Tensor, about_axis: bool
) -> float:
    """Logarithm of the energy of the best different answer over the best one's.

    Args:
        latent: Of the object.
        T, energy: All poses that were tried, (S, 4, 4) and (S,).
        best, best_energy: The answer, (4, 4) and ().
        about_axis: Whether a pose elsewhere around the object's axis is the same answer.
    """
    if about_axis:
        axis = F.normalize(latent.z[0, 0], dim=0)
        approach, own = T[:, :3, 2] @ axis, best[:3, 2] @ axis
        turned = (approach - own).abs() > 1.0 - ELSEWHERE_COSINE
        away = _along_and_across(T, axis, latent.centre[0]) - _along_and_across(
            best, axis, latent.centre[0]
        )
    else:
        turned = T[:, :3, 2] @ best[:3, 2] < ELSEWHERE_COSINE
        away = T[:, :3, 3] - best[:3, 3]
    others = energy[turned | (away.norm(dim=-1) > ELSEWHERE_M)]
    return float((others.min() / best_energy).log()) if len(others) else NO_RIVAL


def _along_and_across(T: Tensor, axis: Tensor, centre: Tensor) -> Tensor:
    """Places of poses (..., 4, 4) as height along an axis and distance from it, (..., 2)."""
    offset = T[..., :3, 3] - centre
    along = offset @ axis
    across = (offset - along[..., None] * axis).norm(dim=-1)
    return torch.stack([along, across], dim=-1)
