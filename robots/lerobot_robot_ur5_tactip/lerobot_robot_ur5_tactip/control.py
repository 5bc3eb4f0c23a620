"""ur-rtde's control interface in a process of its own, which can be ended whatever state it is in.

After a lost connection the interface of ur-rtde 1.6.5 connects anew from a thread of its own, over and over, and keeps the
controller's registers while it does; within this process nothing can end that. It also may wait without end for a controller
that is silent.
"""

import os
import threading
import time
from contextlib import suppress
from typing import Any

from .child import Child, answer_requests
from .errors import LinkError
from .ur_rtde import open_control

_OPEN_S = 20.0
"""How long connecting may take, five seconds of which the controller may take to start the program."""
_SETUP_S = 5.0
_LOOK_EVERY_S = 0.002
_KICK_S = 0.05
"""How often the watchdog hears of a client that has not moved anything yet; the slowest watchdog waits for four times that."""
_STREAM_S = 0.2
"""A twist that is not taken within this time is lost: the controller's watchdog has stopped the arm by then."""


class Control:
    """The parent's side: the calls that the arm needs. One thread at a time.

    Args:
        host: The controller's address.
        upper_registers: Use the registers 24 to 47.

    Raises:
        LinkError: If the controller refuses; the message holds the remedy.
        ImportError: If ur-rtde is missing.
    """

    def __init__(self, host: str, *, upper_registers: bool = False) -> None:
        self._child = Child("control")
        try:
            self.call("open", host, upper_registers, timeout_s=_OPEN_S)
        except BaseException:
            self.kill()
            raise

    def call(self, method: str, *arguments: Any, timeout_s: float = _SETUP_S) -> Any:
        """Call a method of ur-rtde's control interface.

        Raises:
            LinkError: If the connection is lost or the controller does not answer.
        """
        try:
            return self._child.ask(method, *arguments, timeout_s=timeout_s)
        except LinkError:
            raise
        except (OSError, RuntimeError) as error:
            raise LinkError(
                f"The connection to the controller is lost ({method}: {error}). Check cable and network, then connect again."
            ) from error

    def follow(self, twist: list[float], acceleration_m_s2: float) -> bool:
        """Move with a twist in base [m/s, rad/s] until the next one; False if no program runs that could.

        Raises:
            LinkError: If the connection is lost, or the controller does not answer in time.
        """
        return self.call("speedL", twist, acceleration_m_s2, timeout_s=_STREAM_S)

    def close(self) -> None:
        """End the controller's program and the process."""
        with suppress(LinkError):
            self.call("stopScript")
        self._child.stop()

    def kill(self) -> None:
        """End the process at once; the controller's watchdog ends its program."""
        self._child.kill()


def serve(handle: int) -> None:
    """The child: opens the interface when asked to, then calls what it is asked to on it.

    From the arming of the watchdog to the first twist this process says by itself that the client is there: the parent may be
    busy for longer than the watchdog waits. From then on only twists count.
    """
    interface: Any = None
    is_waiting = False

    def do(method: str, *arguments: Any) -> Any:
        nonlocal interface, is_waiting
        if method != "open":
            answer = getattr(interface, method)(*arguments)
            is_waiting = method == "setWatchdog" or (is_waiting and method != "speedL")
            return answer
        host, upper_registers = arguments
        interface = open_control(host, upper_registers=upper_registers)
        threading.Thread(target=_end_with, args=[interface], daemon=True).start()
        return None

    def wait() -> None:
        if is_waiting:
            interface.kickWatchdog()

    answer_requests(handle, do, wait, _KICK_S)
    _end()


def _end_with(interface: Any) -> None:
    """End the process as soon as the connection breaks: no twist in flight is sent again on a new one."""
    while interface.isConnected():
        time.sleep(_LOOK_EVERY_S)
    _end()


def _end() -> None:
    """Without ur-rtde's own clean-up, which may wait without end; the sockets close with the process."""
    os._exit(0)
