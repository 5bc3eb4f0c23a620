"""The loop of `neuraltouch train-refiner`: gather, learn, look at validation objects, save, go on after an interruption."""

import csv
import json
import shutil
import time
from collections import deque
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import draccus
import numpy as np
import torch
from lerobot.common.wandb_utils import WandBLogger
from lerobot.configs import PreTrainedConfig
from tqdm import tqdm

from lerobot_neuraltouch import features
from lerobot_neuraltouch.rl.replay import Replay
from lerobot_policy_neuraltouch.bench.outcomes import Outcome, play, summary
from lerobot_policy_neuraltouch.bench.sample_efficiency import LEARNING_CURVE
from lerobot_policy_neuraltouch.checkpoint import assemble, save_checkpoint
from lerobot_policy_neuraltouch.modeling_neuraltouch import NeuralTouchPolicy
from lerobot_policy_neuraltouch.shipped import shipped_path
from lerobot_policy_neuraltouch.training.collect import SEED_STRIDE, make_env
from lerobot_policy_neuraltouch.training.online.contacts import ContactBank
from lerobot_policy_neuraltouch.training.online.experience import Ended, Experience
from lerobot_policy_neuraltouch.training.online.learner import Learner
from lerobot_policy_neuraltouch.training.online.rollout import make_rollout
from lerobot_policy_neuraltouch.training.online.settings import (
    NetworkSettings,
    TrainRefinerConfig,
)
from lerobot_policy_neuraltouch.training.online.wandb_log import make_logger
from lerobot_policy_neuraltouch.training.student import Student

TRAINING_CONFIG = "train_refiner.json"
"""The settings, beside the learning curve in the output folder and in its checkpoints."""
_RECENT = 100
"""Episodes behind the progress bar's success rate."""
_NEW_FRAMES = 1500
"""Frames that count as new in log.csv."""
_LOG_EVERY_S = 30.0
"""Between two rows of log.csv [s]."""


def train(config: TrainRefinerConfig) -> Path:
    """Train until `config.env_steps` have been played.

    Returns:
        The last checkpoint.

    Raises:
        ValueError: If the output folder holds a training and `resume` is false, or there is none to resume, or the policy
            lacks a skill for a task.
    """
    return Trainer(config).run()


