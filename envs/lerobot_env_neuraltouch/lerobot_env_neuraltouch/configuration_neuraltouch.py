"""The environments of `gym_neuraltouch` under LeRobot's names, for lerobot-eval and lerobot-train."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
from lerobot.configs import FeatureType, PolicyFeature
from lerobot.envs.configs import EnvConfig
from lerobot.envs.utils import _LazyAsyncVectorEnv, freeze_after_episode_end

from lerobot_neuraltouch import features as contract

from .episode import make_episode

STARTS = ("perturbed", "perception")
SPLITS = ("train", "val", "test", "ood")
NOISES = ("nominal", "off")
CALIBRATIONS = ("exact", "paper")
ROBOTS = ("gripper", "ur5e", "ur5")
FINGERS = ("dome", "flat")
GRAY_MAPS = ("linear", "tactile_gym")
RANDOMISATIONS = ("none", "nominal", "wide")


@EnvConfig.register_subclass("neuraltouch")
@dataclass
class NeuralTouchEnv(EnvConfig):
    """Settings of one or more tasks; each task is evaluated, and reported, under its own name."""

    task: str | None = "RefineMugRim"
    """One task or several with commas between, e.g. RefineMugRim,PickPlaceBottleLid."""
    fps: int = contract.CONTROL_HZ
    """Control steps per second [1/s]; the environments have this one rate."""
    start: str = "perturbed"
    """Where an episode begins: perturbed (around the contact) or perception (at a stand-off pose)."""
    split: str = "test"
    """Stream the objects come from: train, val, test or ood (handles and shoulders that are in none of the others)."""
    num_objects: int | None = None
    """Draw from this many objects of the stream; without it, from the environment's default of 64."""
    object_path: str | None = None
    """YAML of an object of your own, in place of the generated ones."""
    task_text: str | None = None
    """Text given to the policy in place of the tasks' own; selects a skill that was added under that text."""
    image_size: int = contract.TACTILE_SIZE
    """Height and width of the touch images [pixels]."""
    finger: str = "dome"
    """Shape of both fingertips: dome or flat."""
    gray_map: str = "linear"
    """From indentation to gray: linear (51 levels per mm) or tactile_gym (as a depth buffer's change)."""
    noise: str = "nominal"
    """Noise of touch and depth: nominal or off."""
    calibration: str = "exact"
    """Error of the depth camera's pose: exact (none) or paper (about 12 mm of coarse error)."""
    in_sight: bool = False
    """With start=perception, look until the camera shows the contact; otherwise a mug's handle may be hidden from it."""
    randomisation: str = "none"
    """What of the hand (stiffness, friction, camera, latency, noise) is drawn anew per episode: none, nominal or wide."""
    release: bool = False
    """Once the grasp is settled the object is let go of, and success also needs it lifted. Refine tasks only; in the others
    the object is free from the start."""
    then: str | None = None
    """Contacts wanted after the task's own, one after another, comma-separated: mug_wall after mug_rim and the reverse. Refine tasks
    only."""
    robot: str | None = None
    """What carries the fingers: gripper (nothing: it flies), ur5e or ur5; without it, gripper in Refine tasks, ur5e in others."""

    def __post_init__(self) -> None:
        """Refuse settings that name nothing, and spell out the observation and action features.

        Raises:
            ValueError: If a setting is not one of those that exist; the message lists them.
            FileNotFoundError: If `object_path` is no file.
        """
        if self.noise == "False":  # what YAML 1.1 makes of --env.noise=off
            self.noise = "off"
        for name in self.task_names:
            contract.neighbours_in_turn(contract.get_task(name).feature, self.then)
        _check_choice("start", self.start, STARTS)
        _check_choice("split", self.split, SPLITS)
        _check_choice("noise", self.noise, NOISES)
        _check_choice("calibration", self.calibration, CALIBRATIONS)
        _check_choice("finger", self.finger, FINGERS)
        _check_choice("gray_map", self.gray_map, GRAY_MAPS)
        _check_choice("randomisation", self.randomisation, RANDOMISATIONS)
        if self.robot is not None:
            _check_choice("robot", self.robot, ROBOTS)
        if self.fps != contract.CONTROL_HZ:
            raise ValueError(f"fps must be {contract.CONTROL_HZ}, got {self.fps}.")
        if self.image_size < 8:
            raise ValueError(f"image_size must be at least 8, got {self.image_size}.")
        if self.num_objects is not None and self.num_objects < 1:
            raise ValueError(f"num_objects must be at least 1, got {self.num_objects}.")
        if self.object_path is not None and not Path(self.object_path).is_file():
            raise FileNotFoundError(f"object_path names no file: '{self.object_path}'.")
        self.features = observation_and_action_features(self.image_size)
        self.features_map = dict(FEATURES_MAP)

    @property
    def task_names(self) -> list[str]:
        """The tasks named by `task`, in order and each once."""
        names = [name.strip() for name in (self.task or "").split(",")]
        return list(dict.fromkeys(names))

    @property
    def gym_kwargs(self) -> dict[str, Any]:
        """Keyword arguments of `gym.make` for every task."""
        given = {"robot": self.robot, "then": self.then}
        return {
            "start": self.start,
            "split": self.split,
            "num_objects": self.num_objects,
            "object_path": self.object_path,
            "task_text": self.task_text,
            "image_size": self.image_size,
            "finger": self.finger,
            "gray_map": self.gray_map,
            "noise": self.noise,
            "calibration": self.calibration,
            "in_sight": self.in_sight,
            "randomisation": self.randomisation,
            "release": self.release,
            "render_mode": "rgb_array",
            **{name: value for name, value in given.items() if value is not None},
        }

    def create_envs(
        self, n_envs: int, use_async_envs: bool = False
    ) -> dict[str, dict[int, gym.vector.VectorEnv]]:
        """Make `n_envs` copies of each task, as {task: {0: vector environment}}.

        An environment rests once its episode has ended, so that LeRobot scores exactly one. Worker
        processes start with the task they serve, not all at once.
        """
        return {
            name: {0: self._vector_env(name, n_envs, use_async_envs)} for name in self.task_names
        }

    def _vector_env(self, name: str, n_envs: int, use_async_envs: bool) -> Any:
        make = functools.partial(
            make_episode, name, disable_env_checker=self.disable_env_checker, **self.gym_kwargs
        )
        copies: list[Callable[[], gym.Env]] = [make] * n_envs
        if use_async_envs and n_envs > 1:
            return _LazyAsyncVectorEnv(copies)
        return gym.vector.SyncVectorEnv(
            [freeze_after_episode_end(copy) for copy in copies],
            autoreset_mode=gym.vector.AutoresetMode.SAME_STEP,
        )


