"""Episodes in the MuJoCo environments, seen as a robot: they go on until the scene is set up anew, and each is reported."""

import json
import logging
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

import gym_neuraltouch  # noqa: F401  registers the ids
from lerobot_neuraltouch import features

from .config_neuraltouch_sim import NeuralTouchSimConfig
from .wrist_camera import WristCamera

logger = logging.getLogger(__name__)


class Simulation:
    """A task's environment with a wrist camera; begins with episode 0.

    An episode of the environment ends by its own rules; a robot's goes on until somebody sets up the scene anew. So the
    environment's verdict is reported when it falls, and the physics runs on.

    Args:
        config: The robot's settings.

    Raises:
        ValueError: If a setting is none of those that exist; the message lists them.
    """

    def __init__(self, config: NeuralTouchSimConfig) -> None:
        self._config = config
        self._env = gymnasium.make(
            f"gym_neuraltouch/{config.task}-v0",
            disable_env_checker=True,
            start=config.start,
            split=config.split,
            object_path=config.object_path,
            image_size=config.image_size,
            noise=config.noise,
            robot=config.robot,
            release=config.release,
        )
        self._camera = WristCamera(
            noisy=config.noise == "nominal", calibration=config.calibration, seed=config.seed
        )
        self.episode = 0
        """Number of the running episode."""
        self.steps = 0
        """Control steps since it began."""
        self._has_ended = False
        self.begin(0)

    def begin(self, episode: int) -> None:
        """Set up the scene of an episode; one that was cut short is reported as it stands."""
        self._report_unless_ended()
        seed = self._config.seed + episode
        index = self._config.object_index
        options = None if index is None else {"object_index": index}
        self._observation, self._info = self._env.reset(seed=seed, options=options)
        self._camera.reset(seed)
        self.episode, self.steps, self._has_ended = episode, 0, False
        logger.info("Episode %d: %s, seed %d.", episode, self._piece.item.name, seed)

    def step(self, action: NDArray[np.float32]) -> None:
        """Simulate one control step of 0.1 s; the action has shape (7,).

        Raises:
            RuntimeError: If the physics diverged.
        """
        observation, _, terminated, truncated, info = self._env.step(action)
        if info["failure"]:
            raise RuntimeError(f"Episode {self.episode}, step {self.steps}: {info['failure']}.")
        self._observation, self._info = observation, info
        self.steps += 1
        if (terminated or truncated) and not self._has_ended:
            self._report()

    def observe(self) -> dict[str, Any]:
        """State [m, rad] by `features.STATE_NAMES` and the four pictures."""
        state = self._observation["agent_pos"].tolist()
        colour, depth = self._camera.take(self._piece)
        pixels = self._observation["pixels"]
        return {
            **dict(zip(features.STATE_NAMES, state, strict=True)),
            "tactile_left": pixels["tactile_left"],
            "tactile_right": pixels["tactile_right"],
            "wrist": colour,
            "wrist_depth": depth,
        }

    def close(self) -> None:
        """Report the episode, if it was cut short, and free the simulation."""
        self._report_unless_ended()
        self._env.close()

    @property
    def _piece(self) -> Any:
        return self._env.unwrapped.piece  # pyright: ignore[reportAttributeAccessIssue]

    def _report_unless_ended(self) -> None:
        if self.steps > 0 and not self._has_ended:
            self._report()

    def _report(self) -> None:
        """Say how the episode went."""
        self._has_ended = True
        info = self._info
        outcome = {
            "episode": self.episode,
            "seed": self._config.seed + self.episode,
            "object": self._piece.item.name,
            "steps": self.steps,
            "pos_error_m": float(info["pos_error_m"]),
            "cos_error": float(info["cos_error"]),
            "max_force_n": float(info["max_force_n"]),
            "refined": bool(info["refined"]),
            "is_success": bool(info["is_success"]),
        }
        logger.info("Episode %d ended: %s.", self.episode, outcome)
        if self._config.report is not None:
            _append(self._config.report, outcome)


def _append(path: Path, outcome: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(outcome) + "\n")
