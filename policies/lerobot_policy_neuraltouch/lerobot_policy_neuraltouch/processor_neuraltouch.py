"""Pre- and post-processors of the policy: depth to float32, batch dimension, device; no normalisation.

The normaliser steps are there because LeRobot's commands address them by name; their mode is IDENTITY throughout.
"""

from typing import Any

from lerobot.lerobot_types import PolicyAction
from lerobot.processor import PolicyProcessorPipeline
from lerobot.processor.factory import (
    make_default_policy_processor_steps,
    make_policy_processor_pipelines,
)
from torch import Tensor

from lerobot_policy_neuraltouch.configuration_neuraltouch import NeuralTouchConfig
from lerobot_policy_neuraltouch.depth_step import DepthProcessorStep

PolicyPipelines = tuple[
    PolicyProcessorPipeline[dict[str, Any], dict[str, Any]],
    PolicyProcessorPipeline[PolicyAction, PolicyAction],
]


def make_neuraltouch_pre_post_processors(
    config: NeuralTouchConfig, dataset_stats: dict[str, dict[str, Tensor]] | None = None
) -> PolicyPipelines:
    """The pipelines around the policy; LeRobot's factory finds this function by its name."""
    steps = make_default_policy_processor_steps(config, dataset_stats)
    return make_policy_processor_pipelines(
        input_steps=[
            steps.rename_observations,
            DepthProcessorStep(),
            steps.add_batch_dim,
            steps.to_device,
            steps.normalize,
        ],
        output_steps=[steps.unnormalize, steps.to_cpu],
    )
