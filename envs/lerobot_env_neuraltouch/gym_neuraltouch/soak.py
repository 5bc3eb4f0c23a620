"""`neuraltouch bench soak`: random actions in every environment for a long time, and what must not happen meanwhile."""

import gc
import itertools
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import draccus
import gymnasium
import numpy as np
from tqdm import tqdm

from lerobot_neuraltouch.report import write_report

from .arm_scene import ROBOTS
from .gripper import TOUCH_PRESS_M
from .making import NAMESPACE, make_task, registered_tasks
from .memory import measure_worker, resident_mb
from .penetration import TOLERANCE_M, Probe
from .wandering import Wanderer

VARIANTS: tuple[dict[str, Any], ...] = (
    {"start": "perturbed"},
    {"start": "perception"},
    {"start": "perturbed", "release": True},
)
"""Rounds of the Refine tasks take these in turn; other tasks have one kind of episode."""


@dataclass(frozen=True, kw_only=True)
class SoakConfig:
    """Act at random in all environments in turn and check them. Lists are comma-separated."""

    minutes: float = 30.0
    """How long; the first round is finished. Memory is judged after the warm-up of three rounds or more."""
    tasks: str = ",".join(registered_tasks())
    """Environments."""
    robots: str = ",".join(ROBOTS)
    """What carries the fingers: gripper, ur5e, ur5."""
    episodes: int = 2
    """Episodes of each task and robot in one round."""
    max_steps: int = 150
    """Longest episode [control steps]."""
    num_objects: int = 2
    """Objects of each task; all are built in the first rounds and cached from then on (up to 64 models)."""
    max_growth_mb: float = 30.0
    """Memory may grow by this much from the end of the warm-up to the end [MB]."""
    seed: int = 0
    """Of objects, starts, noise and actions."""
    output: Path = Path("outputs/bench/soak.json")
    """Report; a picture is drawn beside it."""

    def __post_init__(self) -> None:
        for name, values, known in (
            ("task", self.tasks, registered_tasks()),
            ("robot", self.robots, ROBOTS),
        ):
            unknown = sorted(set(values.split(",")) - set(known))
            if unknown:
                raise ValueError(f"Unknown {name} '{unknown[0]}'. Available: {', '.join(known)}.")
        if min(self.episodes, self.max_steps, self.num_objects) < 1 or self.minutes < 0:
            raise ValueError(
                "episodes, max_steps and num_objects must be at least 1 and minutes at least 0."
            )


@dataclass
class Case:
    """One task under one robot: what its episodes have shown so far."""

    task: str
    robot: str
    episodes: int = 0
    steps: int = 0
    contacts: int = 0
    stops: int = 0
    pad_depth_m: float = -np.inf
    core_depth_m: float = 0.0
    table_depth_m: float = -np.inf
    max_force_n: float = 0.0
    reset_ms: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def row(self) -> dict[str, Any]:
        """The case in the report."""
        return {
            "env": self.task,
            "robot": self.robot,
            "episodes": self.episodes,
            "steps": self.steps,
            "contact_fraction": self.contacts / max(self.steps, 1),
            "protective_stops": self.stops,
            "reset_ms_median": float(np.median(self.reset_ms)) if self.reset_ms else None,
            "pad_depth_mm_max": 1e3 * self.pad_depth_m,
            "core_depth_mm_max": 1e3 * self.core_depth_m,
            "table_depth_mm_max": 1e3 * self.table_depth_m,
            "force_n_max": self.max_force_n,
            "faults": self.faults,
        }


def main() -> None:
    """Random actions in every environment: no NaN, no tunnelling, no growing memory."""
    config = draccus.parse(SoakConfig)
    rows = soak(config)
    write_report(config.output, name="soak", seed=config.seed, config=config, rows=rows)
    draw_picture(rows, config.output.with_suffix(".png"))
    faults = [f"{row['env']}, {row['robot']}: {text}" for row in rows for text in row["faults"]]
    tqdm.write(describe_whole(rows[-1]))
    tqdm.write(f"wrote {config.output}")
    if faults:
        raise SystemExit("\n".join([f"{len(faults)} faults:", *faults[:20]]))


