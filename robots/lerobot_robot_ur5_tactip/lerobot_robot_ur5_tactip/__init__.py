"""A UR5 or UR5e with two TacTip fingers as a LeRobot robot, with limits, a watchdog and a loopback controller."""

from .config_ur5_tactip import UR5TacTipConfig as UR5TacTipConfig
