"""`neuraltouch bench oracle`: how often each task is solved by someone who sees the truth. What it cannot do, no policy can."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import draccus
import gymnasium
import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from tqdm import tqdm

from lerobot_neuraltouch.features import REFINE_TASKS, WHOLE_TASKS, get_task
from lerobot_neuraltouch.report import write_report
from lerobot_neuraltouch.rl.teacher import ServoTeacher

from .arm_scene import ROBOTS
from .episode_log import EpisodeLog, Outcome, Setting
from .options import STARTS
from .oracle import Hand
from .oracle_plans import oracle
from .oracle_replay import demonstrate, replayed
from .refine_env import RefineEnv
from .whole_env import WholeEnv

Array = NDArray[np.float64]

METHODS = ("oracle", "replay")
_IMAGE = 8
"""The smallest touch images: nobody looks at them."""


@dataclass(frozen=True, kw_only=True)
class OracleConfig:
    """Play episodes: whole tasks by the oracle, Refine tasks by the servo teacher. Lists are comma-separated."""

    tasks: str = ",".join(WHOLE_TASKS)
    """Environments."""
    methods: str = "oracle"
    """Who plays whole tasks: oracle, or replay (the oracle's grasp, then its motion in one episode on a training object, open loop)."""
    robots: str = "ur5e"
    """What carries the fingers: gripper, ur5e, ur5."""
    start: str = "perception"
    """Where whole tasks begin: perception (stand-off pose) or perturbed (around the contact). Refine tasks begin perturbed."""
    num_episodes: int = 50
    """Episodes per row."""
    split: str = "test"
    """Stream of shapes: train, val, test, ood."""
    num_objects: int = 64
    """Objects episodes draw from."""
    seed: int = 0
    """Of the first episode; the others count on from there."""
    output: Path = Path("outputs/bench/oracle.json")
    """Report; a picture is drawn beside it, and episodes are written to a .jsonl file as they end."""
    resume: bool = False
    """Go on with a run of this output that was broken off, or with more episodes: those in the .jsonl file are not played again."""

    def __post_init__(self) -> None:
        for name in self.tasks.split(","):
            get_task(name)
        _check_names("method", self.methods, METHODS)
        _check_names("robot", self.robots, ROBOTS)
        _check_names("start", self.start, STARTS)
        if min(self.num_episodes, self.num_objects) < 1:
            raise ValueError("num_episodes and num_objects must be positive.")


def main() -> None:
    """Success of the scripted oracle in each whole task, with 95 % intervals."""
    config = draccus.parse(OracleConfig)
    named = (config.tasks, config.robots, config.methods)
    cases = list(itertools.product(*(names.split(",") for names in named)))
    log = EpisodeLog(config.output.with_suffix(".jsonl"), resume=config.resume)
    rows = []
    with tqdm(total=len(cases) * config.num_episodes, unit="episode") as progress:
        for task, robot, method in cases:
            rows.append(measure_row(config, task, robot, method, log, progress))
            tqdm.write(describe(rows[-1]))
    write_report(config.output, name="oracle", seed=config.seed, config=config, rows=rows)
    draw_picture(rows, config.output.with_suffix(".png"))
    tqdm.write(f"wrote {config.output}")


def measure_row(
    config: OracleConfig, task: str, robot: str, method: str, log: EpisodeLog, progress: tqdm
) -> dict[str, Any]:
    """One row of the report."""
    setting = Setting(
        method="teacher" if task in REFINE_TASKS else method,
        task=task,
        robot=robot,
        start="perturbed" if task in REFINE_TASKS else config.start,
        split=config.split,
        num_objects=config.num_objects,
    )
    stage, outcomes = Stage(setting, config.seed), {}
    for seed in range(config.seed, config.seed + config.num_episodes):
        outcome = log.find(setting, seed)
        if outcome is None:
            outcome = stage.play(seed)
            log.add(setting, seed, outcome)
        outcomes[seed] = outcome
        progress.update()
    return summarise(setting, outcomes)


def summarise(setting: Setting, outcomes: Mapping[int, Outcome]) -> dict[str, Any]:
    """A row: the share of right episodes with its interval, their length and force, and the seeds that were lost."""
    lost = [seed for seed, outcome in outcomes.items() if not outcome.success]
    solved = len(outcomes) - len(lost)
    interval = binomtest(solved, len(outcomes)).proportion_ci(method="wilson")
    return {
        "method": setting.method,
        "task": setting.task,
        "robot": setting.robot,
        "success": solved / len(outcomes),
        "ci95_low": interval.low,
        "ci95_high": interval.high,
        "episodes": len(outcomes),
        "steps_mean": float(np.mean([one.steps for one in outcomes.values()])),
        "max_force_n_p95": float(np.percentile([one.max_force_n for one in outcomes.values()], 95)),
        "lost_seeds": lost,
    }


class Stage:
    """The environment of a setting and who plays in it, made when first needed.

    Args:
        setting: What is played.
        seed: Of the demonstration that is replayed.
    """

    def __init__(self, setting: Setting, seed: int) -> None:
        self._setting, self._seed = setting, seed

    def play(self, seed: int) -> Outcome:
        """Play one episode."""
        info, steps = play(self._env, seed, self._player)
        return Outcome(
            success=info["is_success"],
            steps=steps,
            max_force_n=info["max_force_n"],
            failure=info["failure"],
        )

    @cached_property
    def _env(self) -> Any:
        return _make(self._setting, self._setting.split)

    @cached_property
    def _player(self) -> Callable[[Any], Iterator[Array]]:
        """Actions for an episode that has just begun."""
        if self._setting.method == "teacher":
            return _teacher
        if self._setting.method == "oracle":
            return play_by_oracle
        demonstration = demonstrate(_make(self._setting, "train"), self._seed)
        return lambda env: replayed(env, demonstration)


def play(
    env: RefineEnv | WholeEnv, seed: int, player: Callable[[Any], Iterator[Array]]
) -> tuple[dict[str, Any], int]:
    """Play one episode; the last step's info and the number of steps."""
    env.reset(seed=seed)
    for steps, action in enumerate(player(env), start=1):
        *_, terminated, truncated, info = env.step(action)
        if terminated or truncated:
            return info, steps
    raise AssertionError("players never end")


def play_by_oracle(env: WholeEnv) -> Iterator[Array]:
    """The oracle's actions in an episode, shape (7,) each."""
    return oracle(env, Hand(env))


def describe(row: dict[str, Any]) -> str:
    """One line of text for a row."""
    lost = f"; lost: seeds {', '.join(map(str, row['lost_seeds']))}" if row["lost_seeds"] else ""
    return (
        f"{row['method']:7} {row['task']:19} {row['robot']:7} {row['success']:6.1%} of {row['episodes']}"
        f" ({row['ci95_low']:.1%} .. {row['ci95_high']:.1%}), {row['steps_mean']:.0f} steps{lost}"
    )


def draw_picture(rows: list[dict[str, Any]], path: Path) -> None:
    """Bars of success with their intervals."""
    import matplotlib.figure

    figure = matplotlib.figure.Figure(figsize=(7, 0.5 * len(rows) + 1.2), layout="constrained")
    axes = figure.subplots()
    names = [f"{row['task']}, {row['robot']}, {row['method']}" for row in rows]
    success = np.array([row["success"] for row in rows])
    ends = np.array([[row["ci95_low"], row["ci95_high"]] for row in rows]).T
    axes.barh(names, 100 * success, xerr=100 * np.abs(ends - success), color="#4a7ba6", capsize=3)
    axes.invert_yaxis()
    axes.set_xlim(0, 105)
    axes.set_xlabel("episodes solved by the oracle, 95 % interval [%]")
    figure.savefig(path, dpi=120)


def _make(setting: Setting, split: str) -> Any:
    return gymnasium.make(
        f"gym_neuraltouch/{setting.task}-v0",
        robot=setting.robot,
        start=setting.start,
        split=split,
        num_objects=setting.num_objects,
        noise="off",
        image_size=_IMAGE,
        disable_env_checker=True,
    ).unwrapped


def _teacher(env: RefineEnv) -> Iterator[Array]:
    teacher = ServoTeacher()
    while True:
        yield teacher.act(env.privileged())


def _check_names(what: str, names: str, known: Sequence[str]) -> None:
    unknown = sorted(set(names.split(",")) - set(known))
    if unknown:
        raise ValueError(f"Unknown {what} '{unknown[0]}'. Available: {', '.join(known)}.")
