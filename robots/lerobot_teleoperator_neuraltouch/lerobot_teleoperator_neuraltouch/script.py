"""A script: what to do, and for how long."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from lerobot_neuraltouch import features

TWIST_NAMES, FINGER_NAME = features.ACTION_NAMES[:6], features.ACTION_NAMES[6]
SECONDS = "seconds"


@dataclass(frozen=True)
class Script:
    """One action per control step of 0.1 s."""

    actions: np.ndarray
    """Twists (v, omega) in the tcp frame [m/s, rad/s] and finger set points [m], shape (num_steps, 7)."""

    @classmethod
    def read(cls, path: Path) -> "Script":
        """Read a YAML or JSON file.

        Raises:
            ValueError: If it is not a list of steps; the message says which entry is wrong.
            FileNotFoundError: If there is no such file.
        """
        if not path.is_file():
            raise FileNotFoundError(f"There is no script '{path}'.")
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
        try:
            return cls.parse(entries)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

    @classmethod
    def parse(cls, entries: Any) -> "Script":
        """Make a script of a list of mappings from names of the contract to numbers.

        Each needs `seconds`; velocities that are not given are 0, a finger distance that is not given stays. The first entry
        must give one.

        Raises:
            ValueError: If something else is given.
        """
        if not isinstance(entries, list) or not entries:
            raise ValueError(
                "A script is a list of steps, e.g. [{seconds: 1.0, tcp_vz.vel: 0.01}]."
            )
        actions: list[np.ndarray] = []
        finger: float | None = None
        for number, entry in enumerate(entries):
            finger = _finger_of(entry, number, finger)
            twist = [float(entry.get(name, 0.0)) for name in TWIST_NAMES]
            action = np.array([*twist, finger])
            _check_limits(action, number)
            actions += [action] * max(1, round(float(entry[SECONDS]) * features.CONTROL_HZ))
        return cls(np.stack(actions))


def _finger_of(entry: Any, number: int, before: float | None) -> float:
    """Check the form of an entry and return its finger set point [m]."""
    known = (SECONDS, *features.ACTION_NAMES)
    if not isinstance(entry, Mapping):
        raise ValueError(f"Step {number} is no mapping of {', '.join(known)}: {entry!r}.")
    unknown = [str(key) for key in entry if key not in known]
    if unknown:
        raise ValueError(
            f"Step {number} has unknown {', '.join(unknown)}; known are {', '.join(known)}."
        )
    wrong = [key for key, value in entry.items() if not isinstance(value, int | float)]
    if wrong:
        raise ValueError(f"Step {number}: {', '.join(wrong)} must be numbers.")
    if entry.get(SECONDS, 0.0) <= 0.0:
        raise ValueError(f"Step {number} needs {SECONDS} above 0.")
    finger = entry.get(FINGER_NAME, before)
    if finger is None:
        raise ValueError(f"The first step needs {FINGER_NAME} [m].")
    return float(finger)


def _check_limits(action: np.ndarray, number: int) -> None:
    clipped = features.check_action(action)
    beyond = [
        f"{name} = {value:g} (limit {limit:g})"
        for name, value, limit in zip(features.ACTION_NAMES, action, clipped, strict=True)
        if abs(value - limit) > 1e-6
    ]
    if beyond:
        raise ValueError(f"Step {number} is beyond the limits: {', '.join(beyond)}.")
