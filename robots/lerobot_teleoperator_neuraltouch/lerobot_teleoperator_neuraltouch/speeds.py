"""What all our teleoperators do with a wish to move: speeds in SI, two speed modes, a finger set point that stays."""

from dataclasses import dataclass

import numpy as np
from lerobot.teleoperators.config import TeleoperatorConfig
from numpy.typing import ArrayLike, NDArray

from lerobot_neuraltouch import features


@dataclass(kw_only=True)
class HandGuidedConfig(TeleoperatorConfig):
    """Settings that keyboard and gamepad share."""

    linear_speed: float = features.MAX_LINEAR_SPEED
    """Fast mode's linear speed [m/s]."""
    angular_speed: float = features.MAX_ANGULAR_SPEED
    """Fast mode's angular speed [rad/s]."""
    finger_speed: float = 0.020
    """Fast mode's speed of the finger distance [m/s]."""
    slow_factor: float = 0.25
    """The slow mode's speeds are this share of the fast mode's; a session begins in the slow mode."""
    start_finger_distance_m: float = features.MAX_FINGER_DISTANCE
    """Finger distance at the beginning [m]: where the robot's fingers are, or a place they may go to at once."""

    def __post_init__(self) -> None:
        """Refuse speeds beyond the contract's limits.

        Raises:
            ValueError: With the limit.
        """
        for name, limit in (
            ("linear_speed", features.MAX_LINEAR_SPEED),
            ("angular_speed", features.MAX_ANGULAR_SPEED),
            ("finger_speed", 0.050),
            ("slow_factor", 1.0),
        ):
            if not 0.0 < getattr(self, name) <= limit:
                raise ValueError(f"{name} must lie in (0, {limit:.4g}], got {getattr(self, name)}.")
        low, high = features.MIN_FINGER_DISTANCE, features.MAX_FINGER_DISTANCE
        if not low <= self.start_finger_distance_m <= high:
            raise ValueError(
                f"start_finger_distance_m must lie in [{low}, {high}], got {self.start_finger_distance_m}."
            )


class HandGuide:
    """Turns wishes in [-1, 1] into actions.

    Args:
        config: The speeds.
    """

    def __init__(self, config: HandGuidedConfig) -> None:
        self._config = config
        self.fast = False
        """Whether the fast mode is on."""
        self.finger_distance_m = config.start_finger_distance_m
        """The set point that is kept while nobody moves the fingers [m]."""

    def action(self, wish: ArrayLike) -> dict[str, float]:
        """The action of one control step.

        Args:
            wish: Share of the mode's speed along and about tcp x, y, z and of opening the fingers, shape (7,), each in [-1, 1].
        """
        config = self._config
        factor = 1.0 if self.fast else config.slow_factor
        shares = factor * np.clip(np.asarray(wish, dtype=np.float64), -1.0, 1.0)
        step = shares[6] * config.finger_speed / features.CONTROL_HZ
        self.finger_distance_m = float(
            np.clip(
                self.finger_distance_m + step,
                features.MIN_FINGER_DISTANCE,
                features.MAX_FINGER_DISTANCE,
            )
        )
        twist = [*(shares[:3] * config.linear_speed), *(shares[3:6] * config.angular_speed)]
        return to_action(twist, self.finger_distance_m)


def to_action(twist: ArrayLike, finger_distance_m: float) -> dict[str, float]:
    """The contract's action of a twist (v, omega) of the tcp in its own frame [m/s, rad/s], shape (6,), and a finger set point [m]."""
    values: NDArray[np.float64] = np.append(np.asarray(twist, dtype=np.float64), finger_distance_m)
    return dict(zip(features.ACTION_NAMES, values.tolist(), strict=True))
