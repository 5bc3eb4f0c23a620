"""Checks of what an environment is made and reset with: each names what there is."""

import math
from typing import Any

STARTS = ("perturbed", "perception")
RESET_OPTIONS = ("object_index", "start_share", "start_turn", "contact_offset")


def check_reset_options(options: dict[str, Any], start: str) -> None:
    """Refuse options of `reset` that do not exist, or not for this start.

    Raises:
        ValueError: With those that exist.
    """
    unknown = set(options) - set(RESET_OPTIONS)
    if unknown:
        raise ValueError(
            f"Unknown reset option '{min(unknown)}'. Available: {', '.join(RESET_OPTIONS)}."
        )
    for name in ("start_share", "start_turn", "contact_offset"):
        if name in options and start != "perturbed":
            raise ValueError(f"{name} is for start='perturbed', not for '{start}'.")
    if not math.isfinite(turn := options.get("start_turn", 0.0)):
        raise ValueError(f"start_turn is an angle in radians, got {turn}.")


def check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    """Refuse a value that is none of the choices.

    Raises:
        ValueError: With the choices.
    """
    if value not in choices:
        raise ValueError(f"Unknown {name} '{value}'. Available: {', '.join(map(str, choices))}.")


def check_least(name: str, value: int, least: int) -> None:
    """Refuse a number below `least`.

    Raises:
        ValueError: With the number.
    """
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}.")
