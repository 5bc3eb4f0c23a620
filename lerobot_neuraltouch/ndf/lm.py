"""Levenberg-Marquardt on SE(3) for many gripper poses at once, with exact Jacobians of their descriptors.

Frames: poses T_base_tcp in the frame of the encoded cloud, increments (v, omega) in the tcp frame [m, rad].
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from lerobot_neuraltouch.ndf.descriptor import move
from lerobot_neuraltouch.ndf.jacobian import descriptors_and_jacobians
from lerobot_neuraltouch.ndf.network import Baked, DescriptorField


@dataclass(frozen=True, kw_only=True)
class PoseSearchConfig:
    """Settings of the search."""

    num_spins: int = 6
    """Starts per demonstration that turn the aligned pose about the object's axis, evenly."""
    num_flips: int = 3
    """Starts per demonstration upside down, spun evenly."""
    num_random: int = 2
    """Starts with a random rotation and place, in all."""
    coarse_queries: int = 16
    """Query points of the first stage."""
    coarse_steps: int = 6
    keep: int = 4
    """Starts that go on to the second stage, which uses all query points."""
    fine_steps: int = 8
    obstruction_weight: float = 3.0
    """How much the logarithm of a pose's energy may be lower for one that the gripper cannot come to."""
    seen_weight: float = 0.5
    """The same for a pose of which the cloud shows nothing, against one of which it shows `enough_seen` points."""
    enough_seen: int = 60
    settle: bool = True
    """Lay the shown part's surface onto the seen one in the end (contacts at the top of an object only)."""
    anchor: bool = True
    """Draw the pose to where the encoder sees the anchors near the shown grasp."""
    robust: float = 1.0
    """Residuals of a query count less beyond this many standard deviations of the descriptor; 0 is least squares."""
    max_rotation_rad: float = 0.5
    max_translation_m: float = 0.03
    """Longest step."""
    tolerance_m: float = 1e-4
    tolerance_rad: float = 1e-3
    """The search ends when no start moves more than this."""

    def __post_init__(self) -> None:
        if self.num_spins < 1 or self.keep < 1 or self.coarse_queries < 3:
            raise ValueError(
                "The search needs num_spins >= 1, keep >= 1 and coarse_queries >= 3, got "
                f"{self.num_spins}, {self.keep} and {self.coarse_queries}."
            )


@dataclass(eq=False)
class Starts:
    """Poses under optimisation, all on one object."""

    T: Tensor
    """(S, 4, 4)."""
    targets: Tensor
    """(S, N_q, D), only the columns that count."""
    demo: Tensor
    """Index of the demonstration of each start, (S,)."""
    energy: Tensor
    """(S,)."""
    columns: slice = slice(None)
    """The columns of the descriptor that count."""


def optimise(
    field: DescriptorField,
    baked: Baked,
    starts: Starts,
    queries: Tensor,
    num_steps: int,
    config: PoseSearchConfig,
) -> int:
    """Levenberg-Marquardt on all starts at once, in place; returns the number of steps taken.

    A step that raises a start's energy is undone and that start's damping grows.
    """
    count = len(starts.T)
    damping = torch.full((count,), 1e-2)
    starts.energy, gradient, hessian = normal_equations(
        field, baked, starts.T, starts.targets, queries, config, starts.columns
    )
    for step in range(num_steps):
        twist = _solve(gradient, hessian, damping)
        twist = _clamp(twist, config)
        candidate = starts.T @ exp(twist)
        energy, new_gradient, new_hessian = normal_equations(
            field, baked, candidate, starts.targets, queries, config, starts.columns
        )
        better = energy < starts.energy
        starts.T = torch.where(better[:, None, None], candidate, starts.T)
        starts.energy = torch.where(better, energy, starts.energy)
        gradient = torch.where(better[:, None], new_gradient, gradient)
        hessian = torch.where(better[:, None, None], new_hessian, hessian)
        damping = torch.where(better, damping * 0.3, damping * 8.0).clamp(1e-6, 1e4)
        small = (twist[:, :3].norm(dim=-1) < config.tolerance_m) & (
            twist[:, 3:].norm(dim=-1) < config.tolerance_rad
        )
        if bool(small.all()):
            return step + 1
    return num_steps


