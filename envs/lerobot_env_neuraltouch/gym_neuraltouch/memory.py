"""Memory of processes, as Linux counts it."""

import time
from dataclasses import dataclass

import gymnasium
import psutil
from gymnasium.vector import AsyncVectorEnv

MEGABYTE = 1e6


@dataclass(frozen=True)
class WorkerMemory:
    """Of one worker process [MB]."""

    resident_mb: float
    """Everything it has in memory, shared pages included."""
    private_mb: float
    """What only it has: the price of one more worker."""


def resident_mb() -> float:
    """Memory of this process [MB]."""
    return psutil.Process().memory_info().rss / MEGABYTE


def measure_worker(env_id: str, num_envs: int = 2) -> WorkerMemory:
    """Start a vector environment of worker processes as `gymnasium.make_vec` does, reset it once, and weigh a worker.

    Args:
        env_id: Registered id.
        num_envs: Workers; the heaviest counts.
    """
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    env = gymnasium.make_vec(
        env_id,
        num_envs=num_envs,
        vectorization_mode="async",
        vector_kwargs={"context": "spawn"},
        num_objects=1,
    )
    assert isinstance(env, AsyncVectorEnv)
    try:
        env.reset(seed=0)
        time.sleep(0.1)
        weighed = [process.memory_full_info() for process in _workers(env, before)]
    finally:
        env.close()
    return WorkerMemory(
        max(memory.rss for memory in weighed) / MEGABYTE,
        max(memory.uss for memory in weighed) / MEGABYTE,
    )


def _workers(env: AsyncVectorEnv, before: set[int]) -> list[psutil.Process]:
    pids = {process.pid for process in env.processes}
    return [c for c in psutil.Process().children(recursive=True) if c.pid in pids - before]
