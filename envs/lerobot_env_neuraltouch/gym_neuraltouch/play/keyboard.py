"""Driving by keys, typed at the terminal or in the window."""

import os
import re
import select
import sys
import termios
import tty
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lerobot_neuraltouch.features import (
    ACTION_HIGH,
    CONTROL_HZ,
    MAX_FINGER_DISTANCE,
    MIN_FINGER_DISTANCE,
)
from lerobot_neuraltouch.rl.teacher import ServoTeacher

from .pilot import Array, Command

HELP = """\
  w s   forward, back (tcp z)     i k   turn about x      [ ]   close, open the fingers
  a d   along the pads (tcp x)    u o   turn about y      - =   slower, faster
  q e   to left, right pad (y)    j l   turn about z      t     let the teacher act, or stop it
  space stop     r  new episode   h     this help         x     quit"""

MOTIONS = {
    "a": (0, -1.0), "d": (0, 1.0), "q": (1, -1.0), "e": (1, 1.0), "s": (2, -1.0), "w": (2, 1.0),
    "k": (3, -1.0), "i": (3, 1.0), "u": (4, -1.0), "o": (4, 1.0), "j": (5, -1.0), "l": (5, 1.0),
}  # fmt: skip
"""Component of the twist and its sign."""
FINGERS = {"[": -1.0, "]": 1.0}
FINGER_SPEED = 0.020
"""The set point moves at this speed, times the share [m/s]."""
MAX_LEAD_M = 0.010
"""The set point never runs further than this ahead of the fingers [m]: there the grip servo is at its limit."""
HOLD_STEPS = 4
"""A motion goes on for so many steps after its key, so that a held key moves steadily."""
SHARES = (0.05, 0.1, 0.25, 0.5, 1.0)
"""Speeds to choose from, as shares of the action's limits."""

_ESCAPE_SEQUENCE = re.compile(r"\x1b(\[[0-9;]*[A-Za-z~]|O[A-Za-z])?")


class KeyPilot:
    """Turns keys into actions.

    Args:
        read: Returns the keys typed since its last call, without waiting.
        say: Shows a message to the person.
    """

    def __init__(self, read: Callable[[], str], say: Callable[[str], None]) -> None:
        self._read, self._say = read, say
        self._teacher = ServoTeacher()
        self._share = SHARES.index(0.25)
        self.begin(MAX_FINGER_DISTANCE)

    def begin(self, finger_distance_m: float) -> None:
        """An episode begins with the pads this far apart [m]."""
        self._set_point_m = finger_distance_m
        self._teaching = False
        self._left: dict[str, int] = {}

    def act(self, info: Mapping[str, Any], finger_distance_m: float) -> Array | Command:
        """The next action, shape (7,), or a command."""
        for key in _ESCAPE_SEQUENCE.sub("", self._read()).lower():
            command = self._take(key)
            if command is not None:
                return command
        if self._teaching:
            action = self._teacher.act(info["privileged"])
            self._set_point_m = float(action[6])
            return action
        return self._move(finger_distance_m)

    def _take(self, key: str) -> Command | None:
        if key in MOTIONS or key in FINGERS:
            self._teaching = False
            opposite = [k for k in self._left if _axis(k) == _axis(key) and k != key]
            for other in opposite:
                del self._left[other]
            self._left[key] = HOLD_STEPS
        elif key == " ":
            self._left.clear()
            self._teaching = False
        elif key == "t":
            self._teaching = not self._teaching
            self._left.clear()
            self._say("the teacher acts" if self._teaching else "the teacher stops")
        elif key in "-=+":
            last = len(SHARES) - 1
            self._share = min(max(self._share + (-1 if key == "-" else 1), 0), last)
            self._say(f"speed {SHARES[self._share]:.0%} of the limits")
        elif key == "h":
            self._say(HELP)
        elif key == "r":
            return Command.NEW_EPISODE
        elif key == "x":
            return Command.QUIT
        return None

    def _move(self, finger_distance_m: float) -> Array:
        share, action = SHARES[self._share], np.zeros(7)
        for key in list(self._left):
            if key in MOTIONS:
                index, sign = MOTIONS[key]
                action[index] = sign * share * ACTION_HIGH[index]
            else:
                self._set_point_m += FINGERS[key] * share * FINGER_SPEED / CONTROL_HZ
            self._left[key] -= 1
            if not self._left[key]:
                del self._left[key]
        lead = np.clip(self._set_point_m - finger_distance_m, -MAX_LEAD_M, MAX_LEAD_M)
        self._set_point_m = float(
            np.clip(finger_distance_m + lead, MIN_FINGER_DISTANCE, MAX_FINGER_DISTANCE)
        )
        action[6] = self._set_point_m
        return action


class Terminal:
    """Reads single keys from the terminal while its context lasts; Ctrl-C still interrupts.

    Raises:
        ValueError: If standard input is no terminal.
    """

    def __init__(self) -> None:
        if not sys.stdin.isatty():
            raise ValueError(
                "Keys are read from a terminal and standard input is none. Give --script=FILE instead."
            )
        self._file = sys.stdin.fileno()

    def __enter__(self) -> "Terminal":
        self._before = termios.tcgetattr(self._file)
        tty.setcbreak(self._file)
        return self

    def __exit__(self, *exception: object) -> None:
        termios.tcsetattr(self._file, termios.TCSADRAIN, self._before)

    def read(self) -> str:
        """The keys typed since the last call; `x` once the terminal is gone."""
        typed = b""
        while select.select([self._file], [], [], 0)[0]:
            read = os.read(self._file, 1024)
            if not read:
                return typed.decode(errors="ignore") + "x"
            typed += read
        return typed.decode(errors="ignore")


def _axis(key: str) -> int:
    return MOTIONS[key][0] if key in MOTIONS else 6