class Trainer:
    """One training."""

    def __init__(self, config: TrainRefinerConfig):
        self.config = config
        self.folder = config.output
        self._last = self.folder / "checkpoints" / "last"
        begun = (self._last / "training_state").exists()
        if begun and not config.resume:
            raise ValueError(
                f"{self.folder} holds a training: --resume=true goes on with it, another --output begins anew."
            )
        if config.resume and not begun:
            raise ValueError(f"There is no training to resume in {self.folder}.")
        torch.manual_seed(config.seed)
        torch.set_num_threads(config.threads)
        self.policy = self._resumed_policy() if begun else self._new_policy()
        self._check_skills()
        size = self.policy.config.tactile_size
        memory = Replay(config.capacity, size, self.folder / "memory")
        skills = self.policy.skills.all()
        bank = ContactBank(skills, self.policy.field, config.play.beside, config.seed)
        self.learner = Learner(self.policy, memory, bank, config.learn, config.seed)
        self.counters: dict[str, float] = {
            "env_steps": 0,
            "wall_s": 0.0,
            "episodes": 0,
            "starts": 0,
            "best": -1.0,
        }
        if begun:
            self.counters |= self.learner.load(self._last / "training_state")
        self._wandb: WandBLogger | None = None
        self._recent: deque[Ended] = deque(maxlen=_RECENT)
        self._losses: dict[str, float] = {}
        self._logged_s = 0.0

    def run(self) -> Path:
        """Train to the end; an interruption loses what came after the last checkpoint."""
        config, counters = self.config, self.counters
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / TRAINING_CONFIG).write_text(json.dumps(draccus.encode(config), indent=2))
        # Workers of a resumed training are new ones: they draw other episodes than those before them.
        first_worker = int(counters["starts"]) * config.num_workers
        counters["starts"] += 1
        self._save()
        self._wandb = make_logger(config, self.policy.config)
        rollout = make_rollout(config, self._last / "pretrained_model", first_worker)
        self._clock = time.monotonic() - counters["wall_s"]
        try:
            with tqdm(
                total=config.env_steps, initial=int(counters["env_steps"]), unit="step"
            ) as bar:
                rollout.publish(self.learner.weights(), config.stage(counters["env_steps"]))
                while counters["env_steps"] < config.env_steps:
                    before = counters["env_steps"]
                    self._take(rollout.collect(wait=True))
                    while (more := rollout.collect(wait=False)) is not None:
                        self._take(more)
                    self._learn(bar)
                    rollout.publish(self.learner.weights(), config.stage(counters["env_steps"]))
                    bar.update(int(counters["env_steps"] - before))
                    self._keep(before)
        finally:
            rollout.close()
        self._save()
        if self._wandb is not None:
            self._wandb.log_policy(self._last)
        return self._last / "pretrained_model"

    # --- gathering and learning --------------------------------------------------------------------------------------

    def _take(self, experience: Experience | None) -> None:
        assert experience is not None
        for segment in experience.segments:
            self.learner.memory.add(segment)
        self.counters["env_steps"] += experience.env_steps
        self.counters["episodes"] += len(experience.ended)
        self._recent.extend(experience.ended)

    def _learn(self, bar: tqdm) -> None:
        """As many updates as the steps so far ask for."""
        config = self.config
        if not len(self.learner.memory):
            return
        wanted = int(self.counters["env_steps"] * config.learn.updates_per_step)
        progress = self.counters["env_steps"] / config.env_steps
        while self.learner.updates < wanted:
            for name, value in self.learner.learn(progress).items():
                self._losses[name] = 0.99 * self._losses.get(name, value) + 0.01 * value
        if self._recent:
            success = np.mean([ended.success for ended in self._recent])
            imitation = self._losses.get("imitation", np.nan)
            bar.set_postfix_str(f"imitation {imitation:.3f}, {success:.0%} successful")
        self._log()

    # --- keeping -----------------------------------------------------------------------------------------------------

    def _keep(self, before: float) -> None:
        """Save and evaluate where a multiple of the intervals was passed."""
        now, config = self.counters["env_steps"], self.config
        due = before // config.eval_every < now // config.eval_every or now >= config.env_steps
        if due or before // config.save_every < now // config.save_every:
            self._save()
        if due and config.eval_episodes:
            self._evaluate()

    def _save(self) -> None:
        self.counters["wall_s"] = self._wall_s()
        fresh = self._last.with_name(".new")
        shutil.rmtree(fresh, ignore_errors=True)
        current = {k: v.clone() for k, v in self.policy.refiner.state_dict().items()}
        self.policy.refiner.load_state_dict(dict(self.learner.weights()["refiner"]))
        save_checkpoint(self.policy, fresh / "pretrained_model")
        self.policy.refiner.load_state_dict(current)
        self._add_records(fresh / "pretrained_model")
        self.learner.save(fresh / "training_state", self.counters)
        old = self._last.with_name(".old")
        shutil.rmtree(old, ignore_errors=True)
        if self._last.exists():
            self._last.rename(old)
        fresh.rename(self._last)
        shutil.rmtree(old, ignore_errors=True)

    def _add_records(self, model: Path) -> None:
        """Put beside the weights how they came about."""
        for name in (LEARNING_CURVE, TRAINING_CONFIG):
            if (self.folder / name).exists():
                shutil.copyfile(self.folder / name, model / name)

    def _wall_s(self) -> float:
        return (
            time.monotonic() - self._clock if hasattr(self, "_clock") else self.counters["wall_s"]
        )

    def _evaluate(self) -> None:
        """Play validation objects with the saved policy; keep it if it is the best so far."""
        config = self.config
        model = self._last / "pretrained_model"
        student = Student(model, overrides=["--replay=false", "--coarse.mode=skip"])
        row: dict[str, Any] = {
            name: round(self.counters[name], 1) for name in ("env_steps", "wall_s", "episodes")
        }
        row["updates"] = self.learner.updates
        scores, outcomes = [], []
        for name in config.play.task_names:
            task = features.get_task(name, features.REFINE_TASKS)
            make = partial(make_env, name, start="perturbed", split="val")
            seeds = [config.seed * SEED_STRIDE + i for i in range(config.eval_episodes)]
            played = play(make, task, seeds, student, num_envs=config.eval_episodes)
            outcomes += played
            found = summary(played)
            scores.append(found["success"] - 0.1 * min(found["pos_mm_mean"], 5.0))
            for column in ("pos_mm_mean", "cos_mean", "success", "max_force_n_p95"):
                row[f"{task.feature}_{column}"] = found[column]
            tqdm.write(
                f"{int(self.counters['env_steps']):8} {task.feature:20} {found['pos_mm_mean']:6.2f} mm "
                f"{found['cos_mean']:.5f}  {found['success']:.0%} successful  {found['max_force_n_p95']:.1f} N"
            )
        _append(self.folder / LEARNING_CURVE, row)
        self._log_to_wandb(row, "eval")
        self._calibrate(outcomes)
        if (score := float(np.mean(scores))) > self.counters["best"]:
            self.counters["best"] = score
            best = self._last.with_name("best")
            shutil.rmtree(best, ignore_errors=True)
            shutil.copytree(model, best / "pretrained_model")
            self._add_records(best / "pretrained_model")

    def _calibrate(self, outcomes: list[Outcome]) -> None:
        """Let later checkpoints expect errors as large as these were, in the mean."""
        fine = self.policy.config.fine
        actual, expected = (
            np.array(
                [(getattr(o, f"{own}pos_error_m"), getattr(o, f"{own}angle_rad")) for o in outcomes]
            )
            for own in ("", "expected_")
        )
        known = np.isfinite(expected).all(1)
        if known.any():
            position, angle = actual[known].mean(0) / np.maximum(expected[known].mean(0), 1e-9)
            self.policy.config.fine = replace(
                fine,
                expected_position_scale=float(fine.expected_position_scale * position),
                expected_angle_scale=float(fine.expected_angle_scale * angle),
            )

    def _log(self) -> None:
        if self._wall_s() - self._logged_s < _LOG_EVERY_S:
            return
        self._logged_s = self._wall_s()
        recent, stage = self._recent, self.config.stage(self.counters["env_steps"])
        row = {
            "env_steps": self.counters["env_steps"],
            "wall_s": round(self._logged_s, 1),
            "updates": self.learner.updates,
            "episodes": self.counters["episodes"],
            "teacher_share": round(stage.teacher_share, 3),
            "start_share": round(stage.start_share, 3),
            "success": np.mean([e.success for e in recent]) if recent else np.nan,
            "pos_mm_median": 1e3 * np.median([e.pos_error_m for e in recent]) if recent else np.nan,
            "episode_steps": np.mean([e.steps for e in recent]) if recent else np.nan,
            "max_force_n": np.mean([e.max_force_n for e in recent]) if recent else np.nan,
            "reinforcement": self.learner.algorithm.reinforcement,
            **{
                name: self._losses.get(name, np.nan)
                for name in ("imitation", "estimate", "loss_critic", "loss_actor", "temperature")
            },
            **self.learner.look_at_new(_NEW_FRAMES),
        }
        _append(self.folder / "log.csv", {k: f"{v:.6g}" for k, v in row.items()})
        self._log_to_wandb(row, "train")

    def _log_to_wandb(self, row: dict[str, Any], mode: str) -> None:
        if self._wandb is not None:
            plain = {name: float(value) for name, value in row.items()}
            self._wandb.log_dict(plain, step=int(self.counters["env_steps"]), mode=mode)

    # --- beginning ---------------------------------------------------------------------------------------------------

    def _resumed_policy(self) -> NeuralTouchPolicy:
        return _load(self._last / "pretrained_model", self.config.device)

    def _new_policy(self) -> NeuralTouchPolicy:
        config = self.config
        source = _load(Path(config.policy) if config.policy else shipped_path(), config.device)
        if config.keep_refiner:
            if config.network != NetworkSettings():
                raise ValueError(
                    "--keep-refiner goes on with a network that there is: its sizes cannot be set by --network."
                )
            return source
        for name, value in vars(config.network).items():
            setattr(source.config, name, value)
        return assemble(source.config, source.field, source.skills.all())

    def _check_skills(self) -> None:
        known = self.policy.skills.tasks
        missing = [text for text in self.config.play.texts if text not in known]
        if missing:
            raise ValueError(
                f"The policy has no skill for '{missing[0]}'; it has {', '.join(map(repr, known))}. Make one with "
                "`neuraltouch skill`, or choose --play.task."
            )


def _load(path: Path, device: str) -> NeuralTouchPolicy:
    if not (path / "config.json").exists():
        raise ValueError(f"{path} is no policy checkpoint: it has no config.json.")
    config = PreTrainedConfig.from_pretrained(path, cli_overrides=[f"--device={device}"])
    return NeuralTouchPolicy.from_pretrained(path, config=config)


def _append(path: Path, row: dict[str, Any]) -> None:
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)
