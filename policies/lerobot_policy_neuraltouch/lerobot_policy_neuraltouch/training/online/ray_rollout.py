"""Players on a Ray cluster. Needs the extra `ray`."""

import importlib
from pathlib import Path
from typing import Any

from lerobot_policy_neuraltouch.training.online.experience import Experience, Weights
from lerobot_policy_neuraltouch.training.online.player import Player
from lerobot_policy_neuraltouch.training.online.rollout import Rollout
from lerobot_policy_neuraltouch.training.online.settings import Stage, TrainRefinerConfig


class RayRollout(Rollout):
    """One Ray actor per worker, on any machine of the cluster that sees the checkpoint's folder.

    Raises:
        ValueError: If Ray is not installed.
    """

    def __init__(self, config: TrainRefinerConfig, policy: Path, first_worker: int):
        try:
            ray: Any = importlib.import_module("ray")
        except ModuleNotFoundError as error:
            raise ValueError(
                "--rollout=ray needs Ray: install lerobot_policy_neuraltouch[ray]."
            ) from error
        self._ray = ray
        if not ray.is_initialized():
            ray.init(ignore_reinit_error=True)
        remote: Any = ray.remote(num_cpus=1)(Player)
        self._players = [
            remote.remote(policy.resolve(), config.play, seed=config.seed, worker=first_worker + i)
            for i in range(config.num_workers)
        ]
        self._chunk, self._stage = config.chunk, Stage()
        self._running: dict[Any, Any] = {}

    def publish(self, weights: Weights, stage: Stage) -> None:
        """See `Rollout`."""
        self._stage = stage
        plain = {
            part: {name: value.detach().cpu().clone() for name, value in state.items()}
            for part, state in weights.items()
        }
        shared = self._ray.put(plain)
        for player in self._players:
            player.load.remote(shared)
        if not self._running:
            for player in self._players:
                self._ask(player)

    def collect(self, *, wait: bool) -> Experience | None:
        """See `Rollout`."""
        ready, _ = self._ray.wait(list(self._running), timeout=None if wait else 0)
        if not ready:
            return None
        player = self._running.pop(ready[0])
        try:
            found = self._ray.get(ready[0])
        except self._ray.exceptions.RayError as error:
            raise RuntimeError(f"A worker failed: {error}") from error
        self._ask(player)
        return found

    def close(self) -> None:
        """See `Rollout`."""
        for player in self._players:
            self._ray.kill(player)

    def _ask(self, player: Any) -> None:
        self._running[player.play.remote(self._chunk, self._stage)] = player
