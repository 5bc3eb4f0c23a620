"""The demonstrator of recorded episodes: the privileged teacher, then a scripted lift once the object is let go of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from lerobot_neuraltouch import features, se3
from lerobot_neuraltouch.rl.teacher import ServoTeacher

Array = NDArray[np.float64]
_DT = 1.0 / features.CONTROL_HZ


@dataclass(frozen=True, kw_only=True)
class LiftConfig:
    """The motion after the grasp: squeeze, lift straight up, hold."""

    squeeze_m: float = 0.015
    """Finger set point below the distance at the grasp [m]: 7 mm press both skins onto their stops, the rest grips with
    2 N/mm, as far as the range of set points allows."""
    squeeze_steps: int = 8
    """Control steps over which the set point goes there."""
    height_m: float = 0.050
    """Height of the lift [m]."""
    speed: float = 0.020
    """Speed of the lift [m/s]."""
    hold_steps: int = 10
    """Control steps of standing still at the top."""


class Expert(Protocol):
    """Who labels one episode."""

    def act(self, info: Mapping[str, Any], state: Array) -> Array:
        """The action to show at this step, shape (7,).

        Args:
            info: Of the environment's last step or reset.
            state: `observation.state`.
        """
        ...

    def phase(self, info: Mapping[str, Any], observed: int) -> int:
        """One of `features.Phase`, given what the environment can know of it."""
        ...

    @property
    def is_over(self) -> bool:
        """Whether everything has been shown."""
        ...


class TaskExpert:
    """Shows a whole task as the environment's own demonstrator does. Make one per episode, after its reset.

    Args:
        env: An environment of a whole task.
    """

    is_over = False
    """The environment ends the episode."""

    def __init__(self, env: gym.Env):
        self._demonstrator: Any = env.unwrapped.demonstrator()  # pyright: ignore[reportAttributeAccessIssue]

    def act(self, info: Mapping[str, Any], state: Array) -> Array:
        """See `Expert`."""
        return self._demonstrator.act()

    def phase(self, info: Mapping[str, Any], observed: int) -> int:
        """See `Expert`."""
        return self._demonstrator.phase


@dataclass
class GraspExpert:
    """Shows a grasp and the lift after it. Make one per episode.

    Args:
        lift: The motion once `info["refined"]` is true; without one, the teacher goes on.
    """

    lift: LiftConfig | None = None
    teacher: ServoTeacher = field(default_factory=ServoTeacher)
    _T_base_grasp: Array | None = field(default=None, init=False)
    _grasp_distance: float = field(default=0.0, init=False)
    _step: int = field(default=0, init=False)

    def act(self, info: Mapping[str, Any], state: Array) -> Array:
        """The action to show at this step, shape (7,).

        Args:
            info: Of the environment's last step or reset; `privileged` is what the teacher reads.
            state: `observation.state`.
        """
        if self.lift is None or not info.get("refined", False):
            return self.teacher.act(info["privileged"])
        T_base_tcp = se3.from_rotvec_pose(np.asarray(state[:6], np.float64))
        if self._T_base_grasp is None:
            self._T_base_grasp, self._grasp_distance = T_base_tcp, float(state[6])
        self._step += 1
        return _lift_action(
            self.lift, self._step, T_base_tcp, self._T_base_grasp, self._grasp_distance
        )

    def phase(self, info: Mapping[str, Any], observed: int) -> int:
        """See `Expert`: after the grasp the lift is shown; before it, every frame of a touch demonstration is fine phase."""
        lifts = self.lift is not None and info.get("refined", False)
        return features.Phase.REPLAY if lifts else observed

    @property
    def is_over(self) -> bool:
        """Whether the whole motion after the grasp has been shown."""
        if self.lift is None:
            return False
        rise = int(np.ceil(self.lift.height_m / (self.lift.speed * _DT)))
        return self._step >= self.lift.squeeze_steps + rise + self.lift.hold_steps


def _lift_action(
    lift: LiftConfig, step: int, T_base_tcp: Array, T_base_grasp: Array, grasp_distance: float
) -> Array:
    squeeze = lift.squeeze_m * min(step / lift.squeeze_steps, 1.0)
    rise = (step - lift.squeeze_steps) * lift.speed * _DT
    T_base_goal = T_base_grasp.copy()
    T_base_goal[2, 3] += float(np.clip(rise, 0.0, lift.height_m))
    twist = se3.log(se3.inverse(T_base_tcp) @ T_base_goal) / _DT
    action = np.append(twist, grasp_distance - squeeze)
    return np.clip(action, features.ACTION_LOW, features.ACTION_HIGH)
