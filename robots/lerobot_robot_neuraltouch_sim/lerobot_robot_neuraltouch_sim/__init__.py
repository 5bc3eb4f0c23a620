"""The simulated TacTip gripper behind the interface of the real robot: `--robot.type=neuraltouch_sim`."""

from .config_neuraltouch_sim import NeuralTouchSimConfig as NeuralTouchSimConfig
