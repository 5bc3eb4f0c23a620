"""Driving from a file: a list of segments, each a twist and a finger distance held for some seconds."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from lerobot_neuraltouch.features import ACTION_HIGH, ACTION_LOW, ACTION_NAMES, CONTROL_HZ
from lerobot_neuraltouch.rl.teacher import ServoTeacher

from .pilot import Array, Command

KEYS = ("seconds", "twist", "gripper", "teacher")
_ROUNDING = 1e-6
"""Limits are given to so many digits of single precision."""


@dataclass(frozen=True)
class Segment:
    """One piece of motion."""

    seconds: float
    """How long it lasts [s]."""
    twist: tuple[float, ...] = (0.0,) * 6
    """Of the tcp in its own frame [m/s, rad/s]."""
    gripper: float | None = None
    """Set point of the finger distance [m]; None keeps the last one."""
    teacher: bool = False
    """Whether the privileged teacher acts instead."""

    @property
    def steps(self) -> int:
        """How many control steps it lasts."""
        return round(self.seconds * CONTROL_HZ)


class ScriptPilot:
    """Plays segments one after the other, then quits."""

    def __init__(self, segments: list[Segment]) -> None:
        self._segments = segments
        self._teacher = ServoTeacher()
        self.begin(0.0)

    def begin(self, finger_distance_m: float) -> None:
        """An episode begins with the pads this far apart [m]."""
        self._set_point_m = finger_distance_m
        self._steps = [segment for segment in self._segments for _ in range(segment.steps)][::-1]

    def act(self, info: Mapping[str, Any], finger_distance_m: float) -> Array | Command:
        """The next action, shape (7,), or the command to quit."""
        if not self._steps:
            return Command.QUIT
        segment = self._steps.pop()
        if segment.teacher:
            action = self._teacher.act(info["privileged"])
        else:
            wanted = self._set_point_m if segment.gripper is None else segment.gripper
            action = np.append(segment.twist, wanted)
        self._set_point_m = float(action[6])
        return action


def load_script(path: Path) -> list[Segment]:
    """Read the segments of a YAML or JSON file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no list of segments; the message names the file and the segment.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is neither YAML nor JSON: {error}") from error
    if not isinstance(content, list) or not content:
        raise ValueError(
            f"{path} must hold a list of segments with the keys {', '.join(KEYS)}; "
            f"got {type(content).__name__}."
        )
    return [_segment(f"{path}, segment {i}", entry) for i, entry in enumerate(content, start=1)]


def _segment(where: str, entry: object) -> Segment:
    if not isinstance(entry, dict) or "seconds" not in entry:
        raise ValueError(f"{where}: a segment maps {', '.join(KEYS)} and needs seconds.")
    unknown = [key for key in entry if key not in KEYS]
    if unknown:
        raise ValueError(f"{where}: unknown key '{unknown[0]}'. Available: {', '.join(KEYS)}.")
    seconds = _number(f"{where}: seconds", entry["seconds"], 1 / CONTROL_HZ, 3600)
    twist = entry.get("twist", [0.0] * 6)
    if not isinstance(twist, list) or len(twist) != 6:
        raise ValueError(f"{where}: twist must list 6 numbers ({', '.join(ACTION_NAMES[:6])}).")
    limits = zip(ACTION_NAMES[:6], twist, ACTION_HIGH[:6].tolist(), strict=True)
    twist = tuple(_number(f"{where}: {name}", v, -high, high) for name, v, high in limits)
    gripper = entry.get("gripper")
    if gripper is not None:
        low, high = float(ACTION_LOW[6]), float(ACTION_HIGH[6])
        gripper = _number(f"{where}: gripper", gripper, low, high)
    teacher = entry.get("teacher", False)
    if not isinstance(teacher, bool):
        raise ValueError(f"{where}: teacher must be true or false, got {teacher!r}.")
    if teacher and len(entry) > 2:
        raise ValueError(f"{where}: the teacher chooses twist and gripper itself.")
    return Segment(seconds, twist, gripper, teacher)


def _number(what: str, value: object, low: float, high: float) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value)
        if low - _ROUNDING <= number <= high + _ROUNDING:  # NaN is neither
            return number
    raise ValueError(f"{what} must be a number from {low:g} to {high:g}, got {value!r}.")
