"""The fine phase of one environment: from noisy network outputs to a pose at rest.

Near the target the network's output is noise around zero. Following it with a gain n0 / (n0 + n) averages the noise
out (stochastic approximation, Robbins and Monro 1951): the tcp comes to rest where the mean output is zero. As in
Kesten 1958, n counts changes of sign, each component's own: a steady output is a way still to go, not noise.
"""

from dataclasses import dataclass, field

import numpy as np

from lerobot_policy_neuraltouch.motion import Array, Feel
from lerobot_policy_neuraltouch.settings import FineSettings

SMOOTHING = 0.2
"""Weight of the newest output in the smoothed one."""
FINGER_SMOOTHING = 0.5
"""The same for the finger set point, while averaging."""
RESTART = 3.0
"""Averaging starts over when the smoothed output exceeds the stillness limits by this factor: there was more to feel."""


@dataclass
class FineServo:
    """Follow the refiner, gently, until it has nothing left to correct."""

    settings: FineSettings
    converged: bool = field(default=False, init=False)
    steps: int = field(default=0, init=False)
    seeking_steps: int = field(default=0, init=False)
    """Control steps in a row without both fingers touching."""
    set_point: float = field(default=0.0, init=False)
    """Latest set point of the finger distance [m]."""
    _smooth: Array | None = field(default=None, init=False)
    _contact_steps: int = field(default=0, init=False)
    _averaging: int = field(default=0, init=False)
    _flips: Array = field(default_factory=lambda: np.zeros(6), init=False)
    _last: Array = field(default_factory=lambda: np.zeros(6), init=False)
    _finger_change: float = field(default=0.0, init=False)
    _quiet: int = field(default=0, init=False)

    @property
    def gain(self) -> Array:
        """Share of each component of the refiner's twist that is let through, shape (6,)."""
        return self.settings.averaging_steps / (self.settings.averaging_steps + self._flips)

    def step(self, twist: Array, finger_change: float, feel: Feel) -> tuple[Array, float]:
        """Twist (6,) and finger set point [m] to command.

        Args:
            twist: The refiner's [m/s, rad/s], shape (6,).
            finger_change: The refiner's finger set point less the measured distance [m].
            feel: State and touch at this step.
        """
        self.steps += 1
        self.seeking_steps = 0 if feel.both else self.seeking_steps + 1
        self._track(twist, finger_change, feel.both)
        gain = self.gain
        held = self._averaging > self.settings.hold_after
        command = np.zeros(6) if held else gain * twist
        self._judge(command, feel.both)
        change = self._finger_change if self._averaging else finger_change
        self.set_point = gentle_set_point(feel, change, self.settings)
        return command, self.set_point

    def _track(self, twist: Array, finger_change: float, both: bool) -> None:
        """Decide whether this step counts as averaging, and how far each component's gain has come down."""
        if not both:
            self._smooth, self._contact_steps = None, 0
            self._restart()
            return
        self._contact_steps += 1
        previous = twist if self._smooth is None else self._smooth
        self._smooth = previous + SMOOTHING * (twist - previous)
        size = self._relative_size(self._smooth)
        timed_out = self._contact_steps > self.settings.max_steps
        if size > RESTART and not timed_out:
            self._restart()
        if self._averaging or size < 1.0 or timed_out:
            self._averaging += 1
            self._flips += (twist * self._last < 0) | timed_out
            # The press is controlled through the images, so its command may be smoothed but not frozen.
            weight = 1.0 if self._averaging == 1 else FINGER_SMOOTHING
            self._finger_change += weight * (finger_change - self._finger_change)
        self._last = twist

    def _restart(self) -> None:
        self._averaging, self._flips = 0, np.zeros(6)

    def _relative_size(self, twist: Array) -> float:
        """Size of a twist in units of the stillness limits."""
        linear = float(np.linalg.norm(twist[:3])) / self.settings.still_linear
        return max(linear, float(np.linalg.norm(twist[3:])) / self.settings.still_angular)

    def _judge(self, command: Array, both: bool) -> None:
        quiet = (
            both
            and np.linalg.norm(command[:3]) < self.settings.converged_linear
            and np.linalg.norm(command[3:]) < self.settings.converged_angular
        )
        self._quiet = self._quiet + 1 if quiet else 0
        self.converged = self._quiet >= self.settings.converged_steps


@dataclass
class ClosingOnly:
    """Without a refiner: close to the demonstrated finger distance where vision said, and stop."""

    settings: FineSettings
    target: float
    """Demonstrated finger distance [m]."""
    converged: bool = field(default=False, init=False)
    steps: int = field(default=0, init=False)
    set_point: float = field(default=0.0, init=False)
    """Latest set point of the finger distance [m]."""
    _last: float = field(default=np.inf, init=False)
    _still: int = field(default=0, init=False)

    def step(self, feel: Feel) -> tuple[Array, float]:
        """A zero twist (6,) and the finger set point [m]."""
        self.steps += 1
        moving = abs(feel.finger_distance - self._last) > 1e-4
        self._last = feel.finger_distance
        self._still = 0 if moving else self._still + 1
        self.converged = self._still >= self.settings.converged_steps
        change = self.target - feel.finger_distance
        self.set_point = gentle_set_point(feel, change, self.settings)
        return np.zeros(6), self.set_point


def gentle_set_point(feel: Feel, change: float, settings: FineSettings) -> float:
    """Finger set point [m] near the measured distance, so that the grip force stays small."""
    squeeze = settings.touch_squeeze_m if feel.any else settings.finger_step_m
    return feel.finger_distance + float(np.clip(change, -squeeze, settings.finger_step_m))