def soak(config: SoakConfig) -> list[dict[str, Any]]:
    """Run the rounds; one row per task and robot, then one of the whole process."""
    pairs = itertools.product(config.tasks.split(","), config.robots.split(","))
    cases = [Case(task, robot) for task, robot in pairs]
    rng = np.random.default_rng(config.seed)
    worker = measure_worker(f"{NAMESPACE}/{cases[0].task}-v0")
    started, memory = time.monotonic(), []

    def is_over() -> bool:
        return bool(memory) and time.monotonic() - started >= 60 * config.minutes

    with tqdm(total=config.minutes, unit="min", bar_format="{l_bar}{bar}| {n:.1f}/{total:.1f} min {postfix}") as bar:  # fmt: skip
        while not is_over():
            for case in cases:
                if is_over():
                    break
                _visit(case, config, len(memory), rng)
                bar.n = min((time.monotonic() - started) / 60, config.minutes)
                bar.set_postfix_str(f"{sum(c.steps for c in cases)} steps")
            gc.collect()
            memory.append(resident_mb())
    for case in cases:
        tqdm.write(describe(case))
    rows = [case.row() for case in cases]
    return [*rows, _whole(cases, memory, worker.resident_mb, worker.private_mb, config)]


def describe(case: Case) -> str:
    """One line of text for a case."""
    row = case.row()
    return (
        f"{case.task:22} {case.robot:7} {case.episodes:5d} episodes {case.steps:7d} steps, in contact "
        f"{row['contact_fraction']:.0%}; pad {row['pad_depth_mm_max']:6.2f} mm deep, core {row['core_depth_mm_max']:5.2f} mm, "
        f"table {row['table_depth_mm_max']:6.2f} mm; {case.max_force_n:5.1f} N, {case.stops} stops; {len(case.faults)} faults"
    )


def describe_whole(row: dict[str, Any]) -> str:
    """One line of text for the whole process."""
    start = row["memory_start_mb"]
    memory = "too few rounds to judge" if start is None else f"{start:.0f} MB after the warm-up"
    return (
        f"{row['rounds']} rounds, {row['episodes']} episodes, {row['steps']} steps; memory {memory}, "
        f"{row['memory_end_mb']:.0f} MB at the end; a worker {row['worker_mb']:.0f} MB, of them its own "
        f"{row['worker_private_mb']:.0f} MB; reset {row['reset_ms_median']:.0f} ms (median, object ready)"
    )


def draw_picture(rows: list[dict[str, Any]], path: Path) -> None:
    """Memory over the rounds, and how deep pads and cores were in objects."""
    import matplotlib.figure

    *cases, whole = rows
    figure = matplotlib.figure.Figure(figsize=(9, 0.25 * len(cases) + 4.5), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=(2, max(len(cases) / 6, 1.5)))
    above.plot(range(1, len(whole["memory_mb"]) + 1), whole["memory_mb"], marker=".")
    above.set(xlabel="round", ylabel="resident memory [MB]", ylim=(0, None))
    names = [f"{row['env']}, {row['robot']}" for row in cases]
    for key, label, shift in (
        ("pad", "pad centre in object", -0.2),
        ("core", "object in core", 0.2),
    ):
        depths = [max(row[f"{key}_depth_mm_max"], 0.0) for row in cases]
        below.barh(np.arange(len(cases)) + shift, depths, height=0.4, label=label)
    below.set_yticks(range(len(cases)), names, fontsize=7)
    below.invert_yaxis()
    below.set_xlabel("deepest [mm]")
    below.legend()
    figure.savefig(path, dpi=120)


