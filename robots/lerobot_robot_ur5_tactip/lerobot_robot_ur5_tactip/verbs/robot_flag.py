"""The flag --robot of our verbs: as LeRobot's commands take it."""

from lerobot.robots import RobotConfig

from lerobot_robot_ur5_tactip.config_ur5_tactip import UR5TacTipConfig


def require_ur5_tactip(robot: RobotConfig | None) -> UR5TacTipConfig:
    """The robot's config.

    Raises:
        ValueError: If it is missing or another robot's.
    """
    if not isinstance(robot, UR5TacTipConfig):
        kind = "none" if robot is None else robot.type
        raise ValueError(f"--robot.type=ur5_tactip and its settings are needed, got {kind}.")
    return robot
