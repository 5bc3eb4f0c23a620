"""The gripper in a running simulation: fingers, control step and sensors, whatever carries them."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import mujoco
import numpy as np
from numpy.typing import NDArray

from lerobot_neuraltouch.features import CONTROL_HZ, MAX_FINGER_DISTANCE, MIN_FINGER_DISTANCE

from .finger_scene import TICK_S
from .scene import GripperConfig

Array = NDArray[np.float64]

STEP_S = 1 / CONTROL_HZ
"""One control step [s]."""
TICKS = round(STEP_S / TICK_S)
"""The twist is rotated with the tcp this often within one control step; also the spans of the force's 20 ms mean."""
TOUCH_PRESS_M = 0.0001
"""A pad is in contact when its skin is pressed in by this much [m]."""
_MAX_SPEED = 20.0
"""No joint of a sound simulation is ever this fast [m/s, rad/s]."""


class Gripper(ABC):
    """Two fingers on a carrier, which the first six actuators move.

    Args:
        model, data: From `scene.compile_model`.
        config: The hand that the model was compiled with.
    """

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, config: GripperConfig) -> None:
        self.model, self.data, self.config = model, data, config
        self._left, self._right = (int(model.joint(n).qposadr[0]) for n in ("left", "right"))
        self._normal = np.array(
            [int(model.joint(f"{n}_normal").qposadr[0]) for n in ("left", "right")]
        )
        self._shear = np.array(
            [
                [int(model.joint(f"{n}_shear_{axis}").qposadr[0]) for axis in "xz"]
                for n in ("left", "right")
            ]
        )
        grip = model.actuator("grip").id
        self._act_grip = int(model.actuator("grip").actadr[0])
        # Views of the simulation's state: asking for them takes longer than using them.
        self._grip_speed = data.ctrl[grip : grip + 1]
        self._grip_goal = data.act[self._act_grip : self._act_grip + 1]
        self._bad_acceleration = data.warning[mujoco.mjtWarning.mjWARN_BADQACC]
        self._act = self._act_grip - 6
        self._tick_steps = round(TICK_S / model.opt.timestep)
        # Touch sensors of pad and core, left and right: the readings of the last tick lie at the end of each one's record.
        self._readings = data.history.reshape(2, 2, -1)[:, :, -self._tick_steps :]
        self.solid_geoms = np.flatnonzero(model.geom_contype == 1)
        """Whatever of fingers and carrier collides."""
        self.limited_by = ""
        """What kept the carrier from the whole twist in the last control step; empty if nothing did."""
        self.force_n = np.zeros(2)
        """Largest normal force on the left and right finger in the last control step, so far in a running one [N], shape (2,)."""

    @property
    @abstractmethod
    def T_base_tcp(self) -> Array:
        """Actual pose of the tcp in base, shape (4, 4)."""

    @abstractmethod
    def place(self, T_base_tcp: Array, finger_distance_m: float) -> None:
        """Put the gripper at rest, without simulating: pose in base, shape (4, 4), and finger distance [m]."""

    @abstractmethod
    def _begin(self, twist: Array) -> None:
        """Begin a control step with a twist (v, omega) of the tcp in its own frame [m/s, rad/s]."""

    @abstractmethod
    def _steer(self, tick: int) -> None:
        """Write the carrier's controls for a tick, so that the twist keeps turning with the tcp."""

    def can_reach(self, T_base_tcp: Array) -> bool:
        """Whether the carrier can begin an episode at a pose, shape (4, 4)."""
        return True

    def can_move(self, T_base_from: Array, *T_base_to: Array) -> bool:
        """Whether the carrier can begin at one pose and bring the tcp straight to the others in turn, shapes (4, 4)."""
        return True

    def drive(
        self, twist: Array, set_point_m: float, watch: Callable[[], None] | None = None
    ) -> Array:
        """Simulate one control step.

        Args:
            twist: (v, omega) of the tcp in its own frame [m/s, rad/s], shape (6,).
            set_point_m: Finger distance to reach [m].
            watch: Called every 20 ms, for whoever wants to see more than the step's end.

        Returns:
            Largest normal force on the left and right finger, 20 ms means [N], shape (2,).
        """
        model, data = self.model, self.data
        self._begin(twist)
        goal = min(max(set_point_m, MIN_FINGER_DISTANCE), MAX_FINGER_DISTANCE)
        slew = self.config.grip_slew_m_per_s
        force = np.zeros(2)
        self.force_n = force
        for tick in range(TICKS):
            self._steer(tick)
            lead = (goal - self._grip_goal.item()) / TICK_S
            self._grip_speed[0] = min(max(lead, -slew), slew)
            mujoco.mj_step(model, data, self._tick_steps)
            np.maximum(force, self._readings.sum(axis=(1, 2)) / self._tick_steps, out=force)
            if watch is not None:
                watch()
        return force

    @property
    def stopped_by(self) -> str:
        """Why the carrier stopped of itself in the last control step, for good; empty if it did not."""
        return ""

    def failure(self) -> str:
        """Why the simulation can no longer be trusted; empty while it can."""
        speed = float(np.abs(self.data.qvel).max())
        if not math.isfinite(speed + float(self.data.qpos.sum())):
            return "simulation diverged: NaN or infinity in the state"
        if self._bad_acceleration.number:
            return "simulation diverged: unbounded acceleration"
        if speed > _MAX_SPEED:
            return f"simulation diverged: speed {speed:.1f}"
        return ""

    @property
    def finger_distance_m(self) -> float:
        """Actual distance between the undeformed pads [m]."""
        return float(self.data.qpos[self._left] + self.data.qpos[self._right])

    @property
    def pad_press_m(self) -> Array:
        """How far the left and right skin is pressed in along its normal [m], shape (2,)."""
        return self.data.qpos[self._normal]

    @property
    def pad_shear_m(self) -> Array:
        """How far the left and right skin is sheared along its tangents [m], shape (2,)."""
        return np.linalg.norm(self.data.qpos[self._shear], axis=-1)

    @property
    def both_touch(self) -> bool:
        """Whether both pads are in contact."""
        return bool(np.all(self.pad_press_m > TOUCH_PRESS_M))

    def set_fingers(self, finger_distance_m: float) -> None:
        """Put the fingers at a distance [m], and nothing else: for a look at what they would touch."""
        self.data.qpos[self._left] = self.data.qpos[self._right] = finger_distance_m / 2

    def _place_fingers(self, finger_distance_m: float) -> None:
        """Open the fingers, let the skins out, and stop whatever moves."""
        data = self.data
        data.qpos[self._left : self._left + 8] = 0
        data.qpos[[self._left, self._right]] = finger_distance_m / 2
        data.qvel[:14] = 0
        data.act[self._act_grip] = finger_distance_m
        data.ctrl[:] = 0
        self.force_n = np.zeros(2)
