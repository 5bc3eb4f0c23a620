"""Where the refiner thinks the target is, and how wrong it expects to be.

An action tells no more than "far that way" where the target lies farther off than a control step leads. What is felt
there may tell precisely how far: the corner of a hexagon does, 13 mm from the middle of its flat. So the refiner estimates the whole way,
for the memory of the fine phase (`rl.belief`). Ways are twists (v, omega) from the tcp to the target, in the tcp frame.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

NUM_WAYS = 6
UNIT = np.array([0.005] * 3 + [np.deg2rad(2.5)] * 3)
"""Below this, a compressed way is about proportional to the way, above it, to its logarithm [m, rad]."""
REACH: NDArray[np.float64] = 5.0 * UNIT
"""Ways beyond this are not told apart [m, rad]."""
_LOG_ERROR = (-7.0, 2.0)
_ERROR_WEIGHT = 0.01
"""The expected error only watches: its loss shall not outweigh the estimate's own."""


@dataclass(frozen=True)
class Estimate:
    """Of the way to the target, per sample."""

    compressed: Tensor
    """Inverse hyperbolic sine of the way in `UNIT`, shape (batch, 6)."""
    log_error: Tensor
    """Natural logarithm of the expected absolute error of `compressed`, shape (batch, 6)."""

    def way(self) -> Tensor:
        """The way [m, rad], shape (batch, 6)."""
        unit = self.compressed.new_tensor(UNIT)
        return unit * self.compressed.sinh()

    def error(self) -> Tensor:
        """Expected absolute error of each component of the way [m, rad], shape (batch, 6)."""
        unit = self.compressed.new_tensor(UNIT)
        return unit * self.compressed.cosh() * self.log_error.clamp(*_LOG_ERROR).exp()


def compress(way: Tensor) -> Tensor:
    """Ways [m, rad], shape (..., 6), as the refiner learns them, clipped to `REACH`."""
    reach = way.new_tensor(REACH)
    return (way.clamp(-reach, reach) / way.new_tensor(UNIT)).asinh()


def estimate_loss(
    estimate: Estimate,
    label: Tensor,
    beta: float,
    *,
    near_weight: float = 1.0,
    at_least: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Loss of each sample, shape (batch,), and the absolute error of each component, shape (batch, 6).

    A smooth L1 loss for the estimate, and a Laplace likelihood for its expected error, whose best value is the mean absolute error.
    Both weigh by the length of the true way: most hands that are felt are near the target, and an estimate that took this for
    granted would say "here" wherever touch tells little. The fusing over time needs what touch tells, not what is usual.

    Args:
        estimate: What the refiner said.
        label: The true way, compressed, shape (batch, 6).
        beta: Where the loss turns from quadratic to linear.
        near_weight: Of a way of no length; one of 5.9 mm or 2.9 deg (one in the compressed scale) weighs one more.
        at_least: Where the label says only that the way is so long or longer, bool (batch, 6): going on further is no error.
    """
    residual = estimate.compressed - label
    if at_least is not None:
        residual = torch.where(at_least & (residual * label > 0), 0.0, residual)
    fitted = F.smooth_l1_loss(residual, torch.zeros_like(residual), beta=beta, reduction="none")
    size = residual.detach().abs()
    log_error = estimate.log_error.clamp(*_LOG_ERROR)
    watched = size * torch.exp(-log_error) + log_error
    weight = near_weight + label.abs()
    return (weight * (fitted + _ERROR_WEIGHT * watched)).mean(-1), size
