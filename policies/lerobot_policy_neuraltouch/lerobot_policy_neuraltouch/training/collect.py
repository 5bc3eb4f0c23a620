"""`neuraltouch collect`: record labelled rollouts as a LeRobotDataset."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import draccus
import gymnasium as gym
from tqdm import tqdm

from lerobot_neuraltouch import features
from lerobot_policy_neuraltouch.training.episode_writer import EpisodeWriter
from lerobot_policy_neuraltouch.training.expert import LiftConfig
from lerobot_policy_neuraltouch.training.frames import dataset_features
from lerobot_policy_neuraltouch.training.rollout import Disturbance, Recorded, run_round
from lerobot_policy_neuraltouch.training.student import Student

SEED_STRIDE = 1_000_003
"""Episode i of a run with seed s is seeded s * SEED_STRIDE + i: runs with different seeds share no episode."""


@dataclass(frozen=True, kw_only=True)
class DatasetTarget:
    """Where the episodes go."""

    repo_id: str = "local/neuraltouch"
    """Name of the dataset, user/name. Nothing is uploaded."""
    root: Path = Path("outputs/collect")
    """Folder of the dataset itself."""


@dataclass(frozen=True, kw_only=True)
class CollectConfig:
    """Record rollouts labelled by the privileged teacher. Units: metres, radians, seconds.

    Being killed costs the episode that runs (with a policy: the --num-envs episodes that run side by side);
    --resume=true goes on where the dataset ends and records what an undisturbed run would have.
    """

    task: str = "RefineMugRim,RefineBottleHead"
    """Tasks, comma-separated; episodes take turns. Whole tasks are shown from beginning to end: demonstrations for `neuraltouch skill`."""
    num_episodes: int = 100
    """Episodes the dataset is to have in the end, those it has already included."""
    dataset: DatasetTarget = field(default_factory=DatasetTarget)
    """Where the episodes go."""
    resume: bool = False
    """Add to the dataset if there is one already."""
    seed: int = 0
    """Of all draws; the same seed gives the same episodes."""
    split: str = "train"
    """Objects to take: train | val | test."""
    num_objects: int = 500
    """Number of different objects per task; the more, the better unseen ones are grasped."""
    object: Path | None = None
    """A user's object (YAML) in place of the generated ones."""
    start: str = "perturbed"
    """Where episodes begin: perturbed (near the contact) | perception (at a stand-off; needs --policy)."""
    noise: str = "nominal"
    """Noise of the sensors: nominal | off."""
    calibration: str = "exact"
    """Camera-pose error: exact | paper."""
    image_size: int = features.TACTILE_SIZE
    """Height and width of the touch images [pixels]."""
    cloud: bool = False
    """Store the point cloud in every frame; skills need it, training does not."""
    release: bool = False
    """Let the object go after the grasp and show the lift: a demonstration for `neuraltouch skill`."""
    lift: LiftConfig = field(default_factory=LiftConfig)
    """That motion."""
    policy: str | None = None
    """Checkpoint whose actions are executed while the teacher labels them (DAgger); without it, the teacher acts."""
    policy_device: str = "cpu"
    """Where the policy runs."""
    beta: float = 0.0
    """Probability that at a given step the teacher acts in the policy's place."""
    num_envs: int = 8
    """With a policy: episodes side by side, sharing its batch."""
    disturbance: Disturbance = field(default_factory=Disturbance)
    """Pushes while the teacher acts."""

    def __post_init__(self) -> None:
        if self.num_episodes < 1 or self.num_envs < 1:
            raise ValueError("num_episodes and num_envs must be at least 1.")
        if not 0.0 <= self.beta <= 1.0:
            raise ValueError(f"beta is a probability, got {self.beta}.")
        if self.policy is None and self.start != "perturbed":
            raise ValueError(
                "The teacher knows only the last centimetres: --start=perception needs --policy, whose coarse phase "
                "leads there."
            )
        for name in self.task_names:
            # Only a grasp has a teacher who can label what somebody else does.
            features.get_task(
                name,
                features.REFINE_TASKS
                if self.policy is not None
                else features.REFINE_TASKS | features.WHOLE_TASKS,
            )

    @property
    def task_names(self) -> list[str]:
        """The tasks by name."""
        return [name.strip() for name in self.task.split(",")]


