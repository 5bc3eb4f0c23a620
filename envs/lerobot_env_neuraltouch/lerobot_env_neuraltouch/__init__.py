"""LeRobot's door to `gym_neuraltouch`: `--env.type=neuraltouch --env.task=NAME[,NAME...]`."""

from .configuration_neuraltouch import NeuralTouchEnv as NeuralTouchEnv
