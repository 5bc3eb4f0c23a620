"""`neuraltouch bench latency`: how long `select_action` takes, phase by phase, and how much memory the policy needs."""

import time
from collections import defaultdict
from collections.abc import Mapping
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
from lerobot_policy_neuraltouch.bench.memory import measure_policy
from lerobot_policy_neuraltouch.shipped import shipped_path
from lerobot_policy_neuraltouch.training.collect import SEED_STRIDE, make_env
from lerobot_policy_neuraltouch.training.student import Student

PHASES = ("search", "coarse", "fine", "replay")
"""search: the first call of an episode, which finds the pose; then `features.Phase`."""
Times = dict[str, list[tuple[float, float]]]
"""By phase, of each call: the time it took and the processor's time in it, which a busy machine does not lengthen [ms]."""


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
        features.get_task(self.task, features.REFINE_TASKS)
        if self.num_episodes < 1 or self.threads < 1:
            raise ValueError("num_episodes and threads must be at least 1.")


def main() -> None:
    """Milliseconds of select_action per phase, one environment at a time, and the policy's memory."""
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
            f"{row['phase']:8} median {row['ms_median']:8.2f} ms   p95 {row['ms_p95']:8.2f} ms   "
            f"processor {row['processor_ms_median']:8.2f} ms   {row['calls']} calls"
        )
    tqdm.write(
        f"a process that only runs the policy: {rows[0]['policy_resident_mb']:.0f} MB, at most "
        f"{rows[0]['policy_peak_mb']:.0f} MB"
    )
    tqdm.write(f"wrote {config.output}")


def run(config: LatencyConfig) -> list[dict[str, Any]]:
    """The rows of the report: one per phase that occurred; the memory is that of the whole policy process, the same in all."""
    torch.set_num_threads(config.threads)
    path = config.policy or str(shipped_path())
    student = Student(path, device=config.device)
    task = features.get_task(config.task, features.REFINE_TASKS)
    env = make_env(task.name, start="perception", split="test", release=True)
    times: Times = defaultdict(list)
    played: list[Mapping[str, Any]] = []
    for i in tqdm(range(config.num_episodes), unit="episode"):
        played = _time_episode(env, task, config.seed * SEED_STRIDE + i, student, times)
    env.close()
    memory = measure_policy(path, played, task.text, device=config.device)
    rows = []
    for phase in (name for name in PHASES if times[name]):
        elapsed_ms, processor_ms = np.array(times[phase]).T
        rows.append(
            {
                "phase": phase,
                "device": config.device,
                "ms_median": float(np.median(elapsed_ms)),
                "ms_p95": float(np.percentile(elapsed_ms, 95)),
                "processor_ms_median": float(np.median(processor_ms)),
                "calls": len(elapsed_ms),
                "threads": config.threads,
                "policy_resident_mb": memory.resident_mb,
                "policy_peak_mb": memory.peak_mb,
            }
        )
    return rows


def _time_episode(
    env: gym.Env, task: features.Task, seed: int, student: Student, times: Times
) -> list[Mapping[str, Any]]:
    """Play and time an episode; returns its observations."""
    observation, _ = env.reset(seed=seed)
    seen = []
    student.reset()
    first, done = True, False
    while not done:
        seen.append(observation)
        batch = student.prepare([observation], [task.text])
        start, processor_start = time.perf_counter(), time.process_time()
        with torch.inference_mode():
            # On a GPU the copy to the processor waits for the result.
            action = student.policy.select_action(batch).cpu().numpy()[0]
        elapsed_ms = 1e3 * (time.perf_counter() - start)
        processor_ms = 1e3 * (time.process_time() - processor_start)
        phase = "search" if first else PHASES[1 + student.policy.diagnostics[0].phase]
        times[phase].append((elapsed_ms, processor_ms))
        first = False
        observation, _, terminated, truncated, _ = env.step(action)
        done = terminated or truncated
    return seen
