"""`neuraltouch bench throughput`: environment steps per second, resets included, under the servo teacher."""

import itertools
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import draccus
import gymnasium
import numpy as np
from tqdm import tqdm

from lerobot_neuraltouch.features import TASKS, get_task
from lerobot_neuraltouch.report import write_report
from lerobot_neuraltouch.rl.teacher import ServoTeacher, ServoTeacherConfig
from lerobot_neuraltouch.tactile import TactileCamera

from .arm_scene import ROBOTS
from .gripper import TOUCH_PRESS_M, Gripper
from .refine_env import RefineEnv


@dataclass(frozen=True, kw_only=True)
class ThroughputConfig:
    """Time perturbed episodes under the teacher. Lists are comma-separated."""

    tasks: str = ",".join(sorted(name for name in TASKS if name.startswith("Refine")))
    """Environments."""
    robots: str = "gripper"
    """What carries the fingers: gripper, ur5e, ur5."""
    images: str = "64,128"
    """Sizes of the two touch images [pixels]."""
    processes: str = "1"
    """Numbers of worker processes, each with its own environments."""
    num_envs: int = 1
    """Environments in each process, stepped one after the other."""
    num_objects: int = 8
    """Objects episodes draw from; building them is not timed."""
    seconds: float = 20.0
    """Time per row [s]."""
    seed: int = 0
    """Of objects, starts and noise."""
    output: Path = Path("outputs/bench/throughput.json")
    """Report; a picture is drawn beside it."""

    def __post_init__(self) -> None:
        for name in self.tasks.split(","):
            get_task(name)
        if min(_numbers(self.images)) < 8:
            raise ValueError(f"images must be at least 8 pixels wide, got {self.images}.")
        unknown = set(self.robots.split(",")) - set(ROBOTS)
        if unknown:
            raise ValueError(f"Unknown robot '{min(unknown)}'. Available: {', '.join(ROBOTS)}.")
        counts = (*_numbers(self.processes), self.num_envs, self.num_objects)
        if min(counts) < 1 or self.seconds <= 0:
            raise ValueError("processes, num_envs, num_objects and seconds must be positive.")


def main() -> None:
    """Environment steps per second with both touch images, per process."""
    config = draccus.parse(ThroughputConfig)
    # One thread each: the number is per process, and workers share the cores.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    cases = list(
        itertools.product(
            config.tasks.split(","),
            config.robots.split(","),
            _numbers(config.images),
            _numbers(config.processes),
        )
    )
    rows = []
    for task, robot, image, processes in tqdm(cases, unit="row"):
        rows.append(time_row(config, task, robot, image, processes))
        tqdm.write(describe(rows[-1]))
    write_report(config.output, name="throughput", seed=config.seed, config=config, rows=rows)
    draw_picture(rows, config.output.with_suffix(".png"))
    tqdm.write(f"wrote {config.output}")


def time_row(
    config: ThroughputConfig, task: str, robot: str, image: int, processes: int
) -> dict[str, Any]:
    """One row of the report: `processes` workers at once."""
    jobs = [(config, task, robot, image, worker) for worker in range(processes)]
    if processes == 1:
        results = [_work(*jobs[0])]
    else:
        with multiprocessing.get_context("spawn").Pool(processes) as pool:
            results = pool.starmap(_work, jobs)
    steps = sum(result["steps"] for result in results)
    seconds = {
        key: sum(r[key] for r in results)
        for key in ("physics", "rays", "reset", "resets", "total", "cpu")
    }
    rest = seconds["total"] - seconds["physics"] - seconds["rays"] - seconds["reset"]
    return {
        "env": task,
        "robot": robot,
        "image": image,
        "num_envs": config.num_envs,
        "processes": processes,
        "contact_fraction": sum(result["contacts"] for result in results) / steps,
        "steps_per_s": sum(result["steps"] / result["total"] for result in results),
        "steps_per_cpu_s": steps / seconds["cpu"],
        "reset_ms": 1e3 * seconds["reset"] / max(seconds["resets"], 1),
        "load_average": os.getloadavg()[0],
        "physics_share": seconds["physics"] / seconds["total"],
        "rays_share": seconds["rays"] / seconds["total"],
        "reset_share": seconds["reset"] / seconds["total"],
        "rest_share": rest / seconds["total"],
    }


