"""The methods that the tables compare, and the policies that play them."""

from collections.abc import Sequence

from lerobot_policy_neuraltouch.shipped import shipped_path
from lerobot_policy_neuraltouch.training.student import Student

METHODS = ("ndf", "rl_touch", "no_memory", "neuraltouch")
"""Vision alone; touch without the descriptor; with it, but each step by its own touch alone; all of it."""


def make_student(
    method: str,
    *,
    policy: str | None,
    rl_touch_policy: str | None,
    device: str,
    overrides: Sequence[str] = (),
) -> Student:
    """The policy of a method.

    Args:
        method: One of METHODS.
        policy: Checkpoint of all but rl_touch; None stands for the shipped one.
        rl_touch_policy: Checkpoint of rl_touch.
        device: Where it runs.
        overrides: Settings of the policy to change. Every episode counts, so doubtful poses are acted on in any case.
    """
    path = rl_touch_policy if method == "rl_touch" else policy
    settings = ["--coarse.doubt=warn", *overrides]
    if method == "ndf":
        settings.append("--refiner=none")
    if method == "no_memory":
        settings.append("--fine.memory=false")
    return Student(path or shipped_path(), device=device, overrides=settings)


def check_choice(what: str, names: Sequence[str], known: Sequence[str]) -> None:
    """Refuse names that do not exist.

    Raises:
        ValueError: With the first unknown one and those that exist.
    """
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"Unknown {what} '{unknown[0]}'. Available: {', '.join(known)}.")
