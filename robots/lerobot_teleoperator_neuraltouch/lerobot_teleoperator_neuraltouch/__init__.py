"""Teleoperators that emit tool twists and finger distances: `--teleop.type=neuraltouch_keyboard|_gamepad|_scripted`."""

from .config_neuraltouch_gamepad import NeuralTouchGamepadConfig as NeuralTouchGamepadConfig
from .config_neuraltouch_keyboard import NeuralTouchKeyboardConfig as NeuralTouchKeyboardConfig
from .config_neuraltouch_scripted import NeuralTouchScriptedConfig as NeuralTouchScriptedConfig
