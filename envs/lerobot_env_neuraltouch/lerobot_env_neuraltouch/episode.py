"""One environment as LeRobot's rollout wants it."""

from typing import Any

import gymnasium as gym
from lerobot.envs.utils import NEW_ROLLOUT_OPTION

import gym_neuraltouch  # noqa: F401  registers the ids, in a worker process too


class Episode(gym.Wrapper):
    """Adds the step limit under LeRobot's name and keeps LeRobot's own reset option from the environment."""

    @property
    def _max_episode_steps(self) -> int:
        return self.env.get_wrapper_attr("max_episode_steps")

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        ours = {key: value for key, value in (options or {}).items() if key != NEW_ROLLOUT_OPTION}
        return self.env.reset(seed=seed, options=ours or None)


def make_episode(task: str, **gym_kwargs: Any) -> Episode:
    """Make `gym_neuraltouch/<task>-v0`; `gym_kwargs` are those of `gym.make`."""
    return Episode(gym.make(f"gym_neuraltouch/{task}-v0", **gym_kwargs))
