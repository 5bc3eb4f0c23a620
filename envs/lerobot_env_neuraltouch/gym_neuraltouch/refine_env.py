"""Refine a grasp by touch: bring both fingertips to an ideal contact on a fixed object."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lerobot_neuraltouch.features import Phase, neighbours_in_turn
from lerobot_neuraltouch.objects.contact import ContactError

from . import rewards
from .arm_scene import ARMS
from .touch_env import TouchConfig, TouchEnv, is_calm
from .workpiece import Workpiece, make_item

Array = NDArray[np.float64]

POSITION_TOLERANCE_M = 0.001
ANGLE_TOLERANCE_RAD = float(np.deg2rad(2.5))
PRESS_RANGE_M = (0.001, 0.003)
"""An episode ends right within these errors and presses of both pads [m, rad, m]."""
CALM_STEPS = 5
"""An episode ends when the commanded twist stands still for so many steps with both pads in contact."""
LIFT_HEIGHT_M = 0.030
"""After a release, success also needs the object this far above where it stood [m]."""
TIME_LIMITS = {"perturbed": 200, "perception": 700}
REPLAY_STEPS = 200
"""Time limits [control steps]; a released object adds REPLAY_STEPS."""


@dataclass(frozen=True, kw_only=True)
class RefineConfig(TouchConfig):
    """Everything about a refine environment that its arguments do not name."""

    reward: rewards.RewardWeights = field(default_factory=rewards.RewardWeights)


class RefineEnv(TouchEnv):
    """Refine a grasp by touch.

    Actions, observations, starts and the other arguments: see `TouchEnv`.

    ## Description
    A gripper with two TacTip fingers stands around (or flies to) a contact feature of an object that is
    fixed upright on a table. The policy has to bring the tcp to the feature's ideal pose and press both pads in by 2 mm.

    ## Phase
    `phase` is 2 once the object was released.

    ## Rewards
    Named terms in `info["reward_terms"]` (see `rewards.reward_terms`), summed with `RefineConfig.reward`.

    ## Episode end
    Terminated when the commanded twist has stayed below 0.5 mm/s and 0.25 deg/s for 5 steps with both pads in contact.
    Truncated at 200 control steps (perturbed) or 700 (perception), by an arm's protective stop, or when the simulation diverges (both
    in `info["failure"]`).
    `info["is_success"]` is true only on that last step: within 1 mm and 2.5 deg, both pads pressed 1-3 mm.
    With `release=True` the object is let go instead of terminating and `info["refined"]` turns true; the episode then ends
    when the object has been lifted 30 mm and the twist has been calm again for 5 steps, or 200 steps later, and success
    also needs the object to be lifted and held between both pads. Errors and largest force stay those of the release.
    With `then`, the next contact is wanted instead where a grasp is at rest, or after its time limit: `task_description`, errors,
    rewards and `privileged` are of the new one from that step on. Success needs each of the grasps to have been right.

    ## Arguments
    - `release`: whether the object is let go of and to be lifted, see Episode end.
    - `then`: contact features that are wanted after the task's own, one after another, comma-separated: `mug_wall` after `mug_rim`
      and the reverse.
    - `config`: `RefineConfig`.

    ## Info
    - `refined`: whether the object was let go.
    - `wanted`: contact feature that the errors are of.
    - `privileged/refined`: as above.
    """

    def __init__(
        self,
        task: str,
        *,
        release: bool = False,
        then: str | None = None,
        config: RefineConfig | None = None,
        **options: Any,
    ) -> None:
        config = config or RefineConfig()
        super().__init__(task, config, **options)
        self._later = neighbours_in_turn(self.task.feature, then)
        if self._later and release:
            raise ValueError(
                "An object that is let go has no next contact: release or then, not both."
            )
        self.reward_weights = config.reward
        self.release = release
        self.max_episode_steps = TIME_LIMITS[self.start] + (REPLAY_STEPS if release else 0)
        self.max_episode_steps += len(self._later) * TIME_LIMITS["perturbed"]

    def _build_workpiece(self, index: int) -> Workpiece:
        item = make_item(self.task, self.split, index, self.object_path)
        return Workpiece.build(
            item,
            item.feature(self.task.feature),
            self.finger,
            self.config.gripper,
            self.image_size,
            self.release,
            ARMS.get(self.robot),
            self.gray_map,
        )

    def _begin(self) -> None:
        self._calm = 0
        self._refined_error: ContactError | None = None
        self._to_come = list(self._later)
        self._time_limit = TIME_LIMITS[self.start]
        self._earlier_right = True

    def _follow(self, action: Array, force_n: Array) -> bool:
        if self._refined_error is None:
            self._max_force_n = max(self._max_force_n, float(force_n.max()))
        calm = is_calm(action) and self.piece.gripper.both_touch
        self._calm = self._calm + 1 if calm else 0
        if self._to_come and (self._calm >= CALM_STEPS or self._steps >= self._time_limit):
            self._go_on()
            return False
        return self._ending()

    def _go_on(self) -> None:
        """Let the next contact be the wanted one."""
        self._earlier_right = self._earlier_right and self._is_right()
        self._want(self._to_come.pop(0))
        self._time_limit = self._steps + TIME_LIMITS["perturbed"]
        self._calm = 0

    def _ending(self) -> bool:
        """Whether the ending rule fires; a first firing with `release` lets the object go instead."""
        if self._calm < CALM_STEPS:
            return False
        if not self.release:
            return True
        if self._refined_error is None:
            self._refined_error = self._error
            self._refined_right = self._is_right()
            self._lift_from_m = self._T_base_object[2, 3]
            self.piece.release()
            self._calm = 0
            return False
        return self._lifted()

    def _lifted(self) -> bool:
        return bool(self._T_base_object[2, 3] - self._lift_from_m >= LIFT_HEIGHT_M)

    def _is_right(self) -> bool:
        error, (low, high) = self._error, PRESS_RANGE_M
        return bool(
            error.pos_error_m <= POSITION_TOLERANCE_M
            and error.angle_rad <= ANGLE_TOLERANCE_RAD
            and low <= self._press_m.min()
            and self._press_m.max() <= high
        )

    def _phase(self) -> int:
        if self._refined_error is not None:
            return Phase.REPLAY
        return Phase.FINE if self._fine else Phase.COARSE

    def _outcome(self, action: Array, last: bool) -> dict[str, Any]:
        live, gripper = self._error, self.piece.gripper
        reported = self._refined_error or live
        if self._refined_error is not None:
            right = last and self._refined_right and self._lifted() and gripper.both_touch
        else:
            right = last and not self.release and self._earlier_right and self._is_right()
        return {
            "is_success": right,
            "pos_error_m": reported.pos_error_m,
            "cos_error": reported.cos_error,
            "along_m": reported.along_m,
            "reward_terms": rewards.reward_terms(
                pos_error_m=live.pos_error_m,
                angle_rad=live.angle_rad,
                pad_press_m=self._press_m,
                force_n=gripper.force_n,
                action=action,
                is_success=right,
            ),
            "refined": self._refined_error is not None,
            "wanted": self.wanted.name,
        }

    def privileged(self) -> dict[str, Any]:
        """`info["privileged"]` of the last step."""
        return super().privileged() | {"refined": self._refined_error is not None}

    def _reward(self, info: dict[str, Any]) -> float:
        return rewards.total(info["reward_terms"], self.reward_weights)