def _visit(case: Case, config: SoakConfig, round_number: int, rng: np.random.Generator) -> None:
    """Some episodes in a fresh environment."""
    options = VARIANTS[round_number % len(VARIANTS)] if case.task.startswith("Refine") else {}
    env = make_task(case.task, robot=case.robot, num_objects=config.num_objects, **options)
    for episode in range(config.episodes):
        index = (config.episodes * round_number + episode) % config.num_objects
        env.reset(seed=int(rng.integers(2**31)), options={"object_index": index})
        started = time.perf_counter()
        obs, info = env.reset(options={"object_index": index})  # of an object that is ready
        case.reset_ms.append(1e3 * (time.perf_counter() - started))
        _check(case, env, obs, 0.0)
        _play(case, env, info, config.max_steps, Wanderer(rng))
    env.close()


def _play(
    case: Case, env: gymnasium.Env, info: dict[str, Any], max_steps: int, wanderer: Wanderer
) -> None:
    piece: Any = env.get_wrapper_attr("piece")
    probe = Probe(piece.item.mesh, piece.camera.finger)
    case.episodes += 1
    before = len(case.faults)
    for _ in range(max_steps):
        obs, reward, terminated, truncated, info = env.step(wanderer.act(info["privileged"]))
        case.steps += 1
        diverged = piece.gripper.failure()
        if diverged:
            _fault(case, info, diverged)
            return
        case.stops += bool(piece.gripper.stopped_by)
        _check(case, env, obs, float(reward))
        _look(case, probe, info)
        if terminated or truncated or len(case.faults) > before:
            return


def _check(case: Case, env: gymnasium.Env, obs: Any, reward: float) -> None:
    if obs not in env.observation_space:
        case.faults.append("an observation outside its space")
    parts = (obs["agent_pos"], obs["point_cloud"], reward)
    if not all(np.isfinite(part).all() for part in parts):
        case.faults.append("NaN or infinity in an observation or reward")


def _look(case: Case, probe: Probe, info: dict[str, Any]) -> None:
    truth = info["privileged"]
    depths = probe.measure(truth["T_base_tcp"], truth["T_base_object"], truth["finger_distance_m"])
    case.contacts += bool(np.all(truth["pad_press_m"] > TOUCH_PRESS_M))
    case.pad_depth_m = max(case.pad_depth_m, depths.pad_m)
    case.core_depth_m = max(case.core_depth_m, depths.core_m)
    case.table_depth_m = max(case.table_depth_m, depths.table_m)
    case.max_force_n = max(case.max_force_n, info["max_force_n"])
    limits = {
        "pad centre in the object": (depths.pad_m, probe.max_pad_depth_m),
        "object in a finger's core": (depths.core_m, TOLERANCE_M),
        "finger's core in the table": (depths.table_m, TOLERANCE_M),
    }
    for what, (depth, limit) in limits.items():
        if depth > limit:
            _fault(case, info, f"{what}: {1e3 * depth:.2f} mm, allowed {1e3 * limit:.2f} mm")


def _fault(case: Case, info: dict[str, Any], text: str) -> None:
    case.faults.append(f"object {info['object_index']}, step {case.steps}: {text}")


def _whole(
    cases: list[Case],
    memory: list[float],
    worker_mb: float,
    worker_private_mb: float,
    config: SoakConfig,
) -> dict[str, Any]:
    """The row of the whole process.

    In the first rounds objects are built and caches fill: only what is added after them counts as growth.
    """
    warm_up = len(VARIANTS) * math.ceil(config.num_objects / config.episodes)
    start = memory[warm_up - 1] if len(memory) > warm_up else None
    growth = 0.0 if start is None else memory[-1] - start
    resets = [ms for case in cases for ms in case.reset_ms]
    faults = []
    if growth > config.max_growth_mb:
        faults.append(f"memory grew by {growth:.0f} MB, allowed {config.max_growth_mb:.0f} MB")
    return {
        "env": "all",
        "robot": "all",
        "episodes": sum(case.episodes for case in cases),
        "steps": sum(case.steps for case in cases),
        "reset_ms_median": float(np.median(resets)),
        "rounds": len(memory),
        "memory_mb": memory,
        "warm_up_rounds": warm_up,
        "memory_start_mb": start,
        "memory_end_mb": memory[-1],
        "worker_mb": worker_mb,
        "worker_private_mb": worker_private_mb,
        "faults": faults,
    }
