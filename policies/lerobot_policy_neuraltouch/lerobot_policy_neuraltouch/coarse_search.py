"""How an episode begins: look, find the contact, plan the way; or take the start pose for it."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from lerobot_neuraltouch.ndf.network import DescriptorField
from lerobot_neuraltouch.ndf.pose_search import search_pose
from lerobot_policy_neuraltouch import observations as obs
from lerobot_policy_neuraltouch.configuration_neuraltouch import NeuralTouchConfig
from lerobot_policy_neuraltouch.motion import Array, CoarseMotion, Feel
from lerobot_policy_neuraltouch.skills import Skill


@dataclass(frozen=True)
class CoarseStart:
    """Where the fine phase shall begin, and how to get there."""

    T_base_tcp: Array
    """(4, 4)"""
    confidence: float
    """Of the pose search, in [0, 1]; 1 where none was needed."""
    motion: CoarseMotion | None
    """None where the tcp is there already."""


def begin_coarse(
    field: DescriptorField,
    skill: Skill,
    batch: Mapping[str, Any],
    index: int,
    feel: Feel,
    config: NeuralTouchConfig,
) -> CoarseStart:
    """Begin an episode of one environment of a batch.

    In mode "auto" nothing tells the policy how an episode starts, so nearness decides: with a cloud point within
    `near_m` of the tcp, somebody else has brought the gripper to the coarse pose.

    Raises:
        ValueError: If a cloud is needed and there is none.
    """
    settings = config.coarse
    if settings.mode == "skip":
        return CoarseStart(feel.T_base_tcp, 1.0, None)
    cloud = obs.cloud_of(batch, index, config.wrist_camera, feel.T_base_tcp)
    distance = float(np.linalg.norm(cloud - feel.T_base_tcp[:3, 3], axis=1).min())
    if settings.mode == "auto" and distance <= settings.near_m:
        return CoarseStart(feel.T_base_tcp, 1.0, None)
    demonstrations = skill.demonstrations()
    result = search_pose(
        # The search is many small steps: the CPU does them faster than a GPU could be told to.
        field if field.metric.device.type == "cpu" else copy.deepcopy(field).cpu(),
        cloud,
        demonstrations[: settings.num_demonstrations or None],
        settings.search,
        table_height_m=None if config.wrist_camera is None else config.wrist_camera.table_height_m,
        generator=torch.Generator().manual_seed(settings.seed),
    )
    return CoarseStart(result.T, result.confidence, CoarseMotion.towards(result.T, cloud, settings))
