"""Whole tasks that end with the object at a goal, after it has been high above the table."""

from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lerobot_neuraltouch import se3

from .whole_env import WholeEnv

Array = NDArray[np.float64]


class CarryEnv(WholeEnv):
    """Where the object should end, and how far it is from there.

    ## Info
    - `goal_pos_error_m`: how far the object is from its goal [m].
    - `goal_angle_rad`: how far it is turned against it [rad].
    - `privileged/T_base_goal`: pose of the object at the goal.
    """

    @property
    @abstractmethod
    def T_base_goal(self) -> Array:
        """Where the object should end, shape (4, 4)."""

    def _begin(self) -> None:
        self._highest_m = 0.0
        super()._begin()

    def _watch(self) -> None:
        self._highest_m = max(self._highest_m, self._rise_m)

    @property
    def _rise_m(self) -> float:
        """How far the object is above its start [m]."""
        return float(self._T_base_object[2, 3] - self.T_base_start[2, 3])

    @property
    def _gap_m(self) -> Array:
        """From the goal to the object in base [m], shape (3,)."""
        return self._T_base_object[:3, 3] - self.T_base_goal[:3, 3]

    def _goal_angle_rad(self) -> float:
        return float(se3.rotation_angle(se3.inverse(self.T_base_goal) @ self._T_base_object))

    def _progress(self) -> dict[str, float]:
        return {
            "goal_pos_error_m": float(np.linalg.norm(self._gap_m)),
            "goal_angle_rad": self._goal_angle_rad(),
        }

    def privileged(self) -> dict[str, Any]:
        """`info["privileged"]` of the last step."""
        return super().privileged() | {"T_base_goal": self.T_base_goal.copy()}