FEATURES_MAP = {
    contract.ACTION: contract.ACTION,
    contract.TACTILE_LEFT: contract.TACTILE_LEFT,
    contract.TACTILE_RIGHT: contract.TACTILE_RIGHT,
    "agent_pos": contract.STATE,
    "point_cloud": contract.POINT_CLOUD,
    "phase": contract.PHASE,
}
"""Our observation names to the policy's. Pictures have the policy's names at once, so that
`--eval.recording=true` can store them (a dataset column holds no slash)."""


def observation_and_action_features(image_size: int) -> dict[str, PolicyFeature]:
    """Type and shape of each component of `FEATURES_MAP`, as a dataset of these episodes has them."""
    picture = PolicyFeature(type=FeatureType.VISUAL, shape=(image_size, image_size, 3))
    cloud_shape = (contract.NUM_CLOUD_POINTS, 3)
    return {
        contract.ACTION: PolicyFeature(
            type=FeatureType.ACTION, shape=(len(contract.ACTION_NAMES),)
        ),
        contract.TACTILE_LEFT: picture,
        contract.TACTILE_RIGHT: picture,
        "agent_pos": PolicyFeature(type=FeatureType.STATE, shape=(len(contract.STATE_NAMES),)),
        "point_cloud": PolicyFeature(type=FeatureType.STATE, shape=cloud_shape),
        "phase": PolicyFeature(type=FeatureType.STATE, shape=(1,)),
    }


def _check_choice(field: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"Unknown {field} '{value}'. Available: {', '.join(choices)}.")
