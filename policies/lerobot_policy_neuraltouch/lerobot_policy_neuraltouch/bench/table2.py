"""`neuraltouch bench table2`: success of whole tasks on the arm, the paper's Table II."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import draccus
import torch
from tqdm import tqdm

from lerobot_neuraltouch import features
from lerobot_neuraltouch.report import write_report
from lerobot_policy_neuraltouch.bench.methods import METHODS, check_choice, make_student
from lerobot_policy_neuraltouch.bench.outcomes import play, success_summary
from lerobot_policy_neuraltouch.bench.paper import TABLE2_SUCCESS
from lerobot_policy_neuraltouch.bench.picture import draw_table2
from lerobot_policy_neuraltouch.training.collect import SEED_STRIDE, make_env


@dataclass(frozen=True, kw_only=True)
class Table2Config:
    """Play whole episodes on unseen shapes: look, touch, replay. Every method gets the same objects, places and noise.

    ndf is the policy without its refiner: it closes the fingers where vision said. rl_touch is the policy without the
    descriptor and needs its own checkpoint.
    """

    method: str = "ndf,neuraltouch"
    """Methods, comma-separated: ndf | rl_touch | no_memory | neuraltouch."""
    task: str = ",".join(TABLE2_SUCCESS["neuraltouch"])
    """Whole tasks, comma-separated; the policies need a skill for each."""
    num_episodes: int = 60
    """Episodes per method and task."""
    start: str = "perception"
    """Where episodes begin: perception (at a stand-off) | perturbed (near the contact)."""
    robot: str = "ur5e"
    """What carries the fingers: ur5e | ur5 | gripper."""
    split: str = "test"
    """Objects: test | val | train. Only test is unseen by everything that was trained or tuned."""
    noise: str = "nominal"
    """Noise of the sensors: nominal | off."""
    calibration: str = "paper"
    """Camera-pose error: exact | paper (about 12 mm of coarse error)."""
    in_sight: bool = False
    """With start=perception, look until the camera shows the contact; otherwise a handle may be hidden from it."""
    policy: str | None = None
    """Checkpoint of all methods but rl_touch; without it, the shipped one."""
    rl_touch_policy: str | None = None
    """Checkpoint of rl_touch, trained without the descriptor."""
    device: str = "cpu"
    """Where policies run."""
    num_envs: int = 6
    """Episodes side by side, sharing a policy's batch."""
    seed: int = 0
    """Of objects, places and noise."""
    output: Path = Path("outputs/bench/table2.json")
    """Report; a picture with the paper's figures is drawn beside it."""

    def __post_init__(self) -> None:
        check_choice("method", self.methods, METHODS)
        check_choice("task", self.tasks, tuple(features.WHOLE_TASKS))
        if "rl_touch" in self.methods and self.rl_touch_policy is None:
            raise ValueError("Method rl_touch needs --rl-touch-policy.")
        if self.num_episodes < 1 or self.num_envs < 1:
            raise ValueError("num_episodes and num_envs must be at least 1.")

    @property
    def methods(self) -> list[str]:
        """The methods by name."""
        return [name.strip() for name in self.method.split(",")]

    @property
    def tasks(self) -> list[str]:
        """The tasks by name."""
        return [name.strip() for name in self.task.split(",")]


def main() -> None:
    """Success of whole tasks on the arm, the paper's Table II."""
    config = draccus.parse(Table2Config)
    rows = run(config)
    write_report(
        config.output,
        name="table2",
        seed=config.seed,
        config=config,
        rows=rows,
        device=config.device,
    )
    picture = draw_table2(rows, config.output.with_suffix(".png"))
    tqdm.write(f"wrote {config.output} and {picture}")


def run(config: Table2Config) -> list[dict[str, Any]]:
    """The rows of the report: for each task, one per method."""
    torch.set_num_threads(1 if config.device == "cpu" else torch.get_num_threads())
    rows = []
    cases = [(task, method) for task in config.tasks for method in config.methods]
    with tqdm(total=len(cases) * config.num_episodes, unit="episode") as bar:
        for name, method in cases:
            bar.set_description(f"{method} {name}")
            outcomes = play(
                partial(make_env, name, **_env_kwargs(config)),
                features.get_task(name),
                [config.seed * SEED_STRIDE + i for i in range(config.num_episodes)],
                make_student(
                    method,
                    policy=config.policy,
                    rl_touch_policy=config.rl_touch_policy,
                    device=config.device,
                ),
                num_envs=config.num_envs,
                on_round=bar.update,
            )
            row = {"method": method, "task": name, **success_summary(outcomes)}
            rows.append(row)
            tqdm.write(
                f"{method:12} {name:20} {row['success']:.0%} "
                f"({row['ci95_low']:.0%}-{row['ci95_high']:.0%}) of {row['episodes']}"
            )
    return rows


def _env_kwargs(config: Table2Config) -> dict[str, Any]:
    return {
        "start": config.start,
        "split": config.split,
        "noise": config.noise,
        "calibration": config.calibration,
        "in_sight": config.in_sight,
        "robot": config.robot,
    }
