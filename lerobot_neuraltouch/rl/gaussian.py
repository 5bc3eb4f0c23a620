"""The stochastic actor of reinforcement learning: a squashed Gaussian around the refiner's action."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lerobot_neuraltouch.rl.refiner import NUM_ACTIONS, RefinerOutput

LOG_STD_RANGE = (-5.0, 0.0)
"""Of the Gaussian before the hyperbolic tangent; exp(-5) of 10 mm/s is 0.07 mm/s."""


class GaussianHead(nn.Module):
    """How far to explore around the refiner's action; needed in training only."""

    def __init__(self, hidden_size: int, initial_std: float = 0.05):
        super().__init__()
        self.log_std = nn.Linear(hidden_size, NUM_ACTIONS)
        nn.init.zeros_(self.log_std.weight)
        nn.init.constant_(self.log_std.bias, math.log(initial_std))

    def forward(self, output: RefinerOutput) -> tuple[Tensor, Tensor]:
        """Draw an action by reparametrisation.

        Returns:
            The squashed action, shape (batch, 7), and its log density (Haarnoja et al. 2018, Eq. 21), shape (batch,).
        """
        log_std = self.log_std(output.hidden).clamp(*LOG_STD_RANGE)
        noise = torch.randn_like(log_std)
        raw = output.mean + log_std.exp() * noise
        log_normal = -0.5 * noise**2 - log_std - 0.5 * math.log(2 * math.pi)
        # log(1 - tanh(x)^2), written so that it does not underflow for large |x|
        log_slope = 2 * (math.log(2) - raw - F.softplus(-2 * raw))
        return torch.tanh(raw), (log_normal - log_slope).sum(-1)
