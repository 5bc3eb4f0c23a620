"""Scripted teachers that see the truth: they show how to grasp gently, in a way that touch alone can follow.

Everything they need comes in the environment's `info["privileged"]`; frames and units as in `features`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lerobot_neuraltouch.features import (
    CONTROL_HZ,
    FINE_ANGULAR_SPEED,
    FINE_LINEAR_SPEED,
    MAX_FINGER_DISTANCE,
    MIN_FINGER_DISTANCE,
    PRESS_DEPTH,
)

Array = NDArray[np.float64]
Privileged = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class ServoTeacherConfig:
    """How the teacher closes, centres and aligns the fingers."""

    gain_per_s: float = 2.0
    """Twist per error once both pads touch [1/s]."""
    close_m: float = 0.002
    """The fingers close by this much per step while nothing touches [m]."""
    centre_m: float = 0.0015
    """The fingers close by this much per step while one pad touches [m]; the hand moves along to keep that pad still."""
    touch_press_m: float = 0.0002
    """A pad counts as touching when its skin is pressed in by this much [m]."""
    light_press_m: float = 0.001
    """Press of the skin that touches first while the other one comes in [m]."""
    far_press_m: float = 0.0025
    """Press of both skins while the pose is still far off [m]: deeper than at the target, because a larger touched area tells more. Where
    a flat or an arc is wider than what is touched, the place along it cannot be felt."""
    near_m: float = 0.002
    """The press goes to its final 2 mm as the position error falls below this [m] and the angle below `near_rad`."""
    near_rad: float = float(np.deg2rad(4.0))
    press_gain: float = 0.5
    """Share of the error in the mean press that is corrected per step."""
    shear_to_press: float = 1.33
    """Press at which a sliding skin is sheared by one metre: shear stiffness over normal stiffness and friction."""
    gap_per_press: float = 0.3
    """Gap between set point and actual finger distance that holds a skin pressed, per press depth: the skin's stiffness
    over the grip servo's."""


class ServoTeacher:
    """Grasps gently: close until a pad feels something, centre on it, then servo to the ideal pose under a light press.

    It keeps no state, so it can label any step of any episode.
    """

    def __init__(self, config: ServoTeacherConfig | None = None) -> None:
        self.config = config or ServoTeacherConfig()

    def act(self, privileged: Privileged) -> Array:
        """The action for this step.

        Args:
            privileged: `target_twist` (6,), `pad_press_m` (2,), `pad_shear_m` (2,), `finger_distance_m`.

        Returns:
            Twist [m/s, rad/s] and set point of the finger distance [m], shape (7,).
        """
        config = self.config
        press = np.asarray(privileged["pad_press_m"])
        distance = float(privileged["finger_distance_m"])
        shear = np.asarray(privileged["pad_shear_m"])
        left, right = np.maximum(press, shear) > config.touch_press_m
        if not left and not right:
            return _action(np.zeros(6), distance - config.close_m)
        if left != right:
            return self._centre(press, distance)
        return self._align(np.asarray(privileged["target_twist"]), press, shear, distance)

    def _centre(self, press: Array, distance: float) -> Array:
        """One pad touches: let the other come in while this one stays lightly pressed."""
        config = self.config
        side = -1.0 if press[0] > press[1] else 1.0
        excess = float(press.max()) - config.light_press_m
        twist = np.zeros(6)
        twist[1] = side * (config.centre_m / 2 + config.press_gain * excess) * CONTROL_HZ
        return _action(_clamp(twist), distance - config.centre_m)

    def _align(self, error: Array, press: Array, shear: Array, distance: float) -> Array:
        """Both pads touch: remove the whole error; press as at the target as it vanishes."""
        config = self.config
        values = error.tolist()
        far = max(
            math.hypot(*values[:3]) / config.near_m, math.hypot(*values[3:]) / config.near_rad
        )
        wanted = PRESS_DEPTH + (config.far_press_m - PRESS_DEPTH) * min(far, 1.0)
        # A skin that slides is sheared in proportion to its press; more than that is an edge that holds it back.
        held = max(0.0, float(np.max(config.shear_to_press * shear - press)))
        opening = 2 * config.press_gain * (float(press.mean()) - wanted + held)
        set_point = distance + opening - config.gap_per_press * wanted
        return _action(_clamp(config.gain_per_s * error), set_point)


def _clamp(twist: Array) -> Array:
    """Slow a twist down to the limits of the fine phase, each part keeping its direction."""
    # Plain numbers: for so few of them NumPy takes several times as long, in every control step.
    values = twist.tolist()
    linear, angular = (max(map(abs, part)) for part in (values[:3], values[3:]))
    slowed = twist.copy()
    slowed[:3] *= min(1.0, FINE_LINEAR_SPEED / max(linear, 1e-12))
    slowed[3:] *= min(1.0, FINE_ANGULAR_SPEED / max(angular, 1e-12))
    return slowed


def _action(twist: Array, set_point_m: float) -> Array:
    action = np.empty(7)
    action[:6] = twist
    action[6] = min(max(set_point_m, MIN_FINGER_DISTANCE), MAX_FINGER_DISTANCE)
    return action
