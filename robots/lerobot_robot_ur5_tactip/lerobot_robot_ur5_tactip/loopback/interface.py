"""What tests may ask of a loopback controller, wherever it runs."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Self

from .log import Record
from .state import ControllerState

NOT_RUNNING = "The loopback controller is not running: use it in a `with` block."


class Loopback(ABC):
    """A running loopback controller; a context manager that starts and stops it."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @abstractmethod
    def start(self) -> None:
        """Listen on all ports and begin the control steps; returns once clients can connect.

        Raises:
            OSError: If a port of the address is taken.
        """

    @abstractmethod
    def stop(self) -> None:
        """Close all connections and ports and end the thread or process; harmless if it is not running."""

    @abstractmethod
    def reset(self, **settings: Any) -> None:
        """Boot anew: connections, faults, log, program and all that clients have set are gone.

        Args:
            settings: Settings of `LoopbackConfig` to change; any but the address.

        Raises:
            ValueError: If a setting is refused.
        """

    @abstractmethod
    def fault(self, name: str, **settings: Any) -> None:
        """Switch a fault on; it has taken effect on return. See `FAULTS`.

        Raises:
            ValueError: If there is no such fault.
        """

    @abstractmethod
    def clear(self, name: str) -> None:
        """Switch a fault off; harmless if it is not on.

        Raises:
            ValueError: If there is no such fault.
        """

    @abstractmethod
    def set_joints(self, joints: Sequence[float]) -> None:
        """Put the arm at joint angles [rad], shape (6,), at rest, out of any motion. A stream of commands moves it on.

        Raises:
            ValueError: If they are not six angles within the arm's limits.
        """

    @abstractmethod
    def set_wrench(self, wrench: Sequence[float]) -> None:
        """Let the force sensor show a wrench at the tcp in the base frame [N, Nm], shape (6,)."""

    @property
    @abstractmethod
    def state(self) -> ControllerState:
        """What the controller is doing now."""

    @property
    def log(self) -> list[Record]:
        """A copy of the records of the last `LoopbackConfig.log_s` seconds, oldest first."""
        return self.records()

    @abstractmethod
    def records(self, *sources: str, since_s: float = 0.0) -> list[Record]:
        """A copy of some records, oldest first; a good deal cheaper than the whole log if asked for often.

        Args:
            sources: command, event or step; none: all of them.
            since_s: Leave out what is older, by the controller's clock [s].
        """

    @abstractmethod
    def clear_log(self) -> None:
        """Forget all records."""
