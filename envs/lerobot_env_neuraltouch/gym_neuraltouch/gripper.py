"""The free-flying gripper in a running simulation: twist and finger-distance servos, and what its sensors read.

The hand hangs on a mocap body, the anchor, by three slides and a ball joint. Before each control step the anchor is
moved to the hand's actual pose and the joints, velocities and set points are re-expressed, which changes no motion:
so the servos always act along the tcp's own axes and never near a singular rotation.
"""

import math

import mujoco
import numpy as np
from numpy.typing import NDArray

from lerobot_neuraltouch.features import CONTROL_HZ, MAX_FINGER_DISTANCE, MIN_FINGER_DISTANCE

from .scene import TIMESTEP_S, GripperConfig

Array = NDArray[np.float64]

SUBSTEPS = round(1 / (CONTROL_HZ * TIMESTEP_S))
"""Physics steps in one control step."""
TICKS = 5
"""The twist is rotated with the tcp this often within one control step; also the spans of the force's 20 ms mean."""
TOUCH_PRESS_M = 0.0001
"""A pad is in contact when its skin is pressed in by this much [m]."""
_TICK_STEPS = SUBSTEPS // TICKS
_TICK_S = _TICK_STEPS * TIMESTEP_S
_MAX_SPEED = 20.0
"""No joint of a sound simulation is ever this fast [m/s, rad/s]."""
_MAX_LEAD_M = 0.001
_MAX_LEAD_RAD = math.radians(1.0)
"""The set point never runs further than this ahead of the actual pose, or it would wind up against an obstacle."""


class Gripper:
    """Drives the gripper of one model and its data.

    Args:
        model, data: From `scene.compile_model`.
        config: The servos that the model was compiled with.
    """

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, config: GripperConfig) -> None:
        self.model, self.data, self.config = model, data, config
        self._anchor = int(model.body("anchor").mocapid[0])
        first = model.joint("base_x")
        self._q = int(first.qposadr[0])
        self._v = int(first.dofadr[0])
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
        self._act = int(model.actuator("base_x").actadr[0])
        self.force_n = np.zeros(2)
        """Largest normal force on the left and right finger in the last control step [N], shape (2,)."""

    def place(self, T_base_tcp: Array, finger_distance_m: float) -> None:
        """Put the gripper at rest, without simulating: pose in base, shape (4, 4), and finger distance [m]."""
        data = self.data
        data.mocap_pos[self._anchor] = T_base_tcp[:3, 3]
        mujoco.mju_mat2Quat(data.mocap_quat[self._anchor], T_base_tcp[:3, :3].ravel())
        data.qpos[self._q : self._q + 15] = 0
        data.qpos[self._q + 3] = 1
        data.qvel[self._v : self._v + 14] = 0
        data.qpos[[self._left, self._right]] = finger_distance_m / 2
        data.act[self._act : self._act + 6] = 0
        data.act[self._act + 6] = finger_distance_m
        data.ctrl[:] = 0
        self.force_n = np.zeros(2)

    def drive(self, twist: Array, set_point_m: float) -> Array:
        """Simulate one control step.

        Args:
            twist: (v, omega) of the tcp in its own frame [m/s, rad/s], shape (6,).
            set_point_m: Finger distance to reach [m].

        Returns:
            Largest normal force on the left and right finger, 20 ms means [N], shape (2,).
        """
        model, data = self.model, self.data
        self._move_anchor()
        v, omega = twist[:3], twist[3:]
        turn = _cross(omega, v)
        turn2 = _cross(omega, turn)
        act_grip = self._act + 6
        goal = min(max(set_point_m, MIN_FINGER_DISTANCE), MAX_FINGER_DISTANCE)
        slew = self.config.grip_slew_m_per_s
        data.ctrl[3:6] = omega
        sensors = data.sensordata
        force, total, step = np.zeros(2), np.zeros(4), mujoco.mj_step
        for tick in range(TICKS):
            t = (tick + 0.5) * _TICK_S
            data.ctrl[:3] = v + t * turn + (0.5 * t * t) * turn2
            data.ctrl[6] = min(max((goal - data.act[act_grip]) / _TICK_S, -slew), slew)
            total[:] = 0.0
            for _ in range(_TICK_STEPS):
                step(model, data)
                total += sensors
            np.maximum(force, total.reshape(2, 2).sum(axis=1) / _TICK_STEPS, out=force)
        self.force_n = force
        return force

    def failure(self) -> str:
        """Why the simulation can no longer be trusted; empty while it can."""
        data = self.data
        if not (np.isfinite(data.qpos).all() and np.isfinite(data.qvel).all()):
            return "simulation diverged: NaN or infinity in the state"
        if data.warning[mujoco.mjtWarning.mjWARN_BADQACC].number:
            return "simulation diverged: unbounded acceleration"
        if np.abs(data.qvel).max() > _MAX_SPEED:
            return f"simulation diverged: speed {np.abs(data.qvel).max():.1f}"
        return ""

    @property
    def T_base_tcp(self) -> Array:
        """Actual pose of the tcp in base, shape (4, 4)."""
        data = self.data
        R_anchor, R_ball = (
            _matrix(data.mocap_quat[self._anchor]),
            _matrix(data.qpos[self._q + 3 : self._q + 7]),
        )
        T = np.eye(4)
        T[:3, :3] = R_anchor @ R_ball
        T[:3, 3] = data.mocap_pos[self._anchor] + R_anchor @ data.qpos[self._q : self._q + 3]
        return T

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

    def _move_anchor(self) -> None:
        """Move the anchor to the hand's actual pose and limit how far the set points lead."""
        data, q, v, a = self.data, self._q, self._v, self._act
        quat_ball = data.qpos[q + 3 : q + 7].copy()
        R_ball = _matrix(quat_ball)
        quat_anchor = data.mocap_quat[self._anchor].copy()
        R_anchor = _matrix(quat_anchor)
        data.mocap_pos[self._anchor] += R_anchor @ data.qpos[q : q + 3]
        mujoco.mju_mulQuat(data.mocap_quat[self._anchor], quat_anchor, quat_ball)
        mujoco.mju_normalize4(data.mocap_quat[self._anchor])
        lead = R_ball.T @ (data.act[a : a + 3] - data.qpos[q : q + 3])
        data.act[a : a + 3] = np.clip(lead, -_MAX_LEAD_M, _MAX_LEAD_M)
        # Both rotations are below a few degrees here, where the set point's lead is the difference to first order.
        ball = np.zeros(3)
        mujoco.mju_quat2Vel(ball, quat_ball, 1.0)
        data.act[a + 3 : a + 6] = np.clip(
            data.act[a + 3 : a + 6] - ball, -_MAX_LEAD_RAD, _MAX_LEAD_RAD
        )
        data.qvel[v : v + 3] = R_ball.T @ data.qvel[v : v + 3]
        data.qpos[q : q + 3] = 0
        data.qpos[q + 3 : q + 7] = (1, 0, 0, 0)


def _cross(a: Array, b: Array) -> Array:
    """Cross product of two vectors; `np.cross` takes ten times as long."""
    return np.array(
        [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
    )


def _matrix(quat: Array) -> Array:
    flat = np.empty(9)
    mujoco.mju_quat2Mat(flat, quat)
    return flat.reshape(3, 3)
