"""Markdown tables of spaces, infos, rewards and arguments."""

import dataclasses
import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any

import gymnasium
import numpy as np
from docstring_sections import bullets

from gym_neuraltouch import rewards
from gym_neuraltouch.making import arguments
from lerobot_neuraltouch.features import (
    ACTION_NAMES,
    MAX_FINGER_DISTANCE,
    MIN_FINGER_DISTANCE,
    STATE_NAMES,
)


def action_table(space: gymnasium.spaces.Space) -> str:
    assert isinstance(space, gymnasium.spaces.Box)
    rows = [
        (i, f"`{name}`", number(low), number(high), *unit_and_frame(name))
        for i, (name, low, high) in enumerate(zip(ACTION_NAMES, space.low, space.high, strict=True))
    ]
    return table(("index", "name", "min", "max", "unit", "frame"), rows)


def observation_table(space: gymnasium.spaces.Space, text: str) -> str:
    """From the space; frames and units from the section's own table."""
    cells = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in text.splitlines()
        if line.startswith("| `")
    ]
    told = {
        name: (frame, unit)
        for key, *_, frame, unit in cells
        for name in re.findall(r"`(.+?)`", key)
    }
    rows = [
        (
            f"`{key}`", box.shape, box.dtype, number(box.low.min()), number(box.high.max()),
            *told.get(key, ("see below", "see below")),
        )
        for key, box in leaves(space)
    ]  # fmt: skip
    return table(("key", "shape", "dtype", "min", "max", "frame", "unit"), rows)


def state_table() -> str:
    rows = [
        (i, f"`{name}`", state_range(name), *unit_and_frame(name))
        for i, name in enumerate(STATE_NAMES)
    ]
    return table(("index", "name", "range", "unit", "frame"), rows)


def state_range(component: str) -> str:
    """Where a component of the state can lie: rotation vectors are no longer than half a turn."""
    if component.startswith("gripper"):
        return f"{MIN_FINGER_DISTANCE} .. {MAX_FINGER_DISTANCE}"
    return "-π .. π" if component.startswith("tcp_r") else "within reach"


def reward_table(env: gymnasium.Env) -> str:
    returns = (inspect.getdoc(rewards.reward_terms) or "").partition("Returns:\n")[2]
    meanings = dict(re.findall(r"^\s*(\w+): (.+)$", returns, flags=re.MULTILINE))
    weights = dataclasses.asdict(env.get_wrapper_attr("config").reward)
    rows = [(f"`{name}`", number(weight), meanings[name]) for name, weight in weights.items()]
    return table(("term", "weight", "value"), rows)


def info_table(info: Mapping[str, Any], text: str) -> str:
    """Types from an info, meanings from the section's list."""
    inner = {f"privileged/{key}": value for key, value in info["privileged"].items()}
    values, meanings = {**info, **inner}, bullets(text)
    if values.keys() != meanings.keys():
        wrong = sorted(values.keys() ^ meanings.keys())
        raise ValueError(f"The docstring's Info and the info differ in {', '.join(wrong)}.")
    return table(
        ("key", "type", "meaning"),
        [(f"`{key}`", described(values[key]), meaning) for key, meaning in meanings.items()],
    )


def argument_table(kind: type, text: str) -> str:
    """Defaults from the signature, meanings from the section's list."""
    parameters, meanings = arguments(kind), bullets(text)
    if parameters.keys() != meanings.keys():
        wrong = sorted(parameters.keys() ^ meanings.keys())
        raise ValueError(
            f"The docstring's Arguments and the signature differ in {', '.join(wrong)}."
        )
    rows = [
        (f"`{name}`", f"`{parameter.default!r}`", meanings[name])
        for name, parameter in parameters.items()
        if name != "task"  # the id says it
    ]
    return table(("argument", "default", "meaning"), rows)


def leaves(
    space: gymnasium.spaces.Space, prefix: str = ""
) -> Iterable[tuple[str, gymnasium.spaces.Box]]:
    """The boxes of a nested dictionary space with their paths."""
    if isinstance(space, gymnasium.spaces.Dict):
        for key, inner in space.items():
            yield from leaves(inner, f"{prefix}{key}/")
    else:
        assert isinstance(space, gymnasium.spaces.Box)
        yield prefix.rstrip("/"), space


def unit_and_frame(component: str) -> tuple[str, str]:
    """Of a component of the contract: twists are in tcp, poses in base, a finger distance has no frame."""
    if component.startswith("gripper"):
        return "m", "-"
    turns = component.partition("_")[2].startswith(("r", "w"))
    if component.endswith(".vel"):
        return ("rad/s" if turns else "m/s"), "tcp"
    return ("rad" if turns else "m"), "base"


def described(value: Any) -> str:
    if isinstance(value, Mapping):
        return "dict"
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    return type(value).__name__


def number(value: float) -> str:
    return f"{float(value):.4g}".replace("inf", "∞")


def table(header: Iterable[Any], rows: Iterable[Iterable[Any]]) -> str:
    lines = [list(map(str, header))]
    lines += [["---"] * len(lines[0]), *(list(map(str, row)) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
