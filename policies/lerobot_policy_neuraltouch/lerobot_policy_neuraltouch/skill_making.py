"""From one recorded episode to a skill: target descriptor, conditions, replay segment."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from lerobot_neuraltouch import features, replay, se3
from lerobot_neuraltouch.ndf.checkpoint import field_hash
from lerobot_neuraltouch.ndf.demonstrations import make_demonstrations
from lerobot_neuraltouch.ndf.descriptor import NUM_QUERIES, query_points
from lerobot_neuraltouch.ndf.network import DescriptorField
from lerobot_neuraltouch.ndf.pose_search import Demonstration, make_demonstration
from lerobot_policy_neuraltouch.demonstration import RecordedEpisode
from lerobot_policy_neuraltouch.settings import SkillSpec
from lerobot_policy_neuraltouch.skills import Skill, SkillTensors
from lerobot_policy_neuraltouch.training.expert import LiftConfig

REPLAYS = ("demo", "lift", "none")
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Replay:
    """Motion after the grasp; L steps."""

    motion: Array
    """Displacements of the tcp from the grasp, see `lerobot_neuraltouch.replay`, (L, 4, 4)."""
    finger_changes: Array
    """Set point less the distance measured at the grasp [m], (L,)."""


def recorded_replay(episode: RecordedEpisode, grasp_frame: int) -> Replay:
    """What the demonstration did after its grasp frame."""
    after = slice(grasp_frame + 1, None)
    return Replay(
        replay.displacements(episode.T_base_tcp[after], episode.T_base_tcp[grasp_frame]),
        episode.set_points[after] - episode.finger_distances[grasp_frame],
    )


def lift_replay(lift: LiftConfig) -> Replay:
    """For demonstrations without a lift: tighten the grip, move straight up, stand still."""
    num_up = int(np.ceil(lift.height_m / lift.speed * features.CONTROL_HZ))
    heights = np.concatenate(
        [
            np.zeros(lift.squeeze_steps),
            np.linspace(0.0, lift.height_m, num_up + 1)[1:],
            np.full(lift.hold_steps, lift.height_m),
        ]
    )
    grip = np.minimum(np.arange(1, len(heights) + 1) / lift.squeeze_steps, 1.0)
    up = heights[:, None] * np.array([0.0, 0.0, 1.0])
    return Replay(se3.transform(translation=up), -lift.squeeze_m * grip)


def make_skill(
    field: DescriptorField,
    episode: RecordedEpisode,
    *,
    grasp_frame: int,
    task: str,
    feature: str,
    num_conditions: int,
    num_queries: int,
    after: Replay,
    seed: int,
) -> Skill:
    """Describe the demonstrated contact, collect conditions, and put the skill together.

    Args:
        field: The descriptor field of the policy the skill is for.
        episode: The demonstration.
        grasp_frame: Frame at which the fingers hold the part as they should, from `episode.grasp_frame`.
        task: Text that will select the skill.
        feature: Contact feature, e.g. mug_rim; where the generators know it, conditions come from their objects.
        num_conditions: Descriptors on other objects; for features the generators do not know there are none.
        num_queries: Query points of a descriptor.
        after: Motion after the grasp.
        seed: Of the conditions' contacts and views.
    """
    # How far the query points spread depends on the part that was shown, where their number leaves the choice.
    chosen = None if num_queries == NUM_QUERIES else query_points(num_queries)
    own = make_demonstration(field, episode.cloud, episode.T_base_tcp[grasp_frame], chosen)
    demos = [own, *_conditions(field, feature, num_conditions, own.queries, seed)]
    finger_distance = float(episode.finger_distances[grasp_frame])
    thickness = max(finger_distance + 2.0 * features.PRESS_DEPTH, 0.0)
    spec = SkillSpec(
        task=task,
        feature=feature,
        num_queries=num_queries,
        num_conditions=len(demos) - 1,
        replay_length=len(after.finger_changes),
        ndf_hash=field_hash(field),
    )
    tensors = SkillTensors(
        descriptors=torch.stack([demo.descriptors for demo in demos]),
        queries=own.queries,
        latents=torch.stack([demo.z for demo in demos]),
        centres=torch.stack([demo.centre for demo in demos]),
        poses=torch.stack([demo.T for demo in demos]),
        opening=torch.tensor(features.start_opening(thickness)),
        finger_distance=torch.tensor(finger_distance),
        replay_motion=torch.as_tensor(after.motion),
        replay_fingers=torch.as_tensor(after.finger_changes),
    )
    return Skill(spec, tensors)


def _conditions(
    field: DescriptorField, feature: str, count: int, queries: torch.Tensor, seed: int
) -> list[Demonstration]:
    """The same contact on training objects, at ideal poses, seen from random views; none for unknown features."""
    known = {task.feature for task in features.TASKS.values()}
    if feature not in known:
        return []
    return make_demonstrations(field, feature, count, seed=seed, queries=queries)
