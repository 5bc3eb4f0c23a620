"""`neuraltouch bench latency`: how long `select_action` takes, phase by phase."""

import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import draccus
import gymnasium as gym
import numpy as np
import torch
from tqdm import tqdm

from lerobot_neuraltouch import features
from lerobot_neuraltouch.report import write_report
from lerobot_policy_neuraltouch.shipped import shipped_path
from lerobot_policy_neuraltouch.training.collect import SEED_STRIDE, make_env
from lerobot_policy_neuraltouch.training.student import Student

PHASES = ("search", "coarse", "fine", "replay")
"""search: the first call of an episode, which finds the pose; then `features.Phase`."""


@dataclass(frozen=True, kw_only=True)
class LatencyConfig:
    """Time select_action, one environment at a time, over whole episodes from the stand-off pose to the lift."""

    policy: str | None = None
    """Checkpoint; without it, the shipped one."""
    task: str = "RefineMugRim"
    """The task played."""
    num_episodes: int = 5
    """Episodes; each has one pose search."""
    device: str = "cpu"
    """Where the policy runs."""
    threads: int = 1
    """Threads of the processor that PyTorch may use."""
    seed: int = 0
    """Of objects, starts and noise."""
    output: Path = Path("outputs/bench/latency.json")
    """Report."""

    def __post_init__(self) -> None:
        features.get_task(self.task, features.TASKS)
        if self.num_episodes < 1 or self.threads < 1:
            raise ValueError("num_episodes and threads must be at least 1.")


def main() -> None:
    """Milliseconds of select_action per phase, one environment at a time."""
    config = draccus.parse(LatencyConfig)
    rows = run(config)
    write_report(
        config.output,
        name="latency",
        seed=config.seed,
        config=config,
        rows=rows,
        device=config.device,
    )
    for row in rows:
        tqdm.write(
            f"{row['phase']:8} median {row['ms_median']:8.2f} ms   p95 {row['ms_p95']:8.2f} ms   {row['calls']} calls"
        )
    tqdm.write(f"wrote {config.output}")


def run(config: LatencyConfig) -> list[dict[str, Any]]:
    """The rows of the report: one per phase that occurred."""
    torch.set_num_threads(config.threads)
    student = Student(config.policy or str(shipped_path()), device=config.device)
    task = features.get_task(config.task, features.TASKS)
    env = make_env(task.name, start="perception", split="test", release=True)
    times_ms: dict[str, list[float]] = defaultdict(list)
    for i in tqdm(range(config.num_episodes), unit="episode"):
        _time_episode(env, task, config.seed * SEED_STRIDE + i, student, times_ms)
    env.close()
    return [
        {
            "phase": phase,
            "device": config.device,
            "ms_median": float(np.median(times_ms[phase])),
            "ms_p95": float(np.percentile(times_ms[phase], 95)),
            "calls": len(times_ms[phase]),
            "threads": config.threads,
        }
        for phase in PHASES
        if times_ms[phase]
    ]


def _time_episode(
    env: gym.Env, task: features.Task, seed: int, student: Student, times_ms: dict[str, list[float]]
) -> None:
    observation, _ = env.reset(seed=seed)
    student.reset()
    first, done = True, False
    while not done:
        batch = student.prepare([observation], [task.text])
        start = time.perf_counter()
        with torch.inference_mode():
            # On a GPU the copy to the processor waits for the result.
            action = student.policy.select_action(batch).cpu().numpy()[0]
        elapsed_ms = 1e3 * (time.perf_counter() - start)
        phase = "search" if first else PHASES[1 + student.policy.diagnostics[0].phase]
        times_ms[phase].append(elapsed_ms)
        first = False
        observation, _, terminated, truncated, _ = env.step(action)
        done = terminated or truncated
