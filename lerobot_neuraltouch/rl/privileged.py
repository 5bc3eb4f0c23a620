"""The truth as numbers about unit size: what critics see, and no actor."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lerobot_neuraltouch.features import PRESS_DEPTH

PRIVILEGED_SIZE = 26
"""Length of `critic_state`."""
_TWIST_SCALE = np.array([0.010] * 3 + [0.1] * 3)
"""Typical errors [m, rad]."""
_NEAR_SCALE = 0.1
"""Within a tenth of these, errors are given once more, enlarged: a critic has to tell 0.1 mm from 0.3 mm."""
_FORCE_SCALE, _DISTANCE_SCALE = 5.0, 0.010
"""[N], [m]"""
_PRESS = slice(12, 14)
"""Where the presses are in `critic_state`."""
TOUCH_PRESS_M = 0.0002
"""A pad touches when its skin is pressed in by this much [m]."""


def way_to_target(state: Tensor) -> Tensor:
    """The way to the target [m, rad], shape (batch, 6), at most 3 of the scale above, from `critic_state`, shape (batch, PRIVILEGED_SIZE)."""
    return state[:, :6] * state.new_tensor(_TWIST_SCALE)


def are_touching(state: Tensor) -> Tensor:
    """Whether both skins are pressed in by TOUCH_PRESS_M, bool (batch,), from `critic_state`."""
    return (state[:, _PRESS] * PRESS_DEPTH > TOUCH_PRESS_M).all(-1)


def critic_state(
    privileged: Mapping[str, Any], servo_gain: NDArray[np.floating]
) -> NDArray[np.float32]:
    """What is left to go, how the pads are pressed, and how much of its actions the servo lets through.

    Args:
        privileged: `info["privileged"]` of an environment.
        servo_gain: Share of each twist component that the fine phase's averaging lets through, shape (6,).

    Returns:
        Error twist (6), the same near zero (6), press (2), shear (2) and force (2) of the pads, finger distance less
        the target's (1), its sign-free size near zero (1), servo gain (6); shape (PRIVILEGED_SIZE,).
    """
    twist = np.asarray(privileged["target_twist"]) / _TWIST_SCALE
    gap = privileged["finger_distance_m"] - privileged["target_finger_distance_m"]
    return np.concatenate(
        [
            np.clip(twist, -3.0, 3.0),
            np.tanh(twist / _NEAR_SCALE),
            np.asarray(privileged["pad_press_m"]) / PRESS_DEPTH,
            np.asarray(privileged["pad_shear_m"]) / PRESS_DEPTH,
            np.minimum(np.asarray(privileged["force_n"]) / _FORCE_SCALE, 4.0),
            [np.clip(gap / _DISTANCE_SCALE, -3.0, 6.0), np.tanh(gap / PRESS_DEPTH)],
            servo_gain,
        ]
    ).astype(np.float32)
