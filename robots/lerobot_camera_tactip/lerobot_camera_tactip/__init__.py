"""The TacTip's camera as a LeRobot camera: `{type: tactip, source: opencv, ...}`."""

from .config_tactip import TacTipCameraConfig as TacTipCameraConfig
