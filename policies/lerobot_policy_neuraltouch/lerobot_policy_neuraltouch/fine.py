"""The fine phase of one environment: from noisy network outputs to a pose at rest.

Near the target the network's output is noise around zero. Following it with a gain n0 / (n0 + n) averages the noise
out (stochastic approximation, Robbins and Monro 1951): the tcp comes to rest where the mean output is zero. As in
Kesten 1958, n counts changes of sign, each component's own: a steady output is a way still to go, not noise.
What the network says is fused over time before (`rl.belief`), and searched for where it cannot tell (`search`).
"""

from dataclasses import dataclass, field

import numpy as np

from lerobot_neuraltouch.rl.belief import TargetBelief
from lerobot_neuraltouch.rl.estimate import REACH
from lerobot_policy_neuraltouch.motion import Array, Feel
from lerobot_policy_neuraltouch.progress import Progress
from lerobot_policy_neuraltouch.search import Search
from lerobot_policy_neuraltouch.settings import FineSettings

SMOOTHING = 0.2
"""Weight of the newest output in the smoothed one."""
FINGER_SMOOTHING = 0.5
"""The same for the finger set point, while averaging."""
RESTART = 3.0
"""Averaging starts over when the smoothed output exceeds the stillness limits by this factor: there was more to feel."""
OFF_STEPS = 20
"""A search that has left the part goes back for so many steps; then what it remembered is of no use."""
SETTLE_STEPS = 3
"""Both fingers touch for so many steps before an estimate is believed: until then the refiner may still be centring."""


@dataclass(frozen=True)
class Refined:
    """What the refiner says at one step."""

    twist: Array
    """[m/s, rad/s], shape (6,)."""
    finger_change: float
    """Finger set point less the measured distance [m]."""
    way: Array
    """Estimated way to the target [m, rad], shape (6,)."""
    error: Array
    """Expected absolute error of that way [m, rad], shape (6,)."""


@dataclass
class FineServo:
    """Follow the refiner, gently, until it has nothing left to correct."""

    settings: FineSettings
    aside: Array = field(default_factory=lambda: np.zeros(6))
    """With memory, come to rest so far beside the target [m, rad], shape (6,): for training."""
    converged: bool = field(default=False, init=False)
    steps: int = field(default=0, init=False)
    seeking_steps: int = field(default=0, init=False)
    """Control steps in a row without both fingers touching."""
    set_point: float = field(default=0.0, init=False)
    """Latest set point of the finger distance [m]."""
    expected: Array = field(default_factory=lambda: np.full(6, np.nan), init=False)
    """Expected absolute error of what is known of the way to the target [m, rad], shape (6,)."""
    progress: Progress = field(default_factory=Progress, init=False)
    _smooth: Array | None = field(default=None, init=False)
    _contact_steps: int = field(default=0, init=False)
    _averaging: int = field(default=0, init=False)
    _flips: Array = field(default_factory=lambda: np.zeros(6), init=False)
    _last: Array = field(default_factory=lambda: np.zeros(6), init=False)
    _finger_change: float = field(default=0.0, init=False)
    _quiet: int = field(default=0, init=False)
    _belief: TargetBelief | None = field(default=None, init=False)
    _off: int = field(default=0, init=False)
    """Steps in a row without both fingers touching, while there is a belief."""

    def __post_init__(self) -> None:
        settings = self.settings
        self.search = Search(settings.search)
        self._limits = np.repeat([settings.linear_speed, settings.angular_speed], 3)

    @property
    def gain(self) -> Array:
        """Share of each component of the refiner's twist that is let through, shape (6,)."""
        return self.settings.averaging_steps / (self.settings.averaging_steps + self._flips)

    def step(self, refined: Refined, feel: Feel) -> tuple[Array, float]:
        """Twist (6,) and finger set point [m] to command, given what the refiner says and state and touch at this step."""
        self.steps += 1
        self.seeking_steps = 0 if feel.both else self.seeking_steps + 1
        twist = self._remember(refined, feel) if self.settings.memory else _felt(refined, feel)
        self.expected = refined.error if self._belief is None else self._belief.expected_error
        if self.search.is_running:
            self._restart()
            self._smooth = None
        else:
            self._track(twist, refined.finger_change, feel.both)
        held = self._averaging > self.settings.hold_after
        command = np.zeros(6) if held else self.gain * twist
        self._judge(command, feel.both)
        change = self._finger_change if self._averaging else refined.finger_change
        gently = feel.any or self.progress.fingers_held(feel)
        self.set_point = gentle_set_point(feel, change, gently, self.settings)
        self.progress.step(feel, command)
        return command, self.set_point

    def _remember(self, refined: Refined, feel: Feel) -> Array:
        """The twist to follow, from all that was felt since both fingers touch, shape (6,)."""
        if not feel.both:
            return self._go_back(refined, feel)
        self._off = 0
        if self._contact_steps < SETTLE_STEPS and self._belief is None:
            return refined.twist
        if self._belief is None:
            self._belief = TargetBelief(self.settings.belief, REACH)
        way = self._belief.update(feel.T_base_tcp, refined.way, refined.error)
        slide = self.search.step(feel.T_base_tcp, way, self._belief)
        return self._follow(way, slide)

    def _go_back(self, refined: Refined, feel: Feel) -> Array:
        """The twist to follow where not both fingers touch: a search that has left the part goes back to it by what is remembered."""
        self._off += 1
        if self._belief is None or not self.search.count or self._off > OFF_STEPS:
            self._belief = None
            self.search.stop()
            return _felt(refined, feel)
        slide = self.search.step_off_part(feel.T_base_tcp)
        return self._follow(self._belief.way(feel.T_base_tcp), slide)

    def _follow(self, way: Array, slide: Array | None) -> Array:
        """The twist to a believed target, or along the part that is searched, within the limits, shape (6,)."""
        twist = self.settings.servo_gain * (way + self.aside)
        if slide is not None:
            twist[:3] = np.where(slide != 0.0, slide, twist[:3])
        for part in (slice(3), slice(3, 6)):
            twist[part] *= min(
                1.0, 1.0 / max(float(np.abs(twist / self._limits)[part].max()), 1e-12)
            )
        return twist

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


def _felt(refined: Refined, feel: Feel) -> Array:
    """The refiner's own twist (6,), if anything is felt: without a touch there is nothing to go by, whatever the prompt."""
    return refined.twist if feel.any else np.zeros(6)


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
        self.set_point = gentle_set_point(feel, change, feel.any, self.settings)
        return np.zeros(6), self.set_point


def gentle_set_point(feel: Feel, change: float, gently: bool, settings: FineSettings) -> float:
    """Finger set point [m] near the measured distance, so that the grip force stays small: very near if something is met already."""
    squeeze = settings.touch_squeeze_m if gently else settings.finger_step_m
    return feel.finger_distance + float(np.clip(change, -squeeze, settings.finger_step_m))
