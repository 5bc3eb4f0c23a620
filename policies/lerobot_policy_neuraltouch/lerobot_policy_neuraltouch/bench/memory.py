"""What a process that only runs the policy has in memory, as Linux counts it."""

import multiprocessing as mp
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lerobot_policy_neuraltouch.training.student import Student


@dataclass(frozen=True)
class PolicyMemory:
    """Of one process: Python, LeRobot, PyTorch, the policy's weights; no simulator."""

    resident_mb: float
    """In memory at the end of an episode, shared pages included [MB]."""
    peak_mb: float
    """The most there ever was, while loading or in the search [MB]."""


def measure_policy(
    path: str | Path, observations: Sequence[Mapping[str, Any]], task: str, *, device: str
) -> PolicyMemory:
    """Let a policy act on a recorded episode in a fresh process, and weigh that process.

    Args:
        path: Checkpoint.
        observations: Of Gymnasium, one per control step.
        task: Text of the task.
        device: Where the policy runs; memory of a GPU does not count.
    """
    context = mp.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_act, path, list(observations), task, device).result()


def _act(
    path: str | Path, observations: list[Mapping[str, Any]], task: str, device: str
) -> PolicyMemory:
    torch.set_num_threads(1)
    student = Student(path, device=device)
    while observations:
        student.act([observations.pop(0)], [task])
    return PolicyMemory(_status_mb("VmRSS"), _status_mb("VmHWM"))


def _status_mb(field: str) -> float:
    """A line of /proc/self/status, given there in KiB. (getrusage counts the parent before exec as well.)"""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError(f"/proc/self/status has no {field}.")
