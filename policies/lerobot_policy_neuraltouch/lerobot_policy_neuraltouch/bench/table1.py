"""`neuraltouch bench table1`: errors after the grasp on unseen shapes, the paper's Table I."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import draccus
import torch
from tqdm import tqdm

from lerobot_neuraltouch import features
from lerobot_neuraltouch.report import write_report
from lerobot_policy_neuraltouch.bench.methods import METHODS, check_choice, make_student
from lerobot_policy_neuraltouch.bench.outcomes import play, summary
from lerobot_policy_neuraltouch.bench.picture import draw_table1
from lerobot_policy_neuraltouch.training.collect import SEED_STRIDE, make_env
from lerobot_policy_neuraltouch.training.student import Student

STARTS = ("perturbed", "perception")


@dataclass(frozen=True, kw_only=True)
class Table1Config:
    """Measure grasps on unseen shapes. Every method gets the same objects, starts and noise.

    ndf is vision alone: with --start=perception the policy without its refiner; with --start=perturbed the error of
    the start itself, nothing is played. rl_touch is the policy without the descriptor and needs its own checkpoint. no_memory follows the refiner's latest output alone.
    """

    method: str = "ndf,neuraltouch"
    """Methods, comma-separated: ndf | rl_touch | no_memory | neuraltouch."""
    feature: str = ",".join(task.feature for task in features.TASKS.values())
    """Contact features, comma-separated; those that no refiner was trained on, handle_bar and lid_from_side, need a policy with skills
    for them."""
    num_episodes: int = 100
    """Episodes per method and feature."""
    start: str = "perturbed"
    """Where episodes begin: perturbed (near the contact) | perception (at a stand-off, depth camera and NDF)."""
    split: str = "test"
    """Objects: test | val | train. Only test is unseen by everything that was trained or tuned."""
    noise: str = "nominal"
    """Noise of the sensors: nominal | off."""
    calibration: str = "exact"
    """Camera-pose error: exact | paper (about 12 mm of coarse error)."""
    in_sight: bool = False
    """With start=perception, look until the camera shows the contact; otherwise a handle may be hidden from it."""
    object: Path | None = None
    """A user's object (YAML) in place of the generated ones."""
    task_text: str | None = None
    """Text given to the policies in place of the tasks' own; selects a skill that was added under that text."""
    policy: str | None = None
    """Checkpoint of all methods but rl_touch; without it, the shipped one."""
    rl_touch_policy: str | None = None
    """Checkpoint of rl_touch, trained with --policy.condition_on_descriptor=false."""
    device: str = "cpu"
    """Where policies run."""
    num_envs: int = 10
    """Episodes side by side, sharing a policy's batch."""
    seed: int = 0
    """Of objects, starts and noise."""
    output: Path = Path("outputs/bench/table1.json")
    """Report; a picture with the paper's figures is drawn beside it."""

    def __post_init__(self) -> None:
        check_choice("method", self.methods, METHODS)
        check_choice(
            "feature", self.feature_names, tuple(t.feature for t in features.REFINE_TASKS.values())
        )
        check_choice("start", [self.start], STARTS)
        if "rl_touch" in self.methods and self.rl_touch_policy is None:
            raise ValueError(
                "Method rl_touch needs --rl-touch-policy: a checkpoint trained with "
                "--policy.condition_on_descriptor=false on the same data."
            )
        if self.num_episodes < 1 or self.num_envs < 1:
            raise ValueError("num_episodes and num_envs must be at least 1.")

    @property
    def methods(self) -> list[str]:
        """The methods by name."""
        return [name.strip() for name in self.method.split(",")]

    @property
    def feature_names(self) -> list[str]:
        """The features by name."""
        return [name.strip() for name in self.feature.split(",")]


def main() -> None:
    """Errors after the grasp on unseen shapes, the paper's Table I."""
    config = draccus.parse(Table1Config)
    rows = run(config)
    write_report(
        config.output,
        name="table1",
        seed=config.seed,
        config=config,
        rows=rows,
        device=config.device,
    )
    picture = draw_table1(rows, config.output.with_suffix(".png"), start=config.start)
    for row in rows:
        tqdm.write(
            f"{row['method']:12} {row['feature']:20} {row['pos_mm_mean']:6.2f} mm  {row['cos_mean']:.5f}  "
            f"{row['success']:.0%} successful  {row['steps_mean']:.0f} steps"
        )
    tqdm.write(f"wrote {config.output} and {picture}")


def run(config: Table1Config) -> list[dict[str, Any]]:
    """The rows of the report: for each feature, one per method."""
    torch.set_num_threads(1 if config.device == "cpu" else torch.get_num_threads())
    rows = []
    with tqdm(
        total=len(config.methods) * len(config.feature_names) * config.num_episodes, unit="episode"
    ) as bar:
        students = {method: _student(method, config) for method in config.methods}
        for feature in config.feature_names:
            task = features.task_of_feature(feature)
            task = replace(task, text=config.task_text or task.text)
            for method in config.methods:
                bar.set_description(f"{method} {feature}")
                outcomes = play(
                    partial(make_env, task.name, **_env_kwargs(config)),
                    task,
                    [config.seed * SEED_STRIDE + i for i in range(config.num_episodes)],
                    students[method],
                    num_envs=config.num_envs,
                    on_round=bar.update,
                )
                rows.append({"method": method, "feature": feature, **summary(outcomes)})
    return rows


def _student(method: str, config: Table1Config) -> Student | None:
    if method == "ndf" and config.start == "perturbed":
        return None
    # Errors are read at the grasp: a lift that never felt the object would count as error.
    overrides = ["--replay=false"]
    if config.start == "perturbed":
        overrides.append("--coarse.mode=skip")
    return make_student(
        method,
        policy=config.policy,
        rl_touch_policy=config.rl_touch_policy,
        device=config.device,
        overrides=overrides,
    )


def _env_kwargs(config: Table1Config) -> dict[str, Any]:
    return {
        "start": config.start,
        "split": config.split,
        "object_path": None if config.object is None else str(config.object),
        "noise": config.noise,
        "calibration": config.calibration,
        "in_sight": config.in_sight,
    }
