"""Where players play: in this process, in processes of this machine, or on a Ray cluster. All give experience in chunks."""

import multiprocessing as mp
import queue
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import torch

from lerobot_policy_neuraltouch.training.online.experience import Experience, Weights
from lerobot_policy_neuraltouch.training.online.player import Player
from lerobot_policy_neuraltouch.training.online.settings import (
    PlaySettings,
    Stage,
    TrainRefinerConfig,
)

_PATIENCE_S = 5.0
"""How often a learner that waits looks whether its workers live [s]."""
_FIRST_WEIGHTS_S = 600.0
"""Nothing is played before the first weights; a worker that gets none for so long gives up [s]."""
_WAITING_CHUNKS = 2
"""Deliveries per worker that may wait for the learner; then the worker waits."""


class Rollout(ABC):
    """A source of experience."""

    @abstractmethod
    def publish(self, weights: Weights, stage: Stage) -> None:
        """Let the players use these weights from their next chunk on."""

    @abstractmethod
    def collect(self, *, wait: bool) -> Experience | None:
        """The next chunk; None if none is ready and `wait` is false.

        Raises:
            RuntimeError: If a worker has died; the message says of what.
        """

    @abstractmethod
    def close(self) -> None:
        """End all players."""


def make_rollout(config: TrainRefinerConfig, policy: Path, first_worker: int) -> Rollout:
    """The rollout that a configuration asks for.

    Args:
        config: Of the training.
        policy: Checkpoint that is being trained.
        first_worker: Number of the first worker; a resumed training goes on with other seeds.
    """
    if config.rollout == "inline":
        return InlineRollout(config, policy, first_worker)
    if config.rollout == "process":
        return ProcessRollout(config, policy, first_worker)
    from lerobot_policy_neuraltouch.training.online.ray_rollout import RayRollout

    return RayRollout(config, policy, first_worker)


class InlineRollout(Rollout):
    """Plays when asked to, in this process: for tests, and repeatable."""

    def __init__(self, config: TrainRefinerConfig, policy: Path, first_worker: int):
        self._player = Player(policy, config.play, seed=config.seed, worker=first_worker)
        self._chunk, self._stage = config.chunk, Stage()

    def publish(self, weights: Weights, stage: Stage) -> None:
        """See `Rollout`."""
        self._player.load(weights)
        self._stage = stage

    def collect(self, *, wait: bool) -> Experience | None:
        """Play a chunk; without `wait` there is none."""
        return self._player.play(self._chunk, self._stage) if wait else None

    def close(self) -> None:
        """See `Rollout`."""
        self._player.close()


class ProcessRollout(Rollout):
    """One process per worker. Each looks for new weights before a chunk and waits when its deliveries are not taken."""

    def __init__(self, config: TrainRefinerConfig, policy: Path, first_worker: int):
        context = mp.get_context("spawn")
        self._deliveries: Any = context.Queue(maxsize=_WAITING_CHUNKS * config.num_workers)
        self._inboxes = [context.Queue() for _ in range(config.num_workers)]
        self._workers = [
            context.Process(
                target=_serve,
                args=(
                    policy,
                    config.play,
                    config.seed,
                    first_worker + i,
                    config.chunk,
                    inbox,
                    self._deliveries,
                ),
                daemon=True,
            )
            for i, inbox in enumerate(self._inboxes)
        ]
        for worker in self._workers:
            worker.start()

    def publish(self, weights: Weights, stage: Stage) -> None:
        """See `Rollout`."""
        plain = {
            part: {name: value.detach().cpu().numpy().copy() for name, value in state.items()}
            for part, state in weights.items()
        }
        for inbox in self._inboxes:
            inbox.put((plain, stage))

    def collect(self, *, wait: bool) -> Experience | None:
        """See `Rollout`."""
        while True:
            try:
                found = self._deliveries.get(block=wait, timeout=_PATIENCE_S)
            except queue.Empty:
                dead = [worker.exitcode for worker in self._workers if not worker.is_alive()]
                if dead:
                    raise RuntimeError(f"A worker has ended with exit code {dead[0]}.") from None
                if not wait:
                    return None
                continue
            if isinstance(found, Exception):
                raise RuntimeError(f"A worker failed: {found}") from found
            return found

    def close(self) -> None:
        """See `Rollout`."""
        for worker in self._workers:
            worker.terminate()
        for worker in self._workers:
            worker.join()


def _deliver(deliveries: Any, experience: Experience) -> bool:
    """Hand over a chunk; false if the learner is gone, however it went: then nobody is to play on."""
    learner = mp.parent_process()
    while learner is not None and learner.is_alive():
        try:
            deliveries.put(experience, timeout=_PATIENCE_S)
            return True
        except queue.Full:
            continue
    return False


def _serve(
    policy: Path,
    settings: PlaySettings,
    seed: int,
    worker: int,
    chunk: int,
    inbox: Any,
    deliveries: Any,
) -> None:
    """Body of a worker's process: play with the newest weights until the learner ends it."""
    try:
        torch.set_num_threads(1)
        player = Player(policy, settings, seed=seed, worker=worker)
        news = inbox.get(timeout=_FIRST_WEIGHTS_S)
        while True:
            weights, stage = news
            player.load(
                {
                    part: {name: torch.from_numpy(value) for name, value in state.items()}
                    for part, state in weights.items()
                }
            )
            if not _deliver(deliveries, player.play(chunk, stage)):
                return
            while not inbox.empty():
                news = inbox.get()
    except Exception as error:
        deliveries.put(error)
        raise
