"""Motions towards a pose, and the guarded way in. Twists are (v, omega) of the tcp in the tcp frame [m/s, rad/s]."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from lerobot_neuraltouch import features, replay, se3
from lerobot_neuraltouch.ndf.approach import GripperShape
from lerobot_policy_neuraltouch.settings import CoarseSettings

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Feel:
    """What one environment reports at one step."""

    T_base_tcp: Array
    """(4, 4)"""
    finger_distance: float
    """[m]"""
    touch: tuple[bool, bool]
    """Whether the left and the right finger touch."""

    @property
    def both(self) -> bool:
        """Both fingers touch."""
        return all(self.touch)

    @property
    def any(self) -> bool:
        """Some finger touches."""
        return any(self.touch)


def pose_gap(T_base_tcp: Array, T_base_goal: Array) -> Array:
    """Way to a goal as straight line (3) [m] and rotation vector (3) [rad], both in the tcp frame, shape (6,)."""
    T_tcp_goal = se3.inverse(T_base_tcp) @ T_base_goal
    return np.concatenate([T_tcp_goal[:3, 3], Rotation.from_matrix(T_tcp_goal[:3, :3]).as_rotvec()])


def limit_twist(twist: Array, linear: float, angular: float) -> Array:
    """Shorten a twist, keeping its direction, so that |v| <= linear and |omega| <= angular."""
    v, w = np.linalg.norm(twist[:3]), np.linalg.norm(twist[3:])
    return twist * min(1.0, linear / max(float(v), 1e-12), angular / max(float(w), 1e-12))


@dataclass(frozen=True)
class Leg:
    """A straight piece of the way."""

    T_base_goal: Array
    """(4, 4)"""
    linear_speed: float
    """[m/s]"""
    guarded: bool
    """The first touch ends it."""
    open_m: float = 0.0
    """It ends only once the fingers are this far apart [m]."""


def _overlap(T_base_tcp: Array, cloud: NDArray[np.floating]) -> float:
    """How far a hand at a pose (4, 4) has to go straight back to be clear of a cloud (N, 3) in base [m]."""
    hand = GripperShape()
    local = se3.apply(se3.inverse(T_base_tcp), np.asarray(cloud, np.float64))
    in_the_way = (np.abs(local[:, :2]) < hand.palm_half_size_m).all(axis=1)
    return hand.tip_m - float(local[in_the_way, 2].min(initial=np.inf))


@dataclass
class CoarseMotion:
    """To the pre-approach pose, then straight in until the coarse pose, the first touch or an obstacle."""

    settings: CoarseSettings
    legs: list[Leg]
    best: float = field(default=np.inf, init=False)
    waited: int = field(default=0, init=False)

    @classmethod
    def towards(
        cls, T_base_goal: Array, cloud: NDArray[np.floating], settings: CoarseSettings
    ) -> "CoarseMotion":
        """The way to a coarse pose (4, 4) on an object, of which a cloud (N, 3) is seen in base."""
        length = max(settings.approach_m, _overlap(T_base_goal, cloud) + settings.clear_m)
        T_base_before = T_base_goal @ se3.transform(translation=(0.0, 0.0, -length))
        return cls(
            settings,
            [
                Leg(T_base_before, features.MAX_LINEAR_SPEED, guarded=False),
                Leg(T_base_goal, settings.approach_speed, guarded=True),
            ],
        )

    @classmethod
    def onwards(
        cls, T_base_tcp: Array, direction: Array, opening: float, settings: CoarseSettings
    ) -> "CoarseMotion":
        """Open the fingers to `opening` [m] at a pose (4, 4), then go on in a direction of the tcp frame (3,), the first touch ending it."""
        ahead = se3.transform(translation=settings.retry_advance_m * direction)
        return cls(
            settings,
            [
                Leg(T_base_tcp, settings.approach_speed, guarded=False, open_m=opening),
                Leg(T_base_tcp @ ahead, settings.approach_speed, guarded=True),
            ],
        )

    def step(self, feel: Feel) -> Array | None:
        """The twist of this step, shape (6,), or None at the end of the way."""
        while self.legs:
            gap = pose_gap(feel.T_base_tcp, self.legs[0].T_base_goal)
            if not self._leg_ended(gap, feel):
                return limit_twist(
                    self.settings.gain * gap, self.legs[0].linear_speed, features.MAX_ANGULAR_SPEED
                )
            leg = self.legs.pop(0)
            if leg.guarded and self.waited > self.settings.blocked_steps:
                self.legs = [self._retreat(feel)]
            self.best, self.waited = np.inf, 0
        return None

    def _leg_ended(self, gap: Array, feel: Feel) -> bool:
        if self.legs[0].guarded and feel.any:
            self.legs = self.legs[:1]
            return True
        distance = float(np.linalg.norm(gap[:3])) / self.settings.position_tolerance_m
        angle = float(np.linalg.norm(gap[3:])) / self.settings.angle_tolerance_rad
        if distance + angle < self.best - 0.1:
            self.best, self.waited = distance + angle, 0
        else:
            self.waited += 1
        blocked = self.legs[0].guarded and self.waited > self.settings.blocked_steps
        arrived = max(distance, angle) < 1.0 and feel.finger_distance > self.legs[0].open_m - 0.001
        return arrived or blocked or self.waited > self.settings.patience

    def _retreat(self, feel: Feel) -> Leg:
        back = se3.transform(translation=(0.0, 0.0, -self.settings.retreat_m))
        return Leg(feel.T_base_tcp @ back, self.settings.approach_speed, guarded=False)


@dataclass
class ReplayMotion:
    """The skill's recorded motion, open loop from the refined grasp; at its end the tcp stands still."""

    T_base_grasp: Array
    """Refined grasp (4, 4)."""
    grasp_finger_distance: float
    """Measured at the refined grasp [m]."""
    motion: Array
    """Displacement of the tcp from the grasp after each step, see `lerobot_neuraltouch.replay`, (L, 4, 4)."""
    fingers: Array
    """Set point less the distance measured at the grasp [m], (L,)."""
    set_point: float
    """Finger set point to keep where nothing is recorded [m]."""
    gain: float = 8.0
    """Commanded speed per remaining distance [1/s]; a little below one over the control period."""
    index: int = field(default=0, init=False)
    done: bool = field(default=False, init=False)
    _poses: Array = field(init=False)
    """T_base_tcp after each step (L, 4, 4)."""

    def __post_init__(self) -> None:
        self._poses = replay.poses_from(self.T_base_grasp, self.motion)

    def step(self, feel: Feel) -> tuple[Array, float]:
        """Twist (6,) and finger set point [m] of this step."""
        last = len(self._poses) - 1
        if last < 0:
            self.done = True
        if self.done:
            return np.zeros(6), self.set_point
        at = min(self.index, last)
        self.index += 1
        gap = pose_gap(feel.T_base_tcp, self._poses[at])
        self.set_point = self.grasp_finger_distance + float(self.fingers[at])
        arrived = np.linalg.norm(gap[:3]) < 5e-4 and np.linalg.norm(gap[3:]) < 5e-3
        self.done = at == last and (bool(arrived) or self.index > 2 * len(self._poses) + 20)
        twist = limit_twist(self.gain * gap, features.MAX_LINEAR_SPEED, features.MAX_ANGULAR_SPEED)
        return twist, self.set_point
