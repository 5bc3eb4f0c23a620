"""Episodes in which the wanted contact changes, and their errors against both contacts at every step."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from lerobot_neuraltouch import se3
from lerobot_policy_neuraltouch.training.student import Student

Array = NDArray[np.float64]

DOWN_RAD = float(np.deg2rad(45.0))
"""A hand that leans less than this points down. One round a wall, turned about the closing direction, cannot feel where up is."""


@dataclass
class Switched:
    """One episode that began with the first contact of a pair wanted and went on with the second."""

    pos_errors_m: list[tuple[float, float]] = field(default_factory=list)
    """Position error against the first and the second contact after each control step [m]."""
    angles_rad: list[tuple[float, float]] = field(default_factory=list)
    """And the angle of the constrained rotation error [rad]."""
    switch: int = 0
    """Steps until the second contact was wanted; all of them if it never was."""
    lean_rad: float = np.nan
    """Angle between the approach direction and straight down at the switch [rad]."""
    max_force_n: float = 0.0
    """Largest force on one finger over the episode [N]."""

    @property
    def points_down(self) -> bool:
        """Whether the second contact came to be wanted, and the hand pointed down then."""
        return self.lean_rad < DOWN_RAD

    def at_switch(self) -> tuple[Array, Array]:
        """Position errors [m] and angles [rad] against both contacts when the second came to be wanted, shape (2,) each."""
        return self._at(self.switch - 1)

    def at_end(self) -> tuple[Array, Array]:
        """The same at the last step."""
        return self._at(-1)

    def _at(self, step: int) -> tuple[Array, Array]:
        return np.array(self.pos_errors_m[step]), np.array(self.angles_rad[step])


def play_switching(
    make_env: Callable[[], gym.Env],
    pair: tuple[str, str],
    seeds: Sequence[int],
    student: Student,
    *,
    num_envs: int,
    on_round: Callable[[int], Any] = lambda count: None,
    on_step: Callable[[gym.Env, Mapping[str, Any], Mapping[str, Any]], Any] | None = None,
) -> list[Switched]:
    """Play one episode per seed, `num_envs` at a time.

    Args:
        make_env: Makes an environment of the first contact with `then` the second.
        pair: The two contact features.
        seeds: Of the episodes.
        student: The policy; it hears the task that the environment names at each step.
        num_envs: Episodes side by side.
        on_round: Hears how many episodes have just ended.
        on_step: Sees environment, observation and info of the first of them after each step.
    """
    envs = [make_env() for _ in range(min(num_envs, len(seeds)))]
    episodes: list[Switched] = []
    for start in range(0, len(seeds), len(envs)):
        part = seeds[start : start + len(envs)]
        episodes += _round(envs[: len(part)], pair, part, student, on_step if not start else None)
        on_round(len(part))
    for env in envs:
        env.close()
    return episodes


def _round(
    envs: Sequence[gym.Env],
    pair: tuple[str, str],
    seeds: Sequence[int],
    student: Student,
    on_step: Callable[[gym.Env, Mapping[str, Any], Mapping[str, Any]], Any] | None,
) -> list[Switched]:
    observations = [env.reset(seed=seed)[0] for env, seed in zip(envs, seeds, strict=True)]
    student.reset()
    episodes, done = [Switched() for _ in envs], np.zeros(len(envs), bool)
    while not done.all():
        actions = student.act(observations, [_text(env) for env in envs])
        for i in np.flatnonzero(~done):
            observations[i], _, terminated, truncated, info = envs[i].step(
                actions[i].astype(np.float32)
            )
            _note(episodes[i], envs[i], pair, info)
            done[i] = terminated or truncated
            if on_step is not None and i == 0:
                on_step(envs[0], observations[0], info)
    return episodes


def _note(episode: Switched, env: gym.Env, pair: tuple[str, str], info: Mapping[str, Any]) -> None:
    item: Any = env.unwrapped.piece.item  # pyright: ignore[reportAttributeAccessIssue]
    truth = info["privileged"]
    T_object_tcp = se3.inverse(truth["T_base_object"]) @ truth["T_base_tcp"]
    first, second = (item.feature(name).nearest(T_object_tcp) for name in pair)
    episode.pos_errors_m.append((first.pos_error_m, second.pos_error_m))
    episode.angles_rad.append((first.angle_rad, second.angle_rad))
    episode.max_force_n = float(info["max_force_n"])
    if np.isnan(episode.lean_rad):
        episode.switch += 1
        if info["wanted"] == pair[1]:
            episode.lean_rad = float(np.arccos(np.clip(-truth["T_base_tcp"][2, 2], -1.0, 1.0)))


def _text(env: gym.Env) -> str:
    return env.get_wrapper_attr("task_description")
