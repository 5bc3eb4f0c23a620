"""What the plugin needs of a gripper, and the two that need no hardware."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from lerobot_neuraltouch import features

GRIPPERS = ("none", "robotiq_urcap", "simulated")


@dataclass(frozen=True, kw_only=True)
class GripperConfig:
    """The gripper between flange and fingers. Distances are between the undeformed pads, negative when both are pressed."""

    kind: str = "none"
    """none (fingers on a fixture) | robotiq_urcap (2F-85 through its URCap's socket) | simulated."""
    fixed_distance_m: float = 0.030
    """Distance of fingers on a fixture, kind none [m]."""
    min_distance_m: float = features.MIN_FINGER_DISTANCE
    """Smallest distance that may be asked for [m]: what is between the pads and how far they may be pressed."""
    max_distance_m: float = features.MAX_FINGER_DISTANCE
    """Largest distance that may be asked for [m]."""
    speed_m_s: float = 0.05
    """Speed of the simulated gripper [m/s]."""

    port: int = 63352
    """The URCap's port on the controller."""
    raw_open: int = 3
    """Robotiq position (0 open to 255 closed) at `open_distance_m`."""
    raw_closed: int = 230
    """Robotiq position at `closed_distance_m`."""
    open_distance_m: float = 0.085
    """Distance of your pads at `raw_open` [m]: measure it, it depends on how the fingers are mounted."""
    closed_distance_m: float = 0.0
    """Distance of your pads at `raw_closed` [m], extrapolated if the skins meet before: measure it."""
    raw_force: int = 0
    """Robotiq force, 0 to 255: 0 is its weakest grip, about 20 N."""
    raw_speed: int = 32
    """Robotiq speed, 0 to 255: 0 is 20 mm/s, 255 is 150 mm/s."""
    max_raw_force: int = 64
    """Largest `raw_force` that is accepted."""

    def __post_init__(self) -> None:
        if self.kind not in GRIPPERS:
            raise ValueError(f"Unknown gripper '{self.kind}'. Available: {', '.join(GRIPPERS)}.")
        if not self.min_distance_m < self.max_distance_m:
            raise ValueError(
                f"min_distance_m must be below max_distance_m, got {self.min_distance_m} and {self.max_distance_m}."
            )
        if not 0 <= self.raw_open < self.raw_closed <= 255:
            raise ValueError(
                f"0 <= raw_open < raw_closed <= 255 must hold, got {self.raw_open} and {self.raw_closed}."
            )
        if not self.closed_distance_m < self.open_distance_m:
            raise ValueError(
                f"closed_distance_m must be below open_distance_m, got {self.closed_distance_m} and {self.open_distance_m}."
            )
        if not (0 <= self.raw_force <= self.max_raw_force <= 255 and 0 <= self.raw_speed <= 255):
            raise ValueError(
                f"raw_force must be 0 to max_raw_force ({self.max_raw_force}) and raw_speed 0 to 255, got {self.raw_force} "
                f"and {self.raw_speed}."
            )

    def clip(self, distance_m: float) -> float:
        """The distance that is commanded when this one is asked for [m]."""
        if self.kind == "none":
            return self.fixed_distance_m
        return min(max(distance_m, self.min_distance_m), self.max_distance_m)


class Gripper(Protocol):
    """Fingers with a distance. No method but `connect` and `disconnect` blocks."""

    def connect(self) -> None:
        """Reach the gripper, without moving it.

        Raises:
            GripperError: If it is not there or not ready.
        """
        ...

    def read(self) -> float:
        """Finger distance [m].

        Raises:
            GripperError: If the gripper is lost or in fault.
        """
        ...

    def command(self, distance_m: float) -> None:
        """Go to a distance [m]; only the latest one counts."""
        ...

    def stop(self) -> None:
        """Stay where it is: a grip that holds something goes on holding it."""
        ...

    def disconnect(self) -> None:
        """Let go of the connection; the fingers stay as they are. May be called twice."""
        ...


class NoGripper:
    """Fingers on a fixture."""

    def __init__(self, config: GripperConfig) -> None:
        self._distance_m = config.fixed_distance_m

    def connect(self) -> None:
        """Nothing to reach."""

    def read(self) -> float:
        """The fixture's distance [m]."""
        return self._distance_m

    def command(self, distance_m: float) -> None:
        """Nothing to move."""

    def stop(self) -> None:
        """Nothing moves."""

    def disconnect(self) -> None:
        """Nothing to let go of."""


class SimulatedGripper:
    """Fingers that reach each distance at constant speed, with nothing between them.

    Args:
        config: Speed; it starts at the largest distance.
        clock: Monotonic time [s].
    """

    def __init__(
        self, config: GripperConfig, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._speed, self._clock = config.speed_m_s, clock
        self._distance_m = self._target_m = config.max_distance_m
        self._at = clock()

    def connect(self) -> None:
        """Nothing to reach."""

    def read(self) -> float:
        """Finger distance now [m]."""
        now = self._clock()
        reach = self._speed * (now - self._at)
        self._at = now
        self._distance_m += min(max(self._target_m - self._distance_m, -reach), reach)
        return self._distance_m

    def command(self, distance_m: float) -> None:
        """Go to a distance [m]."""
        self.read()
        self._target_m = distance_m

    def stop(self) -> None:
        """Stay."""
        self.command(self.read())

    def disconnect(self) -> None:
        """Nothing to let go of."""
