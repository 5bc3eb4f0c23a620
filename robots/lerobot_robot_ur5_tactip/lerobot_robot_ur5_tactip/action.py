"""What an action must be before anything is done with it."""

import math

import numpy as np
from lerobot.lerobot_types import RobotAction

from lerobot_neuraltouch.features import ACTION_NAMES


def check_action(action: RobotAction) -> np.ndarray:
    """The values of an action in the contract's order, shape (7,).

    Raises:
        ValueError: If keys are missing or unknown, or a value is not finite. Nothing is ever filled in.
    """
    missing = [name for name in ACTION_NAMES if name not in action]
    unknown = [name for name in action if name not in ACTION_NAMES]
    if missing or unknown:
        raise ValueError(
            f"An action has exactly the keys {', '.join(ACTION_NAMES)}; missing: {missing}, unknown: {unknown}. (lerobot-rollout "
            "sends positions when it ends: use --return_to_initial_position=false.)"
        )
    values = np.array([float(action[name]) for name in ACTION_NAMES])
    bad = [f"{n}={v}" for n, v in zip(ACTION_NAMES, values, strict=True) if not math.isfinite(v)]
    if bad:
        raise ValueError(f"An action must be finite, got {', '.join(bad)}.")
    return values
