"""Rough actions that get somewhere: each is held for a while; some go straight at the contact, some stand still."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lerobot_neuraltouch.features import ACTION_HIGH, ACTION_LOW

Array = NDArray[np.float64]

MAX_HELD_STEPS = 15
AIMED_SHARE, RESTING_SHARE = 0.35, 0.15
"""So many of the draws rush at the nearest ideal contact, or do not move the hand; the others are random twists."""
CLOSING_SHARE = 0.6
"""So many of the draws close the fingers fully; the others choose any distance."""
_LIMIT_SHARE = 0.3
"""A random twist's components are at their limits so often: these are to be tried too."""


class Wanderer:
    """Draws an action now and then and holds it in between.

    Args:
        rng: Source of the draws.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._left = 0
        self._action = np.zeros(len(ACTION_LOW))

    def act(self, privileged: Mapping[str, Any]) -> Array:
        """The next action, shape (7,), within the limits.

        Args:
            privileged: Of the environment's info; `target_twist` (6,) tells where the contact is.
        """
        if self._left == 0:
            self._left = int(self._rng.integers(1, MAX_HELD_STEPS + 1))
            closes = self._rng.random() < CLOSING_SHARE
            distance = ACTION_LOW[6] if closes else self._rng.uniform(ACTION_LOW[6], ACTION_HIGH[6])
            self._action = np.append(self._draw_twist(privileged), distance)
        self._left -= 1
        return self._action

    def _draw_twist(self, privileged: Mapping[str, Any]) -> Array:
        kind, limits = self._rng.random(), ACTION_HIGH[:6].astype(np.float64)
        if kind < RESTING_SHARE:
            return np.zeros(6)
        if kind < RESTING_SHARE + AIMED_SHARE:
            way = np.asarray(privileged["target_twist"])
            return way / max(float(np.abs(way / limits).max()), 1e-9)
        twist = self._rng.uniform(-limits, limits)
        at_limit = self._rng.random(6) < _LIMIT_SHARE
        return np.where(at_limit, np.sign(twist) * limits, twist)