def describe(row: dict[str, Any]) -> str:
    """One line of text for a row."""
    shares = "  ".join(
        f"{name} {row[f'{name}_share']:.0%}" for name in ("physics", "rays", "reset", "rest")
    )
    return (
        f"{row['env']:22} {row['robot']:7} {row['image']:4d} px  {row['processes']} x {row['num_envs']} envs: {row['steps_per_s']:6.0f} steps/s"
        f"  ({row['steps_per_cpu_s']:.0f} per s of processor time), in contact {row['contact_fraction']:.0%};  {shares};"
        f"  {row['reset_ms']:.0f} ms per reset; load average {row['load_average']:.1f}"
    )


def draw_picture(rows: list[dict[str, Any]], path: Path) -> None:
    """Bars of steps per second."""
    import matplotlib.figure

    figure = matplotlib.figure.Figure(figsize=(7, 0.6 * len(rows) + 1.2), layout="constrained")
    axes = figure.subplots()
    names = [
        f"{row['env']}, {row['robot']}, {row['image']} px, {row['processes']} proc." for row in rows
    ]
    bars = axes.barh(names, [row["steps_per_s"] for row in rows], color="#4a7ba6")
    axes.bar_label(bars, fmt="%.0f", padding=3)
    axes.axvline(500, color="black", linestyle=":", linewidth=1)
    axes.invert_yaxis()
    axes.set_xlabel("environment steps per second (dotted: goal per process at 64 px)")
    figure.savefig(path, dpi=120)


def _work(
    config: ThroughputConfig, task: str, robot: str, image: int, worker: int
) -> dict[str, float]:
    """Run one worker's environments for the configured time."""
    envs = [
        gymnasium.make(
            f"gym_neuraltouch/{task}-v0",
            image_size=image,
            robot=robot,
            num_objects=config.num_objects,
            disable_env_checker=True,
        ).unwrapped
        for _ in range(config.num_envs)
    ]
    players = [_Player(env, config.seed + 1000 * worker + i) for i, env in enumerate(envs)]
    for player in players:
        player.build_objects(config.num_objects)
    with (
        _stopwatch(Gripper, "drive") as physics,
        _stopwatch(TactileCamera, "picture") as rays,
        _stopwatch(RefineEnv, "reset") as reset,
    ):
        started, cpu_started = time.perf_counter(), time.process_time()
        while time.perf_counter() - started < config.seconds:
            for player in players:
                player.step()
        total, cpu = time.perf_counter() - started, time.process_time() - cpu_started
    return {
        "steps": sum(player.steps for player in players),
        "contacts": sum(player.contacts for player in players),
        "physics": physics(),
        "rays": rays(),
        "reset": reset(),
        "resets": sum(player.resets for player in players),
        "total": total,
        "cpu": cpu,
    }


_TEACHER = ServoTeacherConfig(close_m=0.0025)
"""Closes a little faster, so that more than half of the steps are in contact."""


class _Player:
    """One environment under the teacher, reset whenever it ends."""

    def __init__(self, env: Any, seed: int) -> None:
        self.env, self.teacher = env, ServoTeacher(_TEACHER)
        self.steps = self.contacts = self.resets = 0
        _, self.info = env.reset(seed=seed)

    def build_objects(self, num_objects: int) -> None:
        for index in range(num_objects):
            _, self.info = self.env.reset(options={"object_index": index})

    def step(self) -> None:
        action = self.teacher.act(self.info["privileged"])
        *_, terminated, truncated, self.info = self.env.step(action)
        self.steps += 1
        self.contacts += bool(np.all(self.info["privileged"]["pad_press_m"] > TOUCH_PRESS_M))
        if terminated or truncated:
            _, self.info = self.env.reset()
            self.resets += 1


@contextmanager
def _stopwatch(owner: type, name: str) -> Iterator[Callable[[], float]]:
    """Add up the time spent in a method [s]; the yielded function tells it."""
    original = getattr(owner, name)
    spent = 0.0

    def timed(*args: Any, **kwargs: Any) -> Any:
        nonlocal spent
        started = time.perf_counter()
        try:
            return original(*args, **kwargs)
        finally:
            spent += time.perf_counter() - started

    setattr(owner, name, timed)
    try:
        yield lambda: spent
    finally:
        setattr(owner, name, original)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in str(text).split(","))
