"""Port 63352: a Robotiq 2F-85 as its URCap offers it, ASCII lines of GET and SET.

Source: Robotiq, "2F-85 and 2F-140 instruction manual", registers and URCap socket.
"""

import re

from .link import Connection, Link

VARIABLES = ("ACT", "GTO", "ATR", "ARD", "FOR", "SPE", "POS", "STA", "PRE", "OBJ", "FLT")
_WRITABLE = frozenset(VARIABLES) - {"STA", "PRE", "OBJ", "FLT"}
_OPEN, _CLOSED = 3, 230
"""Readings at the ends of the stroke of 85 mm."""
_MM_PER_S = (20.0, 150.0)
_STROKE_MM = 85.0
_ACTIVATION_S = 0.5
"""Real grippers take seconds: they open and close once."""


class Gripper:
    """The gripper's registers and its finger positions."""

    def __init__(self) -> None:
        self.registers = dict.fromkeys(VARIABLES, 0) | {"SPE": 255, "FOR": 255}
        self.position = float(_OPEN)
        """0 open to 255 closed."""
        self.blocked_at: int | None = None
        """Position at which an object is between the fingers; None: nothing is."""
        self._activating_s = 0.0

    def set(self, name: str, value: int) -> None:
        """Write a register.

        Raises:
            ValueError: If there is none such to write, or the value is no byte.
        """
        if name not in _WRITABLE or not 0 <= value <= 255:
            raise ValueError(f"Cannot set {name} to {value}.")
        if name == "ACT" and value != self.registers["ACT"]:
            self.registers["STA"] = value
            self._activating_s = _ACTIVATION_S
        if name == "POS":
            self.registers["PRE"] = value
        else:
            self.registers[name] = value

    def get(self, name: str) -> int:
        """Read a register."""
        return round(self.position) if name == "POS" else self.registers[name]

    def step(self, period_s: float) -> None:
        """Move the fingers for a control step."""
        registers = self.registers
        if registers["STA"] == 1:
            self._activating_s -= period_s
            if self._activating_s <= 0:
                registers["STA"] = 3
        if registers["STA"] != 3 or not registers["GTO"]:
            return
        target = min(max(registers["PRE"], _OPEN), _CLOSED)
        slow, fast = _MM_PER_S
        speed = (slow + (fast - slow) * registers["SPE"] / 255) * (_CLOSED - _OPEN) / _STROKE_MM
        way = target - self.position
        moved = self.position + max(-speed * period_s, min(speed * period_s, way))
        is_closing, blocked = way > 0, self.blocked_at
        if is_closing and blocked is not None and moved >= blocked >= self.position:
            self.position, registers["OBJ"] = float(blocked), 2
            return
        self.position = moved
        registers["OBJ"] = 3 if abs(target - moved) < 0.5 else 0


_GET = re.compile(r"GET (\w+)")
_SET = re.compile(r"SET((?: \w+ \d+)+)")


def answer(gripper: Gripper, line: str) -> bytes:
    """Do what a line says; a GET is answered with a line, a SET with `ack` and no end of line."""
    if (match := _GET.fullmatch(line)) and match[1] in VARIABLES:
        return f"{match[1]} {gripper.get(match[1])}\n".encode()
    if match := _SET.fullmatch(line):
        words = match[1].split()
        try:
            for name, value in zip(words[::2], words[1::2], strict=True):
                gripper.set(name, int(value))
        except ValueError:
            return b"nack"
        return b"ack"
    return b"?\n"


class GripperConnection(Connection):
    """One client of the gripper."""

    def __init__(self, link: Link, gripper: Gripper) -> None:
        super().__init__(link)
        self._gripper = gripper
        self._buffer = b""

    def received(self, data: bytes) -> None:
        """Answer whole lines."""
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            self.send(answer(self._gripper, line.decode("ascii", "replace").strip()))
