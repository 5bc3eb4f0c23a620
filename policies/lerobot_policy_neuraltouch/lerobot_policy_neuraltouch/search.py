"""A bounded search by touch, for when what was felt does not tell where along the part the hand is.

On a flat that is wider than the pads, every place looks alike. So the hand slides along the direction that cannot be told, to one
side and then to the other, until something is felt that tells; the belief remembers it on the way back.
"""

import logging
from dataclasses import dataclass, field

import numpy as np

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.rl.belief import TargetBelief
from lerobot_policy_neuraltouch.motion import Array
from lerobot_policy_neuraltouch.settings import SearchSettings

logger = logging.getLogger(__name__)

_ALONG = 0
"""Axis of the tcp that is searched: along the pads and across the approach, z, in which the hand would leave the part or run into it."""
_DOUBT_RAD = float(np.deg2rad(3.0))
"""A shift along the part and a turn about the closing axis look alike: what was believed of that turn is doubted as well."""
_CLOSING_AXIS_TURN = 4
_CALM_STEPS = 3
_CALM_M, _CALM_RAD = 0.0005, float(np.deg2rad(1.0))
"""With no more than this left to go for so many steps, the hand is where it believes the target to be [m, rad]."""
_SEEN_STEPS = 2


@dataclass
class _Sweep:
    T_base_start: Array
    direction: float
    turned: bool = False
    seen: int = 0
    off: bool = False
    """The part ended under a finger, and has not been felt by both since."""


@dataclass
class Search:
    """Slides along the part while the hand is lost."""

    settings: SearchSettings
    count: int = field(default=0, init=False)
    """Searches begun so far."""
    _sweep: _Sweep | None = field(default=None, init=False)
    _calm: int = field(default=0, init=False)

    @property
    def is_running(self) -> bool:
        """Whether the hand is sliding."""
        return self._sweep is not None

    def stop(self) -> None:
        """Give up sliding: the part was lost."""
        self._sweep, self._calm = None, 0

    def step(self, T_base_tcp: Array, way: Array, belief: TargetBelief) -> Array | None:
        """Where to slide.

        Args:
            T_base_tcp: Pose of the tcp, shape (4, 4).
            way: Twist to where the target is believed to be [m, rad], shape (6,).
            belief: Of the target; doubts itself when a search begins.

        Returns:
            Velocity along the tcp's axes [m/s], shape (3,), 0 but along the one that is searched; None while nothing is searched.
        """
        error = belief.expected_error
        if self._sweep is None:
            calm = np.abs(way[:3]).max() < _CALM_M and np.abs(way[3:]).max() < _CALM_RAD
            self._calm = self._calm + 1 if calm else 0
            if self._calm < _CALM_STEPS or self.count >= self.settings.max_searches:
                return None
            turned = error[_CLOSING_AXIS_TURN] > self.settings.lost_rad
            if error[_ALONG] <= self.settings.lost_m and not turned:
                return None
            self._begin(T_base_tcp, way, belief)
        return self._slide(T_base_tcp, error)

    def step_off_part(self, T_base_tcp: Array) -> Array | None:
        """Where to slide after the part has ended under a finger: back the other way, and not twice. Returns as `step`."""
        if self._sweep is None:
            return None
        if not self._sweep.turned:
            self._sweep.turned, self._sweep.direction = True, -self._sweep.direction
            self._sweep.off = True
        elif not self._sweep.off:
            self.stop()
            return None
        return self._velocity()

    def _begin(self, T_base_tcp: Array, way: Array, belief: TargetBelief) -> None:
        logger.info(
            "Lost along tcp x (expected errors %.1f mm, %.1f deg): searching %.0f mm to both sides.",
            1e3 * belief.expected_error[_ALONG],
            np.rad2deg(belief.expected_error[_CLOSING_AXIS_TURN]),
            1e3 * self.settings.distance_m,
        )
        self.count += 1
        self._sweep = _Sweep(T_base_tcp, 1.0 if way[_ALONG] >= 0.0 else -1.0)
        belief.doubt(_ALONG, self.settings.distance_m / 2)
        belief.doubt(_CLOSING_AXIS_TURN, _DOUBT_RAD)

    def _slide(self, T_base_tcp: Array, error: Array) -> Array | None:
        sweep = self._sweep
        assert sweep is not None
        gone = float((se3.inverse(sweep.T_base_start) @ T_base_tcp)[_ALONG, 3])
        tells = error[_ALONG] < self.settings.found_m
        tells &= error[_CLOSING_AXIS_TURN] < self.settings.lost_rad
        sweep.seen = sweep.seen + 1 if tells else 0
        at_end = gone * sweep.direction > self.settings.distance_m
        if sweep.seen >= _SEEN_STEPS or (at_end and sweep.turned):
            self.stop()
            return None
        if at_end:
            sweep.turned, sweep.direction = True, -sweep.direction
        sweep.off = False
        return self._velocity()

    def _velocity(self) -> Array:
        sweep = self._sweep
        assert sweep is not None
        velocity = np.zeros(3)
        velocity[_ALONG] = sweep.direction * self.settings.speed
        return velocity
