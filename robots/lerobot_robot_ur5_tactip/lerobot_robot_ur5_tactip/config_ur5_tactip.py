"""Settings of the robot `ur5_tactip`."""

from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from pathlib import Path

import numpy as np
from lerobot.cameras import CameraConfig
from lerobot.robots import RobotConfig

from lerobot_neuraltouch.kinematics import get_arm

from .gripper import GripperConfig
from .limits import LimitsConfig
from .motion_loop import LoopConfig
from .touch import TouchConfig

MODES = ("dry_run", "loopback", "real")
READY_RAD = (0.0, -1.5708, 1.5708, -1.5708, -1.5708, 0.0)
"""Elbow and wrist bent, the flange pointing down."""


@RobotConfig.register_subclass("ur5_tactip")
@dataclass(kw_only=True)
class UR5TacTipConfig(RobotConfig):
    """A UR5 or UR5e with two TacTip fingers and a wrist camera. tcp, payload and workspace have no defaults."""

    limits: LimitsConfig
    """What the arm may do; workspace_min_m and workspace_max_m are yours to measure."""
    tcp: tuple[float, float, float, float, float, float]
    """The tcp on the flange, midway between the pads: position [m] and rotation vector [rad]; z is the approach, y the closing
    direction. It is set on the controller."""
    payload_kg: float
    """Mass of gripper, fingers and camera [kg]. Wrong values cause drift and false protective stops."""
    payload_cog_m: tuple[float, float, float]
    """Their centre of mass in the flange frame [m]."""

    mode: str = "dry_run"
    """dry_run (a kinematic arm in this process, nothing moves) | loopback (a loopback controller) | real."""
    model: str = "ur5e"
    """ur5e (PolyScope 5) or ur5 (CB3, PolyScope 3)."""
    host: str | None = None
    """The controller's address; for mode loopback one of 127.0.0.0/8."""
    use_upper_registers: bool = False
    """Use the registers 24-47, where a fieldbus or URCap occupies the lower ones."""
    zero_force_sensor: bool = True
    """Zero a UR5e's force sensor when connecting: the tool must touch nothing then."""
    stop_acceleration_m_s2: float = 2.0
    """Acceleration that the controller follows and stops twists with [m/s^2, for rotations rad/s^2]; above all of the limits'."""
    dry_run_joints_rad: tuple[float, ...] = READY_RAD
    """Where the arm of a dry run starts [rad]."""

    loop: LoopConfig = field(default_factory=LoopConfig)
    """Timing of the thread that commands the arm."""
    gripper: GripperConfig = field(default_factory=GripperConfig)
    """The gripper."""
    cameras: dict[str, CameraConfig] = field(default_factory=dict)
    """Cameras by name: tactile_left, tactile_right, wrist (with use_depth it also gives wrist_depth), and others."""
    touch: TouchConfig = field(default_factory=TouchConfig)
    """How the tactile cameras guard the arm."""
    wrist_calibration_path: Path | None = None
    """JSON of the wrist camera's intrinsics and hand-eye pose; default: ID_wrist.json in the calibration directory."""
    record_executed: bool = True
    """Write the action that the limits let through into the dictionary given to send_action, because LeRobot's recording
    stores that dictionary and not what send_action returns."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mode not in MODES:
            raise ValueError(f"Unknown mode '{self.mode}'. Available: {', '.join(MODES)}.")
        get_arm(self.model)
        _check_numbers("tcp", self.tcp, 6)
        _check_numbers("payload_cog_m", self.payload_cog_m, 3)
        _check_numbers("dry_run_joints_rad", self.dry_run_joints_rad, 6)
        if not 0.0 <= self.payload_kg <= 5.0:
            raise ValueError(f"payload_kg must be 0 to 5, got {self.payload_kg}.")
        self._check_host()
        slowest = max(
            self.limits.max_linear_acceleration_m_s2, self.limits.max_angular_acceleration_rad_s2
        )
        if self.stop_acceleration_m_s2 < slowest:
            raise ValueError(
                f"stop_acceleration_m_s2 must be at least the limits' accelerations ({slowest}), got "
                f"{self.stop_acceleration_m_s2}."
            )
        if "wrist_depth" in self.cameras:
            raise ValueError("wrist_depth is made by the camera named wrist, with use_depth: true.")

    @property
    def braking_limits(self) -> LimitsConfig:
        """The limits, with braking before bounds that holds for a client that dies: its last twist, of its oldest state, goes on
        until the controller's watchdog fires."""
        last_s = self.loop.state_max_age_s + 1.0 / self.loop.watchdog_hz
        return replace(self.limits, reaction_s=max(self.limits.reaction_s, last_s))

    def _check_host(self) -> None:
        if self.mode == "dry_run":
            if self.gripper.kind == "robotiq_urcap":
                raise ValueError("A dry run has no controller: use gripper.kind simulated or none.")
            return
        if not self.host:
            raise ValueError(f"Mode {self.mode} needs host, the controller's address.")
        if _is_loopback(self.host) != (self.mode == "loopback"):
            raise ValueError(
                f"Mode {self.mode} and host {self.host} do not go together: a loopback controller has an address of "
                "127.0.0.0/8, a real one has not."
            )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_numbers(name: str, values: tuple[float, ...], count: int) -> None:
    if len(values) != count or not np.isfinite(values).all():
        raise ValueError(f"{name} needs {count} finite numbers, got {values}.")
