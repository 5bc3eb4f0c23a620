"""Playing episodes with a policy, many at a time, and summing up how they ended."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from scipy.stats import binomtest

from lerobot_neuraltouch import features
from lerobot_policy_neuraltouch.training.student import Student


@dataclass(frozen=True)
class Outcome:
    """How one episode ended, by the environment's own account."""

    pos_error_m: float
    """Position error at the last step [m]."""
    cos_error: float
    """Cosine error at the last step."""
    success: bool
    """Whether the ending rule found the grasp right."""
    steps: int
    """Control steps played."""
    max_force_n: float
    """Largest force on one finger over the episode [N]."""
    coarse_pos_error_m: float
    """Position error where the touch began: at the start, or after the policy's coarse phase [m]."""
    angle_rad: float
    """Angle of the constrained rotation error at the last step [rad]."""
    expected_pos_error_m: float
    """What the policy itself expected its position error to be [m]; NaN without a refiner."""
    expected_angle_rad: float
    """And its angle [rad]."""


def play_round(
    envs: Sequence[gym.Env],
    task: features.Task,
    seeds: Sequence[int],
    student: Student | None,
) -> list[Outcome]:
    """Play one episode per environment until the last has ended; with no policy, only look at the starts."""
    resets = [env.reset(seed=seed) for env, seed in zip(envs, seeds, strict=True)]
    observations, infos = [r[0] for r in resets], [r[1] for r in resets]
    if student is None:
        return [_outcome(info, 0, info["pos_error_m"]) for info in infos]
    student.reset()
    steps, done = np.zeros(len(envs), int), np.zeros(len(envs), bool)
    coarse_errors = [info["pos_error_m"] for info in infos]
    expected = [(np.nan, np.nan)] * len(envs)
    while not done.all():
        actions = student.act(observations, [task.text] * len(envs))
        coming_in, own = student.coming_in(), student.expected_errors()
        for i in np.flatnonzero(~done):
            expected[i] = own[i]
            if coming_in[i]:
                coarse_errors[i] = infos[i]["pos_error_m"]
            observations[i], _, terminated, truncated, infos[i] = envs[i].step(
                actions[i].astype(np.float32)
            )
            steps[i] += 1
            done[i] = terminated or truncated
    ends = zip(infos, steps, coarse_errors, expected, strict=True)
    return [_outcome(info, int(count), error, own) for info, count, error, own in ends]


def play(
    make_env: Callable[[], gym.Env],
    task: features.Task,
    seeds: Sequence[int],
    student: Student | None,
    *,
    num_envs: int,
    on_round: Callable[[int], Any] = lambda count: None,
) -> list[Outcome]:
    """Play one episode per seed, `num_envs` at a time; `on_round` hears how many have just ended."""
    envs = [make_env() for _ in range(min(num_envs, len(seeds)))]
    outcomes: list[Outcome] = []
    for first in range(0, len(seeds), len(envs)):
        part = seeds[first : first + len(envs)]
        outcomes += play_round(envs[: len(part)], task, part, student)
        on_round(len(part))
    for env in envs:
        env.close()
    return outcomes


def summary(outcomes: Sequence[Outcome]) -> dict[str, float | int]:
    """The columns of a Table I row, over episodes that all count."""
    position_mm = np.array([1e3 * o.pos_error_m for o in outcomes])
    low, high = wilson_interval(sum(o.success for o in outcomes), len(outcomes))
    return {
        "pos_mm_mean": float(position_mm.mean()),
        "pos_mm_median": float(np.median(position_mm)),
        "pos_mm_p95": float(np.percentile(position_mm, 95)),
        "cos_mean": float(np.mean([o.cos_error for o in outcomes])),
        "cos_median": float(np.median([o.cos_error for o in outcomes])),
        "success": float(np.mean([o.success for o in outcomes])),
        "success_ci95_low": low,
        "success_ci95_high": high,
        "steps_mean": float(np.mean([o.steps for o in outcomes])),
        "max_force_n_p95": float(np.percentile([o.max_force_n for o in outcomes], 95)),
        "expected_pos_mm_mean": 1e3 * float(np.mean([o.expected_pos_error_m for o in outcomes])),
        "coarse_pos_mm_mean": 1e3 * float(np.mean([o.coarse_pos_error_m for o in outcomes])),
        "episodes": len(outcomes),
    }


def success_summary(outcomes: Sequence[Outcome]) -> dict[str, float | int]:
    """The columns of a Table II row."""
    low, high = wilson_interval(sum(o.success for o in outcomes), len(outcomes))
    return {
        "success": float(np.mean([o.success for o in outcomes])),
        "ci95_low": low,
        "ci95_high": high,
        "episodes": len(outcomes),
        "steps_mean": float(np.mean([o.steps for o in outcomes])),
        "max_force_n_p95": float(np.percentile([o.max_force_n for o in outcomes], 95)),
        "coarse_pos_mm_mean": 1e3 * float(np.mean([o.coarse_pos_error_m for o in outcomes])),
    }


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a success rate."""
    interval = binomtest(successes, trials).proportion_ci(confidence_level=0.95, method="wilson")
    return float(interval.low), float(interval.high)


def _outcome(
    info: Mapping[str, Any],
    steps: int,
    coarse_pos_error_m: float,
    expected: tuple[float, float] = (np.nan, np.nan),
) -> Outcome:
    return Outcome(
        pos_error_m=float(info["pos_error_m"]),
        cos_error=float(info["cos_error"]),
        success=steps > 0 and bool(info["is_success"]),
        steps=steps,
        max_force_n=float(info.get("max_force_n", 0.0)),
        coarse_pos_error_m=float(coarse_pos_error_m),
        angle_rad=float(np.arccos(np.clip(1.0 - info["cos_error"], -1.0, 1.0))),
        expected_pos_error_m=expected[0],
        expected_angle_rad=expected[1],
    )
