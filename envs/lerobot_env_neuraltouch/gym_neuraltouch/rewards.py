"""The reward of a refine step: named terms, each a plain number, summed with the weights of the same names."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lerobot_neuraltouch.features import PRESS_DEPTH

_LINEAR_UNIT, _ANGULAR_UNIT = 0.010, math.radians(5.0)
"""Twists cost an effort of 1 at these speeds [m/s, rad/s]."""


@dataclass(frozen=True, kw_only=True)
class RewardWeights:
    """Weight of each term of `reward_terms`."""

    position: float = 1.0
    angle: float = 1.0
    press: float = 0.5
    force: float = 0.2
    effort: float = 0.05
    success: float = 10.0


def reward_terms(
    *,
    pos_error_m: float,
    angle_rad: float,
    pad_press_m: NDArray[np.floating],
    force_n: NDArray[np.floating],
    action: NDArray[np.floating],
    is_success: bool,
) -> dict[str, float]:
    """Terms of one control step; all are at most 0, but for `success`.

    Args:
        pos_error_m, angle_rad: Errors along the constrained directions [m, rad].
        pad_press_m: How far the two skins are pressed in [m], shape (2,).
        force_n: Largest normal force on each finger in this step [N], shape (2,).
        action: What was commanded, shape (7,).
        is_success: Whether the episode ended right.

    Returns:
        position: -error / 10 mm, minus a second, narrow well of 1 mm.
        angle: -error / 10 deg, minus a second, narrow well of 2 deg.
        press: mean distance of the two presses from 2 mm, in units of 2 mm.
        force: -(largest force over 5 N) / 5 N.
        effort: -squared twist in units of 10 mm/s and 5 deg/s.
        success: 1 on the last step of an episode that ended right.
    """
    # Plain numbers: NumPy's scalars would take several times as long, in every control step.
    millimetres, degrees = 1e3 * float(pos_error_m), math.degrees(angle_rad)
    left, right = pad_press_m.tolist()
    linear, angular = action[:3], action[3:6]
    return {
        "position": -millimetres / 10 - (1 - math.exp(-(millimetres**2))),
        "angle": -degrees / 10 - (1 - math.exp(-((degrees / 2.0) ** 2))),
        "press": -(abs(left - PRESS_DEPTH) + abs(right - PRESS_DEPTH)) / 2 / PRESS_DEPTH,
        "force": -max(max(force_n.tolist()) / 5.0 - 1.0, 0.0),
        "effort": -float(linear @ linear) / _LINEAR_UNIT**2
        - float(angular @ angular) / _ANGULAR_UNIT**2,
        "success": float(is_success),
    }


def total(terms: dict[str, float], weights: RewardWeights) -> float:
    """The weighted sum."""
    return sum(weight * terms[name] for name, weight in vars(weights).items())
