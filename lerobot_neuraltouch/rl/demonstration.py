"""A teacher for whole episodes: come in from a stand-off pose as if seen badly, grasp by touch, lift.

What it needs comes in the environment's `info["privileged"]`; frames and units as in `features`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.features import (
    ACTION_HIGH,
    ACTION_LOW,
    CONTROL_HZ,
    MAX_ANGULAR_SPEED,
    MAX_LINEAR_SPEED,
    PRESS_DEPTH,
    Phase,
    start_opening,
)

from .teacher import ServoTeacher

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class DemonstrationConfig:
    """How a demonstration comes in and what it does with the grasp."""

    coarse_offset_m: float = 0.008
    """The approach aims beside the ideal pose by up to this distance [m]: what vision alone would do."""
    coarse_angle_rad: float = float(np.deg2rad(6.0))
    """And by up to this angle [rad]."""
    approach_m: float = 0.060
    """The last stretch of the approach is straight along tcp z [m]."""
    gain_per_s: float = 2.0
    """Twist per error of the approach [1/s]."""
    arrived_m: float = 0.001
    arrived_rad: float = float(np.deg2rad(1.0))
    """A pose counts as reached within these errors [m, rad]."""
    touch_press_m: float = 0.0002
    """The approach stops when a skin is pressed in by this much [m]."""
    squeeze_m: float = 0.015
    """The fingers' set point goes this far below the grasp's distance before the lift [m]: 7 mm press both
    skins onto their stops, the rest grips with 2 N/mm, as far as the range of set points allows."""
    squeeze_step_m: float = 0.001
    """Change of the set point per step while squeezing [m]."""
    lift_m: float = 0.060
    """Height of the lift [m]."""


class DemonstrationTeacher:
    """Shows an episode from a stand-off pose: approach, grasp by touch and, once released, lift.

    Args:
        privileged: The environment's privileged dict at the reset; the nearest ideal pose is the goal.
        rng: Draws the error of the coarse pose.
    """

    def __init__(
        self,
        privileged: Mapping[str, Any],
        rng: np.random.Generator,
        config: DemonstrationConfig | None = None,
        servo: ServoTeacher | None = None,
    ) -> None:
        self.config = config or DemonstrationConfig()
        self.servo = servo or ServoTeacher()
        error = np.concatenate(
            [
                _in_ball(rng, self.config.coarse_offset_m),
                _in_ball(rng, self.config.coarse_angle_rad),
            ]
        )
        self.T_base_coarse = np.asarray(privileged["T_base_target"]) @ se3.exp(error)
        self.T_base_before = self.T_base_coarse @ se3.transform(
            translation=(0.0, 0.0, -self.config.approach_m)
        )
        thickness = float(privileged["target_finger_distance_m"]) + 2 * PRESS_DEPTH
        self.opening_m = start_opening(thickness)
        self._waypoints = [self.T_base_before, self.T_base_coarse]
        self._grasp_distance_m: float | None = None
        self._squeeze_m = self._lifted_m = 0.0

    @property
    def phase(self) -> int:
        """One of `features.Phase`."""
        if self._grasp_distance_m is not None:
            return Phase.REPLAY
        return Phase.COARSE if self._waypoints else Phase.FINE

    @property
    def done(self) -> bool:
        """Whether the lift has been shown to its end."""
        return self._lifted_m >= self.config.lift_m

    def act(self, privileged: Mapping[str, Any]) -> Array:
        """The action for this step, shape (7,); call once per step."""
        if privileged["refined"]:
            return self._lift(privileged)
        if np.any(np.asarray(privileged["pad_press_m"]) > self.config.touch_press_m):
            self._waypoints.clear()
        T_base_tcp = np.asarray(privileged["T_base_tcp"])
        while self._waypoints:
            error = se3.log(se3.inverse(T_base_tcp) @ self._waypoints[0])
            config = self.config
            offset, angle = np.linalg.norm(error[:3]), np.linalg.norm(error[3:])
            if offset > config.arrived_m or angle > config.arrived_rad:
                return np.append(_clamp(config.gain_per_s * error), self.opening_m)
            self._waypoints.pop(0)
        return self.servo.act(privileged)

    def _lift(self, privileged: Mapping[str, Any]) -> Array:
        """Squeeze, raise along base z, stand still."""
        config = self.config
        if self._grasp_distance_m is None:
            self._grasp_distance_m = float(privileged["finger_distance_m"])
        twist = np.zeros(6)
        if self._squeeze_m < config.squeeze_m:
            self._squeeze_m += config.squeeze_step_m
        elif not self.done:
            up = np.asarray(privileged["T_base_tcp"])[2, :3]  # base z in tcp coordinates
            twist[:3] = MAX_LINEAR_SPEED / np.abs(up).max() * up
            self._lifted_m += float(np.linalg.norm(twist[:3])) / CONTROL_HZ
        action = np.append(twist, self._grasp_distance_m - self._squeeze_m)
        return np.clip(action, ACTION_LOW, ACTION_HIGH)


def _in_ball(rng: np.random.Generator, radius: float) -> Array:
    """A vector drawn uniformly in length and direction, shape (3,)."""
    direction = rng.standard_normal(3)
    return direction / np.linalg.norm(direction) * rng.uniform(0, radius)


def _clamp(twist: Array) -> Array:
    """Slow a twist down to the action's limits, each part keeping its direction."""
    linear, angular = np.abs(twist[:3]).max(), np.abs(twist[3:]).max()
    return np.concatenate(
        [
            twist[:3] * min(1.0, MAX_LINEAR_SPEED / max(linear, 1e-12)),
            twist[3:] * min(1.0, MAX_ANGULAR_SPEED / max(angular, 1e-12)),
        ]
    )
