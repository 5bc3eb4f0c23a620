"""LeRobot policy plugin `neuraltouch`: coarse by descriptor, fine by touch, then the recorded skill."""

from lerobot_policy_neuraltouch.configuration_neuraltouch import (
    NeuralTouchConfig as NeuralTouchConfig,
)
from lerobot_policy_neuraltouch.depth_step import DepthProcessorStep as DepthProcessorStep
