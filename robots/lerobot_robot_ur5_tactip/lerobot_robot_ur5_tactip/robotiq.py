"""A Robotiq 2F-85 through the socket of its URCap: ASCII requests, answered in a thread of its own.

It never activates the gripper: activation closes the fingers fully and would crush two TacTips.
Source: Robotiq, 2F-85 instruction manual for e-Series (register map; ACT, GTO, STA, POS, OBJ, FLT).
"""

import socket
import threading
from collections.abc import Callable

from .errors import GripperError
from .gripper import GripperConfig

_TIMEOUT_S = 1.0
"""A gripper that is silent for longer is lost."""
_PERIOD_S = 0.02
"""Between two questions for the position."""
_ACTIVE = 3
"""STA of an activated gripper."""


class RobotiqGripper:
    """Robotiq 2F-85 on a controller.

    Args:
        config: Calibration of the distance, and force and speed.
        host: The controller's address.
    """

    def __init__(self, config: GripperConfig, host: str) -> None:
        self._config, self._host = config, host
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self._target_raw: int | None = None
        self._raw = config.raw_open
        self._fault: GripperError | None = None

    def connect(self) -> None:
        """Reach the gripper and start following it.

        Raises:
            GripperError: If it does not answer, is not activated or in fault.
        """
        try:
            self._socket = socket.create_connection(
                (self._host, self._config.port), timeout=_TIMEOUT_S
            )
            status = self._get("STA")
            if status != _ACTIVE:
                raise GripperError(
                    f"The gripper is not activated (STA {status}, wanted {_ACTIVE}). Take the TacTips off or clear the fingers' "
                    "whole stroke, activate it at the pendant, and connect again: it is never activated from here, because "
                    "activation closes the fingers fully."
                )
            self._check_fault()
            self._raw = self._get("POS")
        except OSError as error:
            self._hang_up()
            raise GripperError(
                f"No Robotiq gripper at {self._host}:{self._config.port} ({error}). Install its URCap and switch the tool on, "
                "or set gripper.kind to none."
            ) from error
        except GripperError:
            self._hang_up()
            raise
        self._closing.clear()
        self._thread = threading.Thread(target=self._run, name="ur5_tactip gripper", daemon=True)
        self._thread.start()

    def read(self) -> float:
        """Finger distance [m].

        Raises:
            GripperError: If the gripper is lost or in fault.
        """
        if self._fault is not None:
            raise self._fault
        return self._to_distance(self._raw)

    def command(self, distance_m: float) -> None:
        """Go to a distance [m]; only the latest one counts."""
        self._target_raw = self.to_raw(distance_m)

    def stop(self) -> None:
        """Stay: the last target goes on holding."""

    def disconnect(self) -> None:
        """End the thread and the connection; the fingers stay as they are."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(2 * _TIMEOUT_S)
            self._thread = None
        self._hang_up()

    def to_raw(self, distance_m: float) -> int:
        """The gripper's position, 0 to 255, for a distance [m], within the calibrated range."""
        c = self._config
        share = (c.open_distance_m - distance_m) / (c.open_distance_m - c.closed_distance_m)
        raw = round(c.raw_open + share * (c.raw_closed - c.raw_open))
        return min(max(raw, c.raw_open), c.raw_closed)

    def _to_distance(self, raw: int) -> float:
        c = self._config
        share = (raw - c.raw_open) / (c.raw_closed - c.raw_open)
        return c.open_distance_m - share * (c.open_distance_m - c.closed_distance_m)

    def _run(self) -> None:
        sent, turn = None, 0
        try:
            while not self._closing.wait(_PERIOD_S):
                target = self._target_raw
                if target is not None and target != sent:
                    self._set(target)
                    sent = target
                self._raw = self._get("POS")
                turn += 1
                if turn % 10 == 0:
                    self._check_fault()
        except OSError as error:
            self._fault = GripperError(
                f"The gripper is lost ({error}). Check it, then connect again."
            )
        except GripperError as error:
            self._fault = error

    def _check_fault(self) -> None:
        fault = self._get("FLT")
        if fault:
            raise GripperError(
                f"The gripper reports fault {fault}. Look it up in its manual, clear it at the pendant, then connect again."
            )

    def _set(self, raw: int) -> None:
        c = self._config
        request = f"SET POS {raw} SPE {c.raw_speed} FOR {c.raw_force} GTO 1\n"
        answer = self._ask(request, lambda text: len(text) >= 3)
        if answer != "ack":
            raise GripperError(f"The gripper answered '{answer}' to '{request.strip()}'.")

    def _get(self, name: str) -> int:
        answer = self._ask(f"GET {name}\n", lambda text: text.endswith("\n")).split()
        # The value is a `?` while the gripper has no power, as in an emergency stop.
        if len(answer) < 2 or answer[0] != name or not answer[1].isdigit():
            raise GripperError(
                f"The gripper answered '{' '.join(answer)}' to 'GET {name}': it has no power, or no gripper is connected."
            )
        return int(answer[1])

    def _ask(self, request: str, is_whole: Callable[[str], bool]) -> str:
        assert self._socket is not None
        self._socket.sendall(request.encode("ascii"))
        answer = ""
        while not is_whole(answer):
            piece = self._socket.recv(256)
            if not piece:
                raise ConnectionResetError("it closed the connection")
            answer += piece.decode("ascii", errors="replace")
        return answer.strip()

    def _hang_up(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
