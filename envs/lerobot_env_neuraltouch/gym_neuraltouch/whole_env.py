"""Whole tasks: the object is free from the start, and the episode is about what becomes of it."""

from abc import abstractmethod
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.features import Phase
from lerobot_neuraltouch.objects.model import ObjectModel

from .arm_scene import ARMS
from .holder import Holder
from .scene import GripperConfig
from .touch_env import TouchConfig, TouchEnv, is_calm
from .workpiece import Workpiece, make_item

if TYPE_CHECKING:
    from .demonstrator import Demonstrator

Array = NDArray[np.float64]

CALM_STEPS = 20
CALM_FINGERS_M = 0.0001
"""Once anything was touched, an episode ends when the commanded twist stands still for so many steps, the set point of the fingers
changing by less than this from one to the next [m]."""
TIME_LIMITS = {"perturbed": 200, "perception": 700}
"""Time to grasp [control steps]; each task adds its own."""
REST_STEPS, REST_M, REST_RAD = 10, 0.0005, float(np.deg2rad(0.5))
"""An object rests that has moved and turned less than this over the last steps [m, rad]."""
NOSLIP_ITERATIONS = 3
"""Of MuJoCo's solver that undoes the creep of frictional contacts: without it a mug held by its handle turns by 10 deg in 10 s."""
MOVED_M = 0.003
"""An object this far from its start is being moved [m]."""

_FEW_TARGETS = 5


@dataclass(frozen=True, kw_only=True)
class WholeConfig(TouchConfig):
    """Everything about a whole task that its arguments do not name."""

    gripper: GripperConfig = field(
        default_factory=lambda: GripperConfig(max_force_n=30.0, max_torque_nm=1.0)
    )
    """A free gripper that carries needs more than one that only touches."""


class WholeEnv(TouchEnv):
    """A whole task with the object in hand.

    Actions, observations, starts and the other arguments: see `TouchEnv`.

    ## Phase
    `phase` is 2 once the object is 3 mm off its start.

    ## Rewards
    1 on the last step of an episode that ended right, 0 on all others.

    ## Episode end
    Terminated when, after the first touch, the commanded twist has stayed below 0.5 mm/s and 0.25 deg/s, and the set point of
    the fingers the same within 0.1 mm, for 20 steps: so the policy says that it is done. Truncated at the time limit, by an arm's
    protective stop, or when the simulation diverges (both in `info["failure"]`). `info["is_success"]` is true only on the last step,
    and is read from the state of the physics alone.

    ## Arguments
    - `release`: without effect, the object is free from the start; for commands that set it for all tasks.
    - `config`: `WholeConfig`.

    ## Info
    - `pos_error_m`: error of the grasp along the constrained directions, now [m].
    """

    task_steps: ClassVar[int]
    """Time after the grasp [control steps]."""
    _is_free_at_start: ClassVar[bool] = True

    def __init__(
        self,
        task: str,
        *,
        release: bool = False,
        robot: str = "ur5e",
        config: WholeConfig | None = None,
        **options: Any,
    ) -> None:
        del release  # here the object is free from the start
        super().__init__(task, config or WholeConfig(), robot=robot, **options)
        self.max_episode_steps = TIME_LIMITS[self.start] + self.task_steps

    def demonstrator(self) -> "Demonstrator":
        """Who can show the episode that has just begun: its `act()` gives the next action, its `phase` what that belongs to."""
        from .demonstrator import Demonstrator  # it knows all whole tasks, and so this module

        return Demonstrator(self)

    # --- for the subclass --------------------------------------------------------------------------------------------

    @abstractmethod
    def _watch(self) -> None:
        """Take note of a step that has just been measured."""

    @property
    def _at_rest(self) -> bool:
        before, now = self._poses[0], self._poses[-1]
        moved = float(np.linalg.norm(now[:3, 3] - before[:3, 3]))
        return moved < REST_M and float(se3.rotation_angle(se3.inverse(before) @ now)) < REST_RAD

    @abstractmethod
    def _is_done(self) -> bool:
        """Whether the object is as it should be at the end."""

    def way_with(self, T_object_target: Array) -> tuple[Array, ...]:
        """Poses of the tcp that do the task with a contact, shape (4, 4): before it, there, and so on, each of shape (4, 4)."""
        return self.piece.before(T_object_target), self._T_base_object @ T_object_target

    def contacts(self, along: int, spins: int) -> Array:
        """Ideal contacts in the object's frame: so many along their curve, each with so many spins where any is free, shape (n, 4, 4)."""
        feature = self.piece.feature
        curve = feature.curve(along)
        if feature.free_spin == 2:
            angles = np.linspace(0.0, 2.0 * np.pi, spins, endpoint=False)
            return (curve[:, None] @ se3.exp(angles[:, None] * np.eye(6)[5])).reshape(-1, 4, 4)
        if feature.spin180:
            return np.concatenate([curve, curve @ np.diag([-1.0, -1.0, 1.0, 1.0])])
        return curve

    def _can_be_done(self) -> bool:
        return any(self._can_be_done_with(T) for T in self.piece.feature.curve(_FEW_TARGETS))

    def _can_be_done_with(self, T_object_target: Array) -> bool:
        return self.piece.gripper.can_move(*self.way_with(T_object_target))

    @abstractmethod
    def _progress(self) -> dict[str, float]:
        """How far the task is done, for `info`."""

    def _make_item(self, index: int) -> ObjectModel:
        return make_item(self.task, self.split, index, self.object_path)

    def _make_holder(self, item: ObjectModel) -> Holder | None:
        """What the object is held in at the start."""
        return None

    # --- TouchEnv ----------------------------------------------------------------------------------------------------

    def _build_workpiece(self, index: int) -> Workpiece:
        item = self._make_item(index)
        piece = Workpiece.build(
            item,
            item.feature(self.task.feature),
            self.finger,
            self.config.gripper,
            self.image_size,
            True,
            ARMS.get(self.robot),
            self.gray_map,
            self._make_holder(item),
        )
        piece.model.opt.noslip_iterations = NOSLIP_ITERATIONS
        return piece

    def _begin(self) -> None:
        self._calm, self._set_point_m = 0, self._finger_distance_m
        self._moved = False
        self.T_base_start = self._T_base_object.copy()
        self._poses = deque([self.T_base_start], maxlen=REST_STEPS + 1)
        if self._is_free_at_start:
            self.piece.release()
        self._watch()

    def _follow(self, action: Array, force_n: Array) -> bool:
        self._max_force_n = max(self._max_force_n, float(force_n.max()))
        gap = self._T_base_object[:3, 3] - self.T_base_start[:3, 3]
        self._moved = self._moved or bool(np.linalg.norm(gap) > MOVED_M)
        self._poses.append(self._T_base_object)
        self._watch()
        calm = is_calm(action) and abs(action[6] - self._set_point_m) < CALM_FINGERS_M
        self._set_point_m = float(action[6])
        self._calm = self._calm + 1 if self._fine and calm else 0
        return self._calm >= CALM_STEPS

    def _phase(self) -> int:
        if self._moved:
            return Phase.REPLAY
        return Phase.FINE if self._fine else Phase.COARSE

    def _outcome(self, action: Array, last: bool) -> dict[str, Any]:
        done = last and self._is_done()
        return {
            "is_success": done,
            "pos_error_m": self._error.pos_error_m,
            "cos_error": self._error.cos_error,
            "along_m": self._error.along_m,
            **self._progress(),
            "reward_terms": {"success": float(done)},
        }

    def _reward(self, info: dict[str, Any]) -> float:
        return info["reward_terms"]["success"]
