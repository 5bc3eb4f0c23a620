"""Episodes in which a teacher labels every step, whoever acts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from lerobot_neuraltouch import features
from lerobot_policy_neuraltouch.training.expert import (
    Expert,
    GraspExpert,
    LiftConfig,
    TaskExpert,
)
from lerobot_policy_neuraltouch.training.frames import (
    DONE,
    REWARD,
    SUCCESS,
    Frame,
    observation_frame,
    stack,
)
from lerobot_policy_neuraltouch.training.student import Student

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Disturbance:
    """Random pushes while the teacher drives, so that the data shows how to come back from them."""

    share: float = 0.0
    """Share of control steps that belong to a push."""
    steps: int = 4
    """Length of a push [control steps]."""
    linear: float = features.FINE_LINEAR_SPEED
    """Each component of a push is uniform within this [m/s],"""
    angular: float = features.FINE_ANGULAR_SPEED
    """and this [rad/s]."""
    quiet_after: int = 80
    """No more pushes from this control step on: the episode is to end at the target."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.share < 1.0:
            raise ValueError(f"disturbance.share must lie in [0, 1), got {self.share}.")
        if self.steps < 1:
            raise ValueError(f"disturbance.steps must be at least 1, got {self.steps}.")


@dataclass
class Running:
    """One episode under way."""

    env: gym.Env
    task: features.Task
    expert: Expert
    rng: np.random.Generator
    observation: Mapping[str, Any]
    info: Mapping[str, Any]
    frames: list[Frame] = field(default_factory=list)
    done: bool = False
    push: Array | None = None
    push_left: int = 0

    @property
    def success(self) -> bool:
        """Whether the episode has ended well."""
        return self.done and bool(self.info.get("is_success", False))


@dataclass(frozen=True)
class Recorded:
    """One finished episode."""

    frames: Frame
    """Columns of the dataset, stacked over time."""
    task: features.Task
    info: Mapping[str, Any]
    """Of the last step."""


def run_round(
    envs: Sequence[gym.Env],
    tasks: Sequence[features.Task],
    seeds: Sequence[int],
    *,
    student: Student | None = None,
    beta: float = 0.0,
    disturbance: Disturbance | None = None,
    lift: LiftConfig | None = None,
    cloud: bool = False,
    on_step: Callable[[], Any] = lambda: None,
) -> list[Recorded]:
    """Play one episode per environment, side by side, until the last one has ended.

    The same seeds give the same episodes, whatever was played before.

    Args:
        envs: As many as there are tasks and seeds.
        tasks: What each environment is about.
        seeds: Of each environment's episode, its pushes and its draws with probability `beta`.
        student: Acts instead of the teacher, if given; the labels stay the teacher's (DAgger, Ross et al. 2011).
        beta: Probability that at a given step the teacher acts in the student's place.
        disturbance: Pushes while the teacher acts.
        lift: Motion after the grasp (environments made with `release=True`).
        cloud: Whether to keep the point cloud.
        on_step: Called after each control step of each environment.
    """
    running = [_begin(*item, lift) for item in zip(envs, tasks, seeds, strict=True)]
    if student is not None:
        student.reset()
    while not all(episode.done for episode in running):
        proposed: Sequence[Array | None] = [None] * len(running)
        if student is not None:
            proposed = list(
                student.act([e.observation for e in running], [e.task.text for e in running])
            )
        for episode, action in zip(running, proposed, strict=True):
            if not episode.done:
                _step(episode, action, beta, disturbance, cloud)
                on_step()
    return [Recorded(stack(e.frames), e.task, e.info) for e in running]


def _begin(env: gym.Env, task: features.Task, seed: int, lift: LiftConfig | None) -> Running:
    observation, info = env.reset(seed=seed)
    whole = task.name in features.WHOLE_TASKS
    expert: Expert = TaskExpert(env) if whole else GraspExpert(lift)
    return Running(env, task, expert, np.random.default_rng(seed), observation, info)


def _step(
    episode: Running,
    proposed: Array | None,
    beta: float,
    disturbance: Disturbance | None,
    cloud: bool,
) -> None:
    frame = observation_frame(episode.observation, cloud=cloud)
    frame[features.PHASE] = np.array([_phase(episode)], np.float32)
    label = episode.expert.act(episode.info, frame[features.STATE])
    executed = label
    if proposed is not None and episode.rng.random() >= beta:
        executed = proposed
    elif disturbance is not None:
        executed = _disturbed(episode, label, disturbance)
    executed = np.clip(executed, features.ACTION_LOW, features.ACTION_HIGH).astype(np.float32)
    observation, reward, terminated, truncated, info = episode.env.step(executed)
    episode.observation, episode.info = observation, info
    episode.done = terminated or truncated or episode.expert.is_over
    frame[features.ACTION] = label.astype(np.float32)
    frame[features.EXECUTED_ACTION] = executed
    frame[REWARD] = np.array([reward], np.float32)
    frame[DONE] = np.array([episode.done])
    frame[SUCCESS] = np.array([episode.success])
    episode.frames.append(frame)


def _phase(episode: Running) -> int:
    observed = int(np.asarray(episode.observation.get("phase", features.Phase.FINE)).item())
    return episode.expert.phase(episode.info, observed)


def _disturbed(episode: Running, label: Array, disturbance: Disturbance) -> Array:
    """The label with its twist replaced by a push, now and then."""
    if episode.push_left == 0:
        start = episode.rng.random() < disturbance.share / disturbance.steps
        if not start or len(episode.frames) >= disturbance.quiet_after:
            return label
        limits = np.array([disturbance.linear] * 3 + [disturbance.angular] * 3)
        episode.push, episode.push_left = episode.rng.uniform(-limits, limits), disturbance.steps
    episode.push_left -= 1
    assert episode.push is not None
    return np.append(episode.push, label[6])
