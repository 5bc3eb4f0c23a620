"""From one recorded episode to a skill: target descriptor, conditions, replay segment."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from lerobot_neuraltouch import features, se3
from lerobot_neuraltouch.ndf.checkpoint import field_hash
from lerobot_neuraltouch.ndf.descriptor import query_points
from lerobot_neuraltouch.ndf.network import DescriptorField
from lerobot_neuraltouch.ndf.pose_search import Demonstration, make_demonstration
from lerobot_neuraltouch.objects.catalogue import make_object
from lerobot_neuraltouch.objects.model import ObjectModel
from lerobot_neuraltouch.objects.views import orbit_camera, render_depth
from lerobot_neuraltouch.pointcloud import D435, DepthNoise, object_cloud, perturb_depth
from lerobot_policy_neuraltouch.demonstration import RecordedEpisode
from lerobot_policy_neuraltouch.settings import SkillSpec
from lerobot_policy_neuraltouch.skills import Skill, SkillTensors

REPLAYS = ("demo", "lift", "none")
Array = NDArray[np.float64]

VISIBLE_POINTS, VISIBLE_RADIUS_M = 20, 0.015
"""A contact counts as seen with so many cloud points this near to it [m]."""
MAX_VIEWS = 50
"""Views tried for each condition until the contact is seen."""


@dataclass(frozen=True, kw_only=True)
class LiftConfig:
    """The lift that stands in for a demonstration without one."""

    squeeze_m: float = 0.008
    """Finger set point below the measured distance while lifting [m]; 2 N/mm makes about 16 N of it."""
    squeeze_steps: int = 10
    """Control steps over which the grip tightens."""
    height_m: float = 0.060
    """Way up [m]."""
    speed: float = 0.015
    """[m/s]"""


@dataclass(frozen=True)
class Replay:
    """Motion after the grasp; L steps."""

    T_grasp_tcp: Array
    """(L, 4, 4)"""
    finger_changes: Array
    """Set point less the distance measured at the grasp [m], (L,)."""


def recorded_replay(episode: RecordedEpisode, grasp_frame: int) -> Replay:
    """What the demonstration did after its grasp frame."""
    after = slice(grasp_frame + 1, None)
    T_grasp_base = se3.inverse(episode.T_base_tcp[grasp_frame])
    return Replay(
        T_grasp_base @ episode.T_base_tcp[after],
        episode.set_points[after] - episode.finger_distances[grasp_frame],
    )


def lift_replay(T_base_grasp: Array, config: LiftConfig) -> Replay:
    """Tighten the grip, then move straight up in base."""
    num_up = int(np.ceil(config.height_m / config.speed * features.CONTROL_HZ))
    heights = np.concatenate(
        [np.zeros(config.squeeze_steps), np.linspace(0.0, config.height_m, num_up + 1)[1:]]
    )
    ramp = np.minimum(np.arange(1, len(heights) + 1) / config.squeeze_steps, 1.0)
    up_in_grasp = T_base_grasp[:3, :3].T @ np.array([0.0, 0.0, 1.0])
    return Replay(
        se3.transform(translation=heights[:, None] * up_in_grasp), -config.squeeze_m * ramp
    )


def make_skill(
    field: DescriptorField,
    episode: RecordedEpisode,
    *,
    grasp_frame: int,
    task: str,
    feature: str,
    num_conditions: int,
    num_queries: int,
    replay: Replay,
    rng: np.random.Generator,
) -> Skill:
    """Describe the demonstrated contact, collect conditions, and put the skill together.

    Args:
        field: The descriptor field of the policy the skill is for.
        episode: The demonstration.
        grasp_frame: Frame at which the fingers hold the part as they should.
        task: Text that will select the skill.
        feature: Contact feature, e.g. mug_rim; where the generators know it, conditions come from their objects.
        num_conditions: Descriptors on other objects; for features the generators do not know there are none.
        num_queries: Query points of a descriptor.
        replay: Motion after the grasp.
        rng: Draws objects, contacts and views of the conditions.

    Raises:
        ValueError: If the frame does not exist.
    """
    if not 0 <= grasp_frame < len(episode.T_base_tcp):
        raise ValueError(
            f"Frame {grasp_frame} does not exist; the episode has {len(episode.T_base_tcp)}."
        )
    queries = query_points(num_queries)
    own = make_demonstration(field, episode.cloud, episode.T_base_tcp[grasp_frame], queries)
    demos = [own, *_conditions(field, feature, num_conditions, queries, rng)]
    finger_distance = float(episode.finger_distances[grasp_frame])
    thickness = max(finger_distance + 2.0 * features.PRESS_DEPTH, 0.0)
    spec = SkillSpec(
        task=task,
        feature=feature,
        num_queries=num_queries,
        num_conditions=len(demos) - 1,
        replay_length=len(replay.finger_changes),
        ndf_hash=field_hash(field),
    )
    tensors = SkillTensors(
        descriptors=torch.stack([demo.descriptors for demo in demos]),
        queries=queries,
        latents=torch.stack([demo.z for demo in demos]),
        centres=torch.stack([demo.centre for demo in demos]),
        poses=torch.stack([demo.T for demo in demos]),
        opening=torch.tensor(features.start_opening(thickness)),
        finger_distance=torch.tensor(finger_distance),
        replay_poses=torch.as_tensor(replay.T_grasp_tcp),
        replay_fingers=torch.as_tensor(replay.finger_changes),
    )
    return Skill(spec, tensors)


def _conditions(
    field: DescriptorField,
    feature: str,
    count: int,
    queries: torch.Tensor,
    rng: np.random.Generator,
) -> list[Demonstration]:
    """The same contact on training objects, at ideal poses, seen from random views."""
    known = {task.feature: task.category for task in features.TASKS.values()}
    if feature not in known:
        return []
    found = []
    for index in rng.choice(10_000, count, replace=False):
        model = make_object(known[feature], "train", int(index))
        T_object_tcp = model.feature(feature).sample(rng)
        cloud = visible_cloud(model, T_object_tcp[:3, 3], rng)
        found.append(make_demonstration(field, cloud, T_object_tcp, queries))
    return found


def visible_cloud(
    model: ObjectModel, contact: Array, rng: np.random.Generator
) -> NDArray[np.float32]:
    """A noisy one-view cloud, object frame [m], of an object on a table, on which the contact can be seen.

    Args:
        model: The object.
        contact: Object frame [m], shape (3,).
        rng: Draws the views and the camera's noise.
    """
    centre = model.mesh.bounds.mean(axis=0)
    cloud = np.zeros((0, 3), dtype=np.float32)
    for _ in range(MAX_VIEWS):
        T_object_camera = orbit_camera(
            centre,
            rng.uniform(0.35, 0.45),
            rng.uniform(-np.pi, np.pi),
            np.deg2rad(rng.uniform(30.0, 60.0)),
        )
        depth = perturb_depth(
            render_depth(model, T_object_camera, D435, table=True), DepthNoise(), rng
        )
        cloud = object_cloud(depth, D435, T_object_camera, rng)
        near = np.linalg.norm(cloud - contact, axis=1) < VISIBLE_RADIUS_M
        if np.count_nonzero(near) >= VISIBLE_POINTS:
            return cloud
    return cloud