def main() -> None:
    """Record teacher or policy rollouts, labelled by the teacher, as a LeRobotDataset."""
    collect(draccus.parse(CollectConfig))


def collect(config: CollectConfig) -> dict[str, float]:
    """Record until the dataset has `config.num_episodes` episodes.

    Returns:
        Episodes and frames recorded by this call, and their share of successes.

    Raises:
        ValueError: If there is a dataset and `resume` is false.
    """
    student = None
    if config.policy is not None:
        student = Student(
            config.policy, device=config.policy_device, overrides=["--coarse.doubt=warn"]
        )
    writer = EpisodeWriter(
        config.dataset.repo_id,
        config.dataset.root,
        dataset_features(config.image_size, cloud=config.cloud),
        features.CONTROL_HZ,
        resume=config.resume,
    )
    first, frames_before, successes = writer.num_episodes, writer.num_frames, 0
    pool = _EnvPool(config)
    size = config.num_envs if student is not None else 1
    with tqdm(total=config.num_episodes, initial=first, unit="episode", desc="collect") as bar:
        while writer.num_episodes < config.num_episodes:
            stop = min(config.num_episodes, writer.num_episodes + size)
            for episode in _round(config, pool, student, range(writer.num_episodes, stop)):
                writer.save(episode.frames, episode.task.text)
                successes += bool(episode.info.get("is_success", False))
                share = successes / (writer.num_episodes - first)
                bar.set_postfix_str(f"{writer.num_frames} frames, {share:.0%} successful")
                bar.update()
    writer.close()
    pool.close()
    done = writer.num_episodes - first
    return {
        "episodes": done,
        "frames": writer.num_frames - frames_before,
        "success": successes / max(done, 1),
    }


def _round(
    config: CollectConfig, pool: "_EnvPool", student: Student | None, episodes: range
) -> list[Recorded]:
    names = [config.task_names[i % len(config.task_names)] for i in episodes]
    return run_round(
        pool.take(names),
        [features.get_task(name) for name in names],
        [config.seed * SEED_STRIDE + i for i in episodes],
        student=student,
        beta=config.beta,
        disturbance=config.disturbance if config.disturbance.share > 0 else None,
        lift=config.lift if config.release else None,
        cloud=config.cloud,
    )


class _EnvPool:
    """Environments by task, made when first needed and reused."""

    def __init__(self, config: CollectConfig) -> None:
        self._kwargs: dict[str, Any] = {
            "start": config.start,
            "split": config.split,
            "num_objects": config.num_objects,
            "object_path": None if config.object is None else str(config.object),
            "image_size": config.image_size,
            "noise": config.noise,
            "calibration": config.calibration,
            "release": config.release,
        }
        self._envs: dict[str, list[gym.Env]] = {}

    def take(self, names: list[str]) -> list[gym.Env]:
        """One environment per name; the same name twice gives two environments."""
        taken, used = [], dict.fromkeys(names, 0)
        for name in names:
            envs = self._envs.setdefault(name, [])
            if used[name] == len(envs):
                envs.append(make_env(name, **self._kwargs))
            taken.append(envs[used[name]])
            used[name] += 1
        return taken

    def close(self) -> None:
        """Free the simulators."""
        for envs in self._envs.values():
            for env in envs:
                env.close()


def make_env(task: str, **kwargs: Any) -> gym.Env:
    """A task's environment by its Gymnasium id: the policy's package does not know the simulator.

    Raises:
        ValueError: If there is no such task, or its environment's package is not installed.
    """
    features.get_task(task)
    try:
        name = f"gym_neuraltouch:gym_neuraltouch/{task}-v0"
        return gym.make(name, disable_env_checker=True, **kwargs)
    except ModuleNotFoundError as error:
        raise ValueError(
            "The environments are in the package lerobot_env_neuraltouch, which is not installed."
        ) from error
