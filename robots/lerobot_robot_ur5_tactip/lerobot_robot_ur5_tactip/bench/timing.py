"""How regularly the robot's loop commands the arm, and how long an action takes to become a command."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from lerobot_robot_ur5_tactip.loopback import Record

CARRIES_M_S = 1e-6
"""A command that differs by more from the last steady one carries the next action [m/s]."""


def describe(name: str, values_ms: Sequence[float] | np.ndarray) -> dict[str, float | None]:
    """Median, p95, p99 and maximum of some times [ms]."""
    if not len(values_ms):
        return dict.fromkeys([f"{name}_{part}" for part in ("median", "p95", "p99", "max")])
    median, p95, p99, most = np.percentile(values_ms, [50, 95, 99, 100])
    return {
        f"{name}_median": float(median),
        f"{name}_p95": float(p95),
        f"{name}_p99": float(p99),
        f"{name}_max": float(most),
    }


def periods_ms(connections: Iterable[Sequence[float]]) -> np.ndarray:
    """Times between the commands of each connection [ms], from the moments of the commands [s]."""
    return 1e3 * np.concatenate([np.diff(moments) for moments in connections] or [np.empty(0)])


def jitter(connections: Iterable[Sequence[float]], period_ms: float) -> dict[str, Any]:
    """The periods' deviation from their target, in the words of the report."""
    periods = periods_ms(connections)
    return {
        "period_target_ms": period_ms,
        "ticks": len(periods),
        **describe("period_error_ms", np.abs(periods - period_ms)),
    }


def latencies_ms(sent_at: Sequence[float], commands: Sequence[Record]) -> list[float]:
    """From each action to the first command that carries it [ms].

    Args:
        sent_at: When actions that differ from the ones before were sent, by `time.monotonic()` [s]; the motion must have
            become steady in between.
        commands: What the controller received, oldest first.
    """
    arrived = np.array([record.wall_s for record in commands])
    twists = np.array([record.twist for record in commands]).reshape(-1, 6)
    found = []
    for sent, after in itertools.pairwise([*sent_at, np.inf]):
        first, last = np.searchsorted(arrived, [sent, after])
        if first == 0:
            continue
        changes = np.linalg.norm(twists[first:last, :3] - twists[first - 1, :3], axis=1)
        carrying = np.flatnonzero(changes > CARRIES_M_S)
        if carrying.size:
            found.append(1e3 * float(arrived[first + carrying[0]] - sent))
    return found
