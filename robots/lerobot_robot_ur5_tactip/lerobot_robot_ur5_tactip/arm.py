"""What the plugin needs of an arm: its state, a twist to follow, a stop."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

ROBOT_MODE_RUNNING = 7
"""The controller's `robot_mode` with power on and brakes released."""


class SafetyBit:
    """Bits of the controller's `safety_status_bits` (Real-Time Data Exchange guide)."""

    NORMAL = 1 << 0
    REDUCED = 1 << 1
    PROTECTIVE_STOP = 1 << 2
    RECOVERY = 1 << 3
    SAFEGUARD_STOP = 1 << 4
    SYSTEM_EMERGENCY_STOP = 1 << 5
    ROBOT_EMERGENCY_STOP = 1 << 6
    EMERGENCY_STOP = 1 << 7
    VIOLATION = 1 << 8
    FAULT = 1 << 9
    STOPPED_FOR_SAFETY = 1 << 10


@dataclass(frozen=True)
class ArmState:
    """One reading of the controller's state stream."""

    stamp_s: float
    """The controller's own time [s]; a live stream advances it."""
    q: Array
    """Joint angles [rad], shape (6,)."""
    tcp: Array
    """tcp in base: position [m] and rotation vector [rad], shape (6,)."""
    wrench: Array
    """Force [N] and torque [Nm] at the tcp, shape (6,)."""
    safety_bits: int = SafetyBit.NORMAL
    robot_mode: int = ROBOT_MODE_RUNNING
    is_program_running: bool = True
    """Whether a program runs on the controller; while connected that is the one that follows our twists."""
    speed_fraction: float = 1.0
    """The pendant's speed slider, 0 to 1."""


class Arm(Protocol):
    """An arm that follows twists. All methods but `read` are called by one thread at a time."""

    def connect(self) -> None:
        """Reach the controller and make it ready to move, without moving it.

        Raises:
            UR5TacTipError: If that is not possible; the message holds the remedy. Nothing stays connected then.
        """
        ...

    def read(self) -> ArmState:
        """Latest state received; never blocks on the network.

        Raises:
            LinkError: If the connection is known to be lost.
        """
        ...

    def start_watchdog(self, rate_hz: float) -> None:
        """From now on the controller ends the program when it hears of this process less often than this.

        Before the first twist it hears of it by itself; after that only by twists.
        """
        ...

    def follow(self, twist: Array) -> None:
        """Move with a twist of the tcp in base [m/s, rad/s], shape (6,), until the next call.

        Raises:
            LinkError, ProgramStoppedError: If the controller does not take it.
        """
        ...

    def stop(self) -> None:
        """Stand still as fast as is gentle; whatever state the controller is in, this does not raise."""
        ...

    def disconnect(self) -> None:
        """Stop, end the controller's program and let go of it; may be called at any time and does not raise."""
        ...
