"""A picture of the controller at one moment, for tests."""

from collections.abc import Iterable
from dataclasses import dataclass

from .gripper_server import Gripper
from .log import Six
from .robot import Robot, six


@dataclass(frozen=True, kw_only=True)
class ControllerState:
    """What the teach pendant would show."""

    time_s: float
    """The controller's clock [s]."""
    joints: Six
    """Joint angles [rad]."""
    joint_speeds: Six
    """dq/dt [rad/s]."""
    tcp_pose: Six
    """Position [m] and rotation vector [rad] of the tcp in the base frame."""
    twist: Six
    """(v, omega) of the tcp in the base frame [m/s, rad/s]."""
    motion: str
    """The motion being executed: idle, speedl, movej, ..."""
    program: str
    """playing, paused or stopped."""
    robot_mode: str
    """POWER_OFF, IDLE, RUNNING, ..."""
    safety_mode: str
    """NORMAL, PROTECTIVE_STOP, ROBOT_EMERGENCY_STOP, ..."""
    faults: tuple[str, ...]
    """Faults that are on."""
    remote_control: bool
    """Whether the pendant is in remote control."""
    watchdog_hz: float | None
    """Least rate of commands that the watchdog demands, None if it is not armed."""
    tcp_offset: Six
    """The tcp on the flange: position [m] and rotation vector [rad]."""
    payload_kg: float
    """Payload mass."""
    payload_cog_m: tuple[float, float, float]
    """The payload's centre of gravity on the flange."""
    speed_fraction: float
    """The speed slider, in [0, 1]."""
    digital_outputs: int
    """Bits: 0-7 standard, 8-15 configurable, 16-17 tool."""
    gripper_position: int | None
    """Of the Robotiq: 0 open, 255 closed; None without a gripper."""


def picture(robot: Robot, gripper: Gripper | None, faults: Iterable[str]) -> ControllerState:
    """The state of a robot now."""
    arm = robot.arm
    return ControllerState(
        time_s=robot.time_s,
        joints=six(arm.q),
        joint_speeds=six(arm.qd),
        tcp_pose=six(arm.tcp_pose),
        twist=six(arm.twist),
        motion=arm.motion_name,
        program=robot.program_state,
        robot_mode=robot.safety.robot_mode.name,
        safety_mode=robot.safety.safety_mode.name,
        faults=tuple(sorted(faults)),
        remote_control=robot.remote_control,
        watchdog_hz=robot.watchdog.min_frequency_hz if robot.watchdog else None,
        tcp_offset=six(robot.tcp_offset),
        payload_kg=robot.payload_kg,
        payload_cog_m=robot.payload_cog_m,
        speed_fraction=robot.ports.speed_fraction,
        digital_outputs=robot.ports.digital_outputs,
        gripper_position=None if gripper is None else gripper.get("POS"),
    )
