"""The gripper on a UR arm: postures for poses, and joint velocities for twists."""

from itertools import pairwise

import mujoco
import numpy as np
from numpy.typing import NDArray

from lerobot_neuraltouch import kinematics, se3
from lerobot_neuraltouch.kinematics import UnreachableError

from .arm_scene import T_FLANGE_TCP, ArmConfig
from .gripper import STEP_S, TICKS, Gripper
from .scene import GripperConfig

Array = NDArray[np.float64]

_T_TCP_FLANGE = se3.inverse(T_FLANGE_TCP)
_WAYPOINTS = 8
"""A way is tried at so many poses."""
_MAX_STEP_RAD = 0.8
"""From one of them to the next no joint may turn further: the arm would be changing its posture."""


class ArmGripper(Gripper):
    """Carried by an arm, whose joint servos are given the velocities of a twist.

    Args:
        model, data: From `scene.compile_model`, with the arm.
        config: The hand that the model was compiled with.
        arm: The arm that it was compiled with.
    """

    def __init__(
        self, model: mujoco.MjModel, data: mujoco.MjData, config: GripperConfig, arm: ArmConfig
    ) -> None:
        super().__init__(model, data, config)
        self.arm = arm
        first = model.joint(kinematics.JOINT_NAMES[0])
        q, v, a = int(first.qposadr[0]), int(first.dofadr[0]), self._act
        # Views of the simulation's state.
        self._joints, self._speeds = data.qpos[q : q + 6], data.qvel[v : v + 6]
        self._set_points, self._commands = data.act[a : a + 6], data.ctrl[:6]
        self._saturation_rad = np.array(arm.max_torque_nm) / arm.stiffness
        self._placed: tuple[bytes, Array] = (b"", np.zeros(6))

    @property
    def joints_rad(self) -> Array:
        """Actual joint angles [rad], shape (6,)."""
        return self._joints

    @property
    def T_base_tcp(self) -> Array:
        """Actual pose of the tcp in base, shape (4, 4)."""
        return kinematics.forward(self.arm.model, self.joints_rad) @ T_FLANGE_TCP

    def place(self, T_base_tcp: Array, finger_distance_m: float) -> None:
        """Put the gripper at rest, without simulating: pose in base, shape (4, 4), and finger distance [m].

        Raises:
            UnreachableError: If the arm has no well-conditioned posture for the pose.
        """
        q = self.posture(T_base_tcp)
        self._joints[:] = self._set_points[:] = q
        self._place_fingers(finger_distance_m)

    def posture(self, T_base_tcp: Array) -> Array:
        """Joint angles [rad] for a pose of the tcp: nearest to home, away from singularities and joint limits, shape (6,).

        Raises:
            UnreachableError: If there are none.
        """
        key = np.ascontiguousarray(T_base_tcp).tobytes()
        if key != self._placed[0]:  # resets try many finger distances at one pose
            self._placed = key, self._find_posture(T_base_tcp)
        return self._placed[1]

    def can_reach(self, T_base_tcp: Array) -> bool:
        """Whether there is a well-conditioned posture for a pose, shape (4, 4)."""
        try:
            self.posture(T_base_tcp)
        except UnreachableError:
            return False
        return True

    def can_move(self, T_base_from: Array, *T_base_to: Array) -> bool:
        """Whether the arm can begin at one pose and bring the tcp straight to the others in turn, shapes (4, 4)."""
        try:
            q = self.posture(T_base_from)
            for T_from, T_to in pairwise((T_base_from, *T_base_to)):
                for T in _straight_way(T_from, T_to):
                    before, q = q, self._inverse(T, q)
                    if np.abs(q - before).max() > _MAX_STEP_RAD or not self._is_fit(q):
                        return False
        except UnreachableError:
            return False
        return True

    def _find_posture(self, T_base_tcp: Array) -> Array:
        T_base_flange = T_base_tcp @ _T_TCP_FLANGE
        for q in kinematics.inverse(self.arm.model, T_base_flange, self.arm.home_rad).q:
            if self._is_fit(q):
                return q
        raise UnreachableError(
            f"The {self.arm.model.name} has no posture away from singularities and joint limits for the tcp at "
            f"{np.round(T_base_tcp[:3, 3], 3).tolist()} m with this orientation."
        )

    def _inverse(self, T_base_tcp: Array, q_near: Array) -> Array:
        return kinematics.nearest_inverse(self.arm.model, T_base_tcp @ _T_TCP_FLANGE, q_near)

    def _is_fit(self, q: Array) -> bool:
        """Whether a posture bends elbow and wrist as home does, is well conditioned and has room to limits and table."""
        model, home, margin = self.arm.model, self.arm.home_rad, self.arm.limit_margin_rad
        if q[2] * home[2] < 0 or q[4] * home[4] < 0:
            return False
        room = np.minimum(q - model.lower_rad, np.subtract(model.upper_rad, q))
        if room.min() < margin:
            return False
        heights = kinematics.link_frames(model, q)[2:6, 2, 3]
        if heights.min() < self.arm.min_height_m:
            return False
        smallest = kinematics.smallest_singular_value(model, q, T_FLANGE_TCP)
        return smallest >= self.arm.min_singular_value

    @property
    def stopped_by(self) -> str:
        """A protective stop, if a finger was pressed too hard in the last control step; else empty."""
        force, allowed = float(self.force_n.max()), self.arm.stop_force_n
        return (
            ""
            if force <= allowed
            else f"protective stop: {force:.0f} N on a finger, allowed {allowed:g} N"
        )

    def _begin(self, twist: Array) -> None:
        # From the set points, here and where they will be: the joints' lag, or one velocity for all of the step, would bend the path.
        self._unwind()
        here = self._motion(self._set_points, twist)
        ahead = self._motion(self._set_points + STEP_S * here.velocity, twist)
        self._velocity, self._change = here.velocity, ahead.velocity - here.velocity
        self.limited_by = ", ".join(dict.fromkeys(here.limited_by + ahead.limited_by))

    def _steer(self, tick: int) -> None:
        if self.stopped_by:
            self._set_points[:], self._commands[:] = self._joints, 0.0
            return
        self._unwind()
        self._commands[:] = self._velocity + (tick + 0.5) / TICKS * self._change

    def _motion(self, q: Array, twist: Array) -> kinematics.JointMotion:
        return kinematics.differential_ik(self.arm.model, q, twist, T_FLANGE_TCP, period_s=STEP_S)

    def _unwind(self) -> None:
        """Take back what of the set points lies beyond saturated servos: a blocked arm shall not store it up."""
        # torque = stiffness (act - q) - damping dq: saturated this far on either side of q + response dq.
        middle = self._joints + self.arm.response_s * self._speeds
        lead = self._set_points - middle
        excess = float(np.abs(lead / self._saturation_rad).max())
        if excess > 1.0:  # all joints alike, which keeps the direction of the push
            self._set_points[:] = middle + lead / excess


def _straight_way(T_from: Array, T_to: Array) -> Array:
    """Poses along a straight line with a constant axis of rotation, both ends included, shape (_WAYPOINTS, 4, 4)."""
    turn = se3.log(se3.inverse(T_from) @ T_to)
    turn[:3] = 0.0
    shares = np.linspace(0.0, 1.0, _WAYPOINTS)[:, None]
    way = T_from @ se3.exp(shares * turn)
    way[:, :3, 3] = T_from[:3, 3] + shares * (T_to[:3, 3] - T_from[:3, 3])
    return way
