"""Pick an object up, carry it aside, set it down and let go."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lerobot_neuraltouch import replay, se3

from .carry_env import CarryEnv

Array = NDArray[np.float64]

SHIFT_M = 0.100
"""From the object's start to its goal, level [m]."""
PICKED_M = 0.010
"""By how the object is held when it is this far above its start, the goal is settled [m]."""
LIFTED_M = 0.030
"""It must have been this high above the table on the way [m]."""
CARRY_M = 0.050
"""Height above its start at which it is carried [m]."""
TOLERANCE_M, TOLERANCE_RAD = 0.010, float(np.deg2rad(5.0))

_ALONG, _SPINS = 5, 4


class PickPlaceEnv(CarryEnv):
    """Pick and place.

    ## Description
    The object stands freely on the table and is to be moved by 100 mm from where it stood: upright, not turned, in the direction in which
    it is held. That is the closing direction of the ideal contact next to the grasp, seen from above, at the moment when the object is
    first 10 mm off the table: tcp y, from the left pad to the right one; or, where the hand comes from the side, the way to its left.
    So a rim is carried away from the cup's middle, a handle across itself, a lid whichever way the fingers close. Rims and lids look alike all around: a way that is fixed to the object could
    not be known, one that is fixed to the grasp can, and a recorded motion that is replayed from the grasp (`lerobot_neuraltouch.replay`)
    leads there. A handle that is held 5 deg askew is carried past its goal by 9 mm.

    ## Success
    Needs the object to be within 10 mm and 5 deg of the goal (about the vertical too, but for bottles, which are round), at rest,
    no finger touching it, and lifted by 30 mm on the way.

    ## Info
    - `goal_pos_error_m`: how far the object is from its goal [m]; until it is picked up, as if it were held by the nearest contact.
    """

    task_steps: ClassVar[int] = 500

    @property
    def T_base_goal(self) -> Array:
        """Where the object should end, shape (4, 4): settled when it is picked up, before that by the nearest contact."""
        return (self._shift if self._is_picked else self._shift_now()) @ self.T_base_start

    def _shift_now(self) -> Array:
        """The motion in base to the goal, if the object is held by the nearest contact, shape (4, 4)."""
        return _towards_goal(self._T_base_object @ self._error.T_object_target)

    def carry(self, T_object_target: Array) -> tuple[Array, Array, Array]:
        """Motions in base that bring the object to its goal with a contact, from its start: up, over, down, each of shape (4, 4)."""
        up = se3.transform(translation=(0.0, 0.0, CARRY_M))
        aside = _towards_goal(self._T_base_object @ T_object_target)
        return up, up @ aside, aside

    def way_with(self, T_object_target: Array) -> tuple[Array, ...]:
        """Poses of the tcp that do it with a grasp: before it, there, up, over, down, and back from it, each of shape (4, 4)."""
        before, grasp = super().way_with(T_object_target)
        up, over, down = self.carry(T_object_target)
        return before, grasp, up @ grasp, over @ grasp, down @ grasp, down @ before

    def _can_be_done(self) -> bool:
        """Whether the robot reaches some contact, and the goal with each that it reaches: who grasps does not choose the direction."""
        contacts = [T for T in self.contacts(_ALONG, _SPINS) if self.piece.can_come_in(T)]
        return bool(contacts) and all(self._can_be_done_with(T) for T in contacts)

    def _begin(self) -> None:
        self._is_picked = False
        super()._begin()

    def _watch(self) -> None:
        super()._watch()
        if not self._is_picked and self._rise_m >= PICKED_M:
            self._is_picked, self._shift = True, self._shift_now()

    def _goal_angle_rad(self) -> float:
        if self.task.category == "bottle":
            return float(np.arccos(np.clip(self._T_base_object[2, 2], -1.0, 1.0)))
        return super()._goal_angle_rad()

    def _is_done(self) -> bool:
        return bool(
            np.linalg.norm(self._gap_m) <= TOLERANCE_M
            and self._goal_angle_rad() <= TOLERANCE_RAD
            and self._highest_m >= LIFTED_M
            and self.piece.is_let_go
            and self._at_rest
        )


def _towards_goal(T_base_contact: Array) -> Array:
    """The motion in base along a contact's closing direction, shape (4, 4)."""
    direction = replay.upright(T_base_contact)[:3, 1]
    return se3.transform(translation=SHIFT_M * direction)
