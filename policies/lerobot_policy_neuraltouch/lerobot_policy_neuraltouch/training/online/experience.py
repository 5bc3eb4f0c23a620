"""What players and the learner hand to each other: weights one way, steps and how episodes ended the other."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from lerobot_neuraltouch.rl.replay import Segment

Weights = Mapping[str, Mapping[str, Tensor]]
"""State dicts of the "refiner" and the Gaussian "head"."""


@dataclass(frozen=True)
class Ended:
    """How one episode ended."""

    task: str
    success: bool
    pos_error_m: float
    steps: int
    max_force_n: float
    """Largest force on one finger [N]."""


@dataclass(frozen=True)
class Experience:
    """What a worker delivers."""

    segments: list[Segment]
    ended: list[Ended]
    env_steps: int
    """Control steps simulated, the way in included."""
