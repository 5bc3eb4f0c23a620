"""Which of two like cameras is the left finger's: press one finger, and see whose picture changes."""

import time
from collections.abc import Mapping

from .tactip import TacTipCamera

CLEAR_CHANGE = 3.0
"""The pressed finger's picture changes at least this much [gray levels],"""
CLEAR_RATIO = 3.0
"""and this many times as much as any other."""
STEADY_S = 0.3
"""for this long [s]."""


def find_pressed(cameras: Mapping[str, TacTipCamera], timeout_s: float) -> str:
    """Wait until exactly one finger is pressed, and name its camera.

    Args:
        cameras: Connected cameras by name; nothing touched them at connection.
        timeout_s: How long to wait [s].

    Raises:
        TimeoutError: If no finger stands out; the message has each camera's change.
    """
    deadline = time.monotonic() + timeout_s
    candidate, since = "", 0.0
    changes: dict[str, float] = {}
    while time.monotonic() < deadline:
        changes = {name: camera.change() for name, camera in cameras.items()}
        pressed, now = _outstanding(changes), time.monotonic()
        if pressed != candidate:
            candidate, since = pressed, now
        if candidate and now - since >= STEADY_S:
            return candidate
        time.sleep(0.02)
    seen = ", ".join(f"{name}: {change:.1f}" for name, change in changes.items())
    raise TimeoutError(
        f"No finger stood out within {timeout_s:g} s. Changes from the reference [gray levels]: {seen}. Press one finger "
        "firmly, and leave the others alone."
    )


def _outstanding(changes: Mapping[str, float]) -> str:
    """The camera that changed clearly more than all others, or nothing."""
    name = max(changes, key=lambda key: changes[key])
    others = [change for key, change in changes.items() if key != name]
    is_clear = changes[name] >= max([CLEAR_CHANGE, *(CLEAR_RATIO * other for other in others)])
    return name if is_clear else ""