def normal_equations(
    field: DescriptorField,
    baked: Baked,
    T: Tensor,
    targets: Tensor,
    queries: Tensor,
    config: PoseSearchConfig,
    columns: slice = slice(None),
) -> tuple[Tensor, Tensor, Tensor]:
    """Energy (S,), its gradient (S, 6) and Gauss-Newton Hessian (S, 6, 6) for body twists (v, omega) of poses T.

    A query's squared residual r is averaged over the descriptor; the energy is the mean over queries of the robust
    loss 2 c^2 (sqrt(1 + r / c^2) - 1) = 2 r / (sqrt(1 + r / c^2) + 1), or of r itself where c = `config.robust` is 0.
    """
    count, num, size = targets.shape
    points = move(T, queries)
    value, jacobian = descriptors_and_jacobians(field, baked, points.reshape(-1, 3), columns)
    residual = value.reshape(count, num, size) - targets
    squared = residual.square().mean(-1)
    if config.robust > 0.0:
        root = (1.0 + squared / config.robust**2).sqrt()
        energy, weight = 2.0 * squared / (root + 1.0), 1.0 / root
    else:
        energy, weight = squared, torch.ones_like(squared)
    jacobian = jacobian.reshape(3, count, num, size).permute(1, 2, 0, 3)  # (S, N_q, 3, D)
    weight = 2.0 * weight / (num * size)
    both = torch.cat([jacobian, residual[:, :, None]], dim=2) @ jacobian.transpose(-1, -2)
    both = both * weight[..., None, None]  # (S, N_q, 4, 3): Hessian block over gradient
    R = T[:, None, :3, :3]
    block = R.transpose(-1, -2) @ both[:, :, :3] @ R
    slope = (both[:, :, 3:] @ R)[:, :, 0]  # (S, N_q, 3), tcp frame
    cross = skew(queries)  # a turn w moves query q by w x q = -[q] w
    lever = torch.cat([torch.eye(3).expand(num, 3, 3), -cross], dim=-1)  # (N_q, 3, 6)
    hessian = (lever.transpose(-1, -2) @ block @ lever).sum(1)
    gradient = (slope[:, :, None] @ lever)[:, :, 0].sum(1)
    return energy.mean(-1), gradient, hessian


def _solve(gradient: Tensor, hessian: Tensor, damping: Tensor) -> Tensor:
    """Damped Gauss-Newton steps (S, 6), in float64; each direction is damped in its own scale."""
    H, g = hessian.double(), gradient.double()
    diagonal = H.diagonal(dim1=-2, dim2=-1)
    floor = diagonal.mean(-1, keepdim=True) * 1e-6 + 1e-12
    scale = (diagonal + floor).rsqrt()
    scaled = scale[:, :, None] * H * scale[:, None]
    scaled = scaled + torch.diag_embed(damping.double()[:, None].expand(-1, 6) + 1e-9)
    step = torch.linalg.solve(scaled, (-scale * g)[..., None])[..., 0] * scale
    return step.to(gradient.dtype)


def _clamp(twist: Tensor, config: PoseSearchConfig) -> Tensor:
    """Shorten steps (S, 6) to the longest translation and rotation."""
    size = torch.maximum(
        twist[:, :3].norm(dim=-1) / config.max_translation_m,
        twist[:, 3:].norm(dim=-1) / config.max_rotation_rad,
    )
    return twist / size.clamp_min(1.0)[:, None]


def skew(v: Tensor) -> Tensor:
    """Matrices (..., 3, 3) of the cross product with vectors (..., 3)."""
    x, y, z = v.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))


def exp(twist: Tensor) -> Tensor:
    """Transforms (S, 4, 4) of twists (v, omega), (S, 6)."""
    matrix = torch.zeros(len(twist), 4, 4, dtype=torch.float64)
    matrix[:, :3, :3] = skew(twist[:, 3:].double())
    matrix[:, :3, 3] = twist[:, :3].double()
    return torch.linalg.matrix_exp(matrix).to(twist.dtype)
