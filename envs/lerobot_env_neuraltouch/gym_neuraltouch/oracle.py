"""Scripted solutions of the whole tasks by someone who sees the truth: they show that the tasks can be done.

A plan is a generator of actions: each `yield` is one control step, after which the environment's state is read again.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.features import (
    MAX_ANGULAR_SPEED,
    MAX_LINEAR_SPEED,
    MIN_FINGER_DISTANCE,
    start_opening,
)
from lerobot_neuraltouch.rl.teacher import ServoTeacher

from .whole_env import WholeEnv

Array = NDArray[np.float64]
Steps = Iterator[Array]

SAFE_M = 0.100
"""The tcp passes this far above objects [m]."""
SQUEEZE_M = 0.020
"""A carrying grip's set point lies this far below the distance at the touch [m]: the skins go onto their stops in 6 mm, the rest is the
gripper's whole force. A mug of 0.38 kg on its handle needs it, or it turns between the pads."""
SQUEEZE_STEPS = 10
_GAIN_PER_S = 5.0
_FOLLOW_GAIN_PER_S = 8.0
"""Commanded speed per remaining distance: to a goal, and along a way of poses one control step apart."""
_ARRIVED_M, _ARRIVED_RAD = 0.001, float(np.deg2rad(0.7))
_PATIENCE = 60
"""A goal that comes no nearer for so many steps is given up."""


class Hand:
    """Motions of the gripper in one episode.

    Args:
        env: The environment, just reset.
    """

    def __init__(self, env: WholeEnv) -> None:
        self.env, self.piece = env, env.piece
        self.gripper = env.piece.gripper
        self.set_point_m = self.gripper.finger_distance_m
        self.has_come = False
        """Whether it has begun to close on the contact."""
        self.T_base_grasp: Array | None = None
        """Pose of the tcp at the end of the first touch, shape (4, 4)."""
        self.grasp_distance_m = np.nan
        """And the fingers' distance there [m]."""

    def go_to(
        self,
        T_base_goal: Array,
        *,
        speed: float = MAX_LINEAR_SPEED,
        held: bool = False,
        tolerance_m: float = _ARRIVED_M,
        tolerance_rad: float = _ARRIVED_RAD,
        unless: Callable[[], bool] = lambda: False,
    ) -> Steps:
        """Bring the tcp, or with `held` the object in hand, straight to a pose, shape (4, 4), `unless` something has happened."""
        best, waited = np.inf, 0
        while waited < _PATIENCE and not unless():
            gap = self._gap(T_base_goal, held)
            away = np.linalg.norm(gap[:3]) / tolerance_m, np.linalg.norm(gap[3:]) / tolerance_rad
            if max(away) < 1.0:
                return
            best, waited = (sum(away), 0) if sum(away) < best - 0.05 else (best, waited + 1)
            yield self._action(_GAIN_PER_S * gap, speed)

    def hold(self, steps: int) -> Steps:
        """Stand still."""
        for _ in range(steps):
            yield self._action(np.zeros(6))

    def grip_to(self, set_point_m: float, steps: int) -> Steps:
        """Move the fingers' set point evenly [m]."""
        for share in np.linspace(1.0 / steps, 1.0, steps):
            goal = self.set_point_m + share * (set_point_m - self.set_point_m)
            yield self._action(np.zeros(6), set_point_m=float(goal))
        self.set_point_m = set_point_m

    def come_to(self, way: Sequence[Array]) -> Steps:
        """Along a way from afar."""
        for T in way:
            yield from self.go_to(T, tolerance_m=0.003, tolerance_rad=0.03)

    def touch(self, steps: int = 100) -> Steps:
        """Close gently on the contact until it is right."""
        self.has_come = True
        teacher = ServoTeacher()
        for _ in range(steps):
            privileged = self.env.privileged()
            action = teacher.act(privileged)
            press = privileged["pad_press_m"]
            if press.min() > 0.0015 and np.abs(privileged["target_twist"][:3]).max() < 0.0007:
                break
            yield action
        self.set_point_m = self.gripper.finger_distance_m
        if self.T_base_grasp is None:
            self.T_base_grasp, self.grasp_distance_m = self.gripper.T_base_tcp, self.set_point_m

    def follow(self, T_base_goal: Array, set_point_m: float) -> Array:
        """The action towards the next pose of a way, shape (4, 4), and set point of the fingers [m]."""
        self.set_point_m = set_point_m
        return self._action(_FOLLOW_GAIN_PER_S * self._gap(T_base_goal, held=False))

    def squeeze(self) -> Steps:
        """Grip firmly enough to carry."""
        goal = max(self.gripper.finger_distance_m - SQUEEZE_M, MIN_FINGER_DISTANCE)
        yield from self.grip_to(goal, SQUEEZE_STEPS)
        yield from self.hold(3)

    def let_go(self) -> Steps:
        """Open slowly, then wide."""
        opening = start_opening(self.piece.feature.part_thickness_m)
        touching = self.gripper.finger_distance_m
        yield from self.grip_to(touching, 10)
        yield from self.grip_to(touching + 0.010, 20)
        yield from self.grip_to(opening, 10)
        yield from self.hold(3)

    def back_off(self, distance_m: float = 0.060) -> Steps:
        """Straight back."""
        back = se3.transform(translation=(0.0, 0.0, -distance_m))
        yield from self.go_to(self.gripper.T_base_tcp @ back)

    def ways_to(self, T_base_before: Array) -> list[list[Array]]:
        """Up, over and down to a pose, then ways that are shorter but less clear of the object."""
        here = self.gripper.T_base_tcp
        top = float(self.piece.item.mesh.bounds[1, 2]) + self.env.T_base_start[2, 3]
        height = max(top + SAFE_M, here[2, 3])
        over = T_base_before.copy()
        over[2, 3] = max(height, over[2, 3])
        up = here.copy()
        up[2, 3] = height
        return [[up, over, T_base_before], [over, T_base_before], [T_base_before]]

    def _gap(self, T_base_goal: Array, held: bool) -> Array:
        """The way to a goal as a straight line and a rotation, both in the tcp frame [m, rad], shape (6,)."""
        T_base_tcp = self.gripper.T_base_tcp
        if held:
            T_base_goal = T_base_goal @ se3.inverse(self.piece.T_base_object) @ T_base_tcp
        T_tcp_goal = se3.inverse(T_base_tcp) @ T_base_goal
        turn = se3.log(se3.transform(T_tcp_goal[:3, :3]))[3:]
        return np.concatenate([T_tcp_goal[:3, 3], turn])

    def _action(
        self, twist: Array, speed: float = MAX_LINEAR_SPEED, set_point_m: float | None = None
    ) -> Array:
        linear, angular = np.abs(twist[:3]).max(), np.abs(twist[3:]).max()
        scale = min(
            1.0, speed / max(float(linear), 1e-12), MAX_ANGULAR_SPEED / max(float(angular), 1e-12)
        )
        return np.append(scale * twist, self.set_point_m if set_point_m is None else set_point_m)


def still(hand: Hand) -> Steps:
    """Stand still for good."""
    while True:
        yield from hand.hold(1)
