"""Starts of the pose search: rigid motions that align two objects' latents, spun about the object's axis.

Latents turn with their objects, so the rotation between two objects is the one that best maps one latent's vectors
onto the other's. Idea: Zhu et al., arXiv:2107.10296.
"""

from collections.abc import Callable

import torch
from torch import Tensor


def align_latents(z_from: Tensor, centre_from: Tensor, z_to: Tensor, centre_to: Tensor) -> Tensor:
    """The rigid motion (4, 4) that maps latent vectors (C, 3) and centre (3,) of one object onto another's best."""
    covariance = z_to.double().T @ z_from.double()
    U, _, Vh = torch.linalg.svd(covariance)
    sign = torch.ones(3, dtype=torch.float64)
    sign[2] = torch.linalg.det(U @ Vh).sign()
    R = (U * sign) @ Vh
    T = torch.eye(4, dtype=torch.float64)
    T[:3, :3] = R
    T[:3, 3] = centre_to.double() - R @ centre_from.double()
    return T.to(z_from.dtype)


def spins_and_flips(num_spins: int, num_flips: int) -> Callable[[Tensor, Tensor], Tensor]:
    """Motions (num_spins + num_flips, 4, 4) of an object about its centre, given its axis and centre (3,).

    The first is the identity; flips turn the object upside down.
    """

    def motions(axis: Tensor, centre: Tensor) -> Tensor:
        unit = torch.nn.functional.normalize(axis, dim=0)
        other = torch.linalg.cross(unit, torch.eye(3, dtype=axis.dtype)[int(unit.abs().argmin())])
        other = torch.nn.functional.normalize(other, dim=0)
        half_turn = 2.0 * torch.outer(other, other) - torch.eye(3, dtype=axis.dtype)
        turns = [_about(unit, k / num_spins) for k in range(num_spins)]
        turns += [_about(unit, k / num_flips) @ half_turn for k in range(num_flips)]
        T = torch.eye(4, dtype=axis.dtype).repeat(len(turns), 1, 1)
        T[:, :3, :3] = torch.stack(turns)
        T[:, :3, 3] = centre - T[:, :3, :3] @ centre
        return T

    return motions


def _about(unit: Tensor, turns: float) -> Tensor:
    """Rotation (3, 3) about a unit vector by a part of a full turn."""
    angle = torch.tensor(2.0 * torch.pi * turns, dtype=unit.dtype)
    cross = torch.linalg.cross(unit.expand(3, 3), torch.eye(3, dtype=unit.dtype)).T
    return torch.eye(3, dtype=unit.dtype) + angle.sin() * cross + (1 - angle.cos()) * cross @ cross
