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
from .gripper import Gripper
from .scene import GripperConfig

Array = NDArray[np.float64]

_MAX_LEAD_M = 0.001
_MAX_LEAD_RAD = math.radians(1.0)
"""The set point never runs further than this ahead of the actual pose, or it would wind up against an obstacle."""


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
        self._q = int(first.qposadr[0])
        self._v = int(first.dofadr[0])

    def place(self, T_base_tcp: Array, finger_distance_m: float) -> None:
        """Put the gripper at rest, without simulating: pose in base, shape (4, 4), and finger distance [m]."""
        data = self.data
        data.mocap_pos[self._anchor] = T_base_tcp[:3, 3]
        mujoco.mju_mat2Quat(data.mocap_quat[self._anchor], T_base_tcp[:3, :3].ravel())
        data.qpos[self._q : self._q + 7] = (0, 0, 0, 1, 0, 0, 0)
        data.act[self._act : self._act + 6] = 0
        self._place_fingers(finger_distance_m)

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

    def _begin(self, twist: Array) -> None:
        self._move_anchor()
        self._v_tcp, omega = twist[:3], twist[3:]
        self._turn = _cross(omega, self._v_tcp)
        self._turn2 = _cross(omega, self._turn)
        self.data.ctrl[3:6] = omega

    def _steer(self, tick: int) -> None:
        t = (tick + 0.5) * TICK_S
        self.data.ctrl[:3] = self._v_tcp + t * self._turn + (0.5 * t * t) * self._turn2

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
