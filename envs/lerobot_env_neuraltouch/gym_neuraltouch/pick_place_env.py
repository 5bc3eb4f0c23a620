"""Pick an object up, carry it aside, set it down and let go."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lerobot_neuraltouch import se3

from .whole_env import WholeEnv

Array = NDArray[np.float64]

SHIFT_M = (0.0, 0.10, 0.0)
"""From the object's start to its goal, along the axes of base [m]. Lids and rims look alike all around, so a way that is fixed to
the object could not be known."""
LIFTED_M = 0.030
"""It must have been this high above the table on the way [m]."""
CARRY_M = 0.050
"""Height above its start at which it is carried [m]."""
TOLERANCE_M, TOLERANCE_RAD = 0.010, float(np.deg2rad(5.0))


class PickPlaceEnv(WholeEnv):
    """Pick and place.

    The object stands freely on the table; its goal is 100 mm further along base y, upright and not turned. Right at the end: within
    10 mm and 5 deg (about the vertical too, but for bottles, which are round), at rest, no finger touching, and lifted 30 mm on the
    way. `info` has `goal_pos_error_m` and `goal_angle_rad`: how far the object is from its goal. Everything else: see `WholeEnv`.
    """

    task_steps: ClassVar[int] = 500

    @property
    def T_base_goal(self) -> Array:
        """Where the object should end, shape (4, 4)."""
        return self._shift(0.0) @ self.T_base_start

    def _shift(self, height_m: float) -> Array:
        return se3.transform(translation=(*SHIFT_M[:2], height_m))

    def way_with(self, T_object_target: Array) -> tuple[Array, ...]:
        """Poses of the tcp that do it with a grasp: before it, there, up, over, down, and back from it, each of shape (4, 4)."""
        grasp = self._T_base_object @ T_object_target
        up, down = se3.transform(translation=(0.0, 0.0, CARRY_M)), self._shift(0.0)
        before = self.piece.before(T_object_target)
        return before, grasp, up @ grasp, self._shift(CARRY_M) @ grasp, down @ grasp, down @ before

    def _watch(self) -> None:
        if self._steps == 0:
            self._highest_m = 0.0
        rise = self._T_base_object[2, 3] - self.T_base_start[2, 3]
        self._highest_m = max(self._highest_m, float(rise))

    def _goal_error(self) -> tuple[float, float]:
        goal, actual = self.T_base_goal, self._T_base_object
        distance = float(np.linalg.norm(actual[:3, 3] - goal[:3, 3]))
        if self.task.category == "bottle":
            return distance, float(np.arccos(np.clip(actual[2, 2], -1.0, 1.0)))
        return distance, float(se3.rotation_angle(se3.inverse(goal) @ actual))

    def _progress(self) -> dict[str, float]:
        distance, angle = self._goal_error()
        return {"goal_pos_error_m": distance, "goal_angle_rad": angle}

    def _is_done(self) -> bool:
        distance, angle = self._goal_error()
        return bool(
            distance <= TOLERANCE_M
            and angle <= TOLERANCE_RAD
            and self._highest_m >= LIFTED_M
            and self.piece.is_let_go
            and self._at_rest
        )
