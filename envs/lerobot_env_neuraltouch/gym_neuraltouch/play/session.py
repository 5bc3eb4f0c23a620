"""The loop of a session: act, step, show, until the pilot quits."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import gymnasium
import numpy as np
from numpy.typing import NDArray

from lerobot_neuraltouch.features import CONTROL_HZ

from .panel import compose, describe
from .pilot import Command, Pilot


class Screen(Protocol):
    """Takes the picture of every step."""

    def show(self, picture: NDArray[np.uint8]) -> None:
        """Take a picture, uint8 (height, width, 3)."""
        ...


@dataclass
class Outcome:
    """How an episode went."""

    steps: int = 0
    settled_step: int | None = None
    """Step at which the environment's own ending rule first fired."""
    is_success: bool = False
    """Whether the grasp was right at that step."""


class Session:
    """One environment under one pilot.

    The environment's endings are told and do not stop anything: a person may hold still and look, and needs more than the
    time limit. Only a diverged simulation begins a new episode.

    Args:
        env: With render_mode "rgb_array".
        pilot: Who drives.
        screens: Where each step's picture goes.
        say: Shows a message.
        status: Shows the one line that changes with every step.
        is_live: Whether steps wait for the clock.
    """

    def __init__(
        self,
        env: gymnasium.Env,
        pilot: Pilot,
        screens: Sequence[Screen],
        *,
        say: Callable[[str], None],
        status: Callable[[str], None],
        is_live: bool,
    ) -> None:
        self.env, self.pilot, self.screens = env, pilot, screens
        self.say, self.status, self.is_live = say, status, is_live
        self.outcome = Outcome()

    def run(self, seed: int, options: dict[str, Any] | None) -> Outcome:
        """Play until the pilot quits or Ctrl-C is pressed; returns the last episode's outcome."""
        self._begin(seed, options)
        due = time.perf_counter()
        try:
            while True:
                action = self.pilot.act(self._info, self._finger_distance_m)
                if action is Command.QUIT:
                    break
                if action is Command.NEW_EPISODE:
                    self.say(self.summary())
                    self._begin(None, options)
                    continue
                self._step(action)
                due = self._wait(due)
        except KeyboardInterrupt:
            self.say("interrupted")
        return self.outcome

    def picture(self) -> NDArray[np.uint8]:
        """The present step's picture, uint8 (520, 880, 3)."""
        scene: Any = self.env.render()
        return compose(scene, self._obs["pixels"], describe(self._info, self.outcome.steps))

    def summary(self) -> str:
        """How the episode went, in one line."""
        outcome, info = self.outcome, self._info
        verdict = "not settled"
        if outcome.settled_step is not None:
            right = "right" if outcome.is_success else "not right"
            verdict = f"settled at {outcome.settled_step / CONTROL_HZ:.1f} s, {right}"
        return (
            f"{describe(info, outcome.steps)}; largest force {info['max_force_n']:.2f} N; {verdict}"
        )

    @property
    def _finger_distance_m(self) -> float:
        return float(self._obs["agent_pos"][6])

    def _begin(self, seed: int | None, options: dict[str, Any] | None) -> None:
        self._obs, self._info = self.env.reset(seed=seed, options=options)
        self.outcome = Outcome()
        self.pilot.begin(self._finger_distance_m)
        self._show()

    def _step(self, action: Any) -> None:
        self._obs, _, terminated, _, self._info = self.env.step(action)
        outcome = self.outcome
        outcome.steps += 1
        if self._info["failure"]:
            self.say(f"{self._info['failure']}; a new episode begins")
            self._begin(None, None)
            return
        if terminated and outcome.settled_step is None:
            outcome.settled_step, outcome.is_success = outcome.steps, self._info["is_success"]
            self.say(self.summary())
        self._show()

    def _show(self) -> None:
        self.status(describe(self._info, self.outcome.steps))
        if self.screens:
            picture = self.picture()
            for screen in self.screens:
                screen.show(picture)

    def _wait(self, due: float) -> float:
        if not self.is_live:
            return due
        due += 1 / CONTROL_HZ
        time.sleep(max(0.0, due - time.perf_counter()))
        return max(due, time.perf_counter() - 1 / CONTROL_HZ)  # a slow machine does not catch up
