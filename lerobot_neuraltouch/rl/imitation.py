"""Learning the refiner from demonstrated actions: touch augmentation and the loss of actions."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lerobot_neuraltouch.rl.refiner import RefinerOutput


@dataclass(frozen=True, kw_only=True)
class TouchAugmentation:
    """Random changes of tactile images that keep their meaning, as wide as the nominal touch noise."""

    gain: float = 0.05
    """Brightness factor is uniform in 1 +- gain."""
    shift_px: float = 1.0
    """Largest shift along each image axis [pixels]."""
    yaw_rad: float = 0.0175
    """Largest turn about the optical axis [rad]."""
    noise: float = 2.0 / 255.0
    """Standard deviation per pixel, in units of the full scale."""
    dead_pixels: float = 0.005
    """Share of pixels that read zero."""

    def __call__(self, images: Tensor) -> Tensor:
        """Change each image on its own; values in [0, 1], shape (batch, 1, H, W)."""
        batch = len(images)
        moved = self._move(images) if self.shift_px or self.yaw_rad else images
        gain = 1.0 + _uniform(images, batch, self.gain)[:, None, None, None]
        noisy = moved * gain
        if self.noise:
            noisy = noisy + self.noise * torch.randn_like(moved)
        alive = (torch.rand_like(moved) >= self.dead_pixels) & _disc(images)
        return (noisy * alive).clamp(0.0, 1.0)

    def _move(self, images: Tensor) -> Tensor:
        """Shift and turn each image."""
        batch, _, height, width = images.shape
        angle = _uniform(images, batch, self.yaw_rad)
        shift = _uniform(images, 2 * batch, self.shift_px).reshape(batch, 2)
        cos, sin = torch.cos(angle), torch.sin(angle)
        affine = torch.stack(
            [cos, -sin, 2 * shift[:, 0] / width, sin, cos, 2 * shift[:, 1] / height], dim=-1
        ).reshape(batch, 2, 3)
        grid = F.affine_grid(affine, list(images.shape), align_corners=False)
        return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _disc(like: Tensor) -> Tensor:
    """The inscribed disc outside of which tactile images are black, shape (H, W)."""
    rows, columns = (
        (torch.arange(size, device=like.device) + 0.5) * (2 / size) - 1 for size in like.shape[-2:]
    )
    return rows[:, None] ** 2 + columns[None, :] ** 2 <= 1


def _uniform(like: Tensor, count: int, half_range: float) -> Tensor:
    return (torch.rand(count, device=like.device, dtype=like.dtype) * 2 - 1) * half_range


def imitation_loss(output: RefinerOutput, target: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    """Loss of each sample, shape (batch,), and the absolute error of each component, shape (batch, 7).

    The action is fitted by a smooth L1 loss, quadratic below `beta` only, so that the small twists near the target
    count as much per unit as the large ones.

    Args:
        output: What the refiner said.
        target: Demonstrated actions, squashed scale in [-1, 1], shape (batch, 7).
        beta: Where the loss turns from quadratic to linear, squashed scale.
    """
    loss = F.smooth_l1_loss(output.action, target, beta=beta, reduction="none")
    return loss.mean(-1), (output.action.detach() - target).abs()
