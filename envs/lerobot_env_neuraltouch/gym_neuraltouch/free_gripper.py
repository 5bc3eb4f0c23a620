"""The free-flying gripper: a hand that no arm carries.

The hand hangs on a mocap body, the anchor, by three slides and a ball joint. Before each control step the anchor is
moved to the hand's actual pose and the joints, velocities and set points are re-expressed, which changes no motion:
so the servos always act along the tcp's own axes and never near a singular rotation.
"""

import math

import mujoco
import numpy as np
from numpy.typing import NDArray

from .finger_scene import TICK_S
from .gripper import TICKS, Gripper
from .scene import GripperConfig

Array = NDArray[np.float64]

_MAX_LEAD_M = 0.001
_MAX_LEAD_RAD = math.radians(1.0)
"""The set point never runs further than this ahead of the actual pose, or it would wind up against an obstacle."""


_TIMES = (np.arange(TICKS) + 0.5) * TICK_S
_POWERS = np.stack([np.ones(TICKS), _TIMES, 0.5 * _TIMES**2], axis=-1)
"""Taylor's series of a turning vector in the middle of each tick, shape (TICKS, 3)."""


class FreeGripper(Gripper):
    """Moves the hand by its own servos.

    Args:
        model, data: From `scene.compile_model`, without an arm.
        config: The servos that the model was compiled with.
    """

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, config: GripperConfig) -> None:
        super().__init__(model, data, config)
        self._anchor = int(model.body("anchor").mocapid[0])
        first = model.joint("base_x")
        q, v, a = int(first.qposadr[0]), int(first.dofadr[0]), self._act
        # Views of the simulation's state.
        self._anchor_pos, self._anchor_quat = (
            data.mocap_pos[self._anchor],
            data.mocap_quat[self._anchor],
        )
        self._pos, self._ball = data.qpos[q : q + 3], data.qpos[q + 3 : q + 7]
        self._velocity = data.qvel[v : v + 3]
        self._goal, self._goal_rot = data.act[a : a + 3], data.act[a + 3 : a + 6]
        self._linear, self._angular = data.ctrl[:3], data.ctrl[3:6]
        self._R_anchor = np.eye(3)

    def place(self, T_base_tcp: Array, finger_distance_m: float) -> None:
        """Put the gripper at rest, without simulating: pose in base, shape (4, 4), and finger distance [m]."""
        self._anchor_pos[:] = T_base_tcp[:3, 3]
        mujoco.mju_mat2Quat(self._anchor_quat, T_base_tcp[:3, :3].ravel())
        self._R_anchor = _matrix(self._anchor_quat)
        self._pos[:], self._ball[:] = 0, (1, 0, 0, 0)
        self._goal[:] = self._goal_rot[:] = 0
        self._place_fingers(finger_distance_m)

    @property
    def T_base_tcp(self) -> Array:
        """Actual pose of the tcp in base, shape (4, 4)."""
        T = np.eye(4)
        T[:3, :3] = self._R_anchor @ _matrix(self._ball)
        T[:3, 3] = self._anchor_pos + self._R_anchor @ self._pos
        return T

    def _begin(self, twist: Array) -> None:
        self._move_anchor()
        v, omega = twist[:3], twist[3:]
        turn = _cross(omega, v)
        # In the hand's frame at the step's beginning, to which the servos keep: one velocity per tick.
        self._velocities = _POWERS @ np.array([v, turn, _cross(omega, turn)])
        self._angular[:] = omega

    def _steer(self, tick: int) -> None:
        self._linear[:] = self._velocities[tick]

    def _move_anchor(self) -> None:
        """Move the anchor to the hand's actual pose and limit how far the set points lead."""
        R_ball = _matrix(self._ball)
        self._anchor_pos += self._R_anchor @ self._pos
        mujoco.mju_mulQuat(self._anchor_quat, self._anchor_quat.copy(), self._ball)
        mujoco.mju_normalize4(self._anchor_quat)
        self._R_anchor = _matrix(self._anchor_quat)
        _clamp((self._goal - self._pos) @ R_ball, _MAX_LEAD_M, self._goal)
        # Both rotations are below a few degrees here, where the set point's lead is the difference to first order.
        ball = np.empty(3)
        mujoco.mju_quat2Vel(ball, self._ball, 1.0)
        _clamp(self._goal_rot - ball, _MAX_LEAD_RAD, self._goal_rot)
        self._velocity[:] = self._velocity @ R_ball
        self._pos[:], self._ball[:] = 0, (1, 0, 0, 0)


def _clamp(values: Array, limit: float, out: Array) -> None:
    """Limit values to both sides; `np.clip` takes twice as long."""
    np.minimum(np.maximum(values, -limit, out=out), limit, out=out)


def _cross(a: Array, b: Array) -> Array:
    """Cross product of two vectors; `np.cross` takes ten times as long."""
    return np.array(
        [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
    )


def _matrix(quat: Array) -> Array:
    flat = np.empty(9)
    mujoco.mju_quat2Mat(flat, quat)
    return flat.reshape(3, 3)
