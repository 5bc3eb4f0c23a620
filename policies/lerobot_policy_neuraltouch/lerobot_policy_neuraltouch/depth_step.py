"""First step of the policy's preprocessor: depth pictures of any dtype become float32."""

from dataclasses import dataclass

import torch
from lerobot.configs import PipelineFeatureType, PolicyFeature
from lerobot.processor import ObservationProcessorStep, ProcessorStepRegistry
from torch import Tensor

from lerobot_neuraltouch import features


@dataclass
@ProcessorStepRegistry.register(name="neuraltouch_depth_processor")
class DepthProcessorStep(ObservationProcessorStep):
    """Give live and recorded depth one dtype: robots send uint16, datasets float32, both in the same unit.

    Several later steps and most torch functions refuse uint16. The cloud itself is built by the policy, at the first
    observation of an episode only, because the camera moves with the hand.
    """

    def observation(self, observation: dict[str, Tensor]) -> dict[str, Tensor]:
        """Convert `observation.images.wrist_depth` where present."""
        depth = observation.get(features.WRIST_DEPTH)
        if isinstance(depth, Tensor) and depth.dtype != torch.float32:
            observation = {**observation, features.WRIST_DEPTH: depth.to(torch.float32)}
        return observation

    def transform_features(
        self, features: dict[PipelineFeatureType, dict[str, PolicyFeature]]
    ) -> dict[PipelineFeatureType, dict[str, PolicyFeature]]:
        """Shapes stay as they are."""
        return features
