"""The page of one environment."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium
from docstring_sections import bullets_after, docstring_sections, without_table
from markdown_tables import (
    action_table,
    argument_table,
    info_table,
    leaves,
    observation_table,
    reward_table,
    state_table,
    table,
)

from gym_neuraltouch.arm_scene import ROBOTS
from gym_neuraltouch.making import NAMESPACE
from gym_neuraltouch.refine_env import RefineEnv
from gym_neuraltouch.whole_env import TIME_LIMITS, WholeEnv
from lerobot_neuraltouch.features import Task
from lerobot_neuraltouch.objects import bolt, bottle, mug
from lerobot_neuraltouch.objects.catalogue import SPLITS, has_objects, make_object_with
from lerobot_neuraltouch.objects.contact import DIRECTIONS

FOLDER = Path(__file__).parents[2] / "docs" / "environments"
NOTE = "<!-- Written by scripts/environment_pages: change the docstrings, then run `make docs`. -->"


def page(name: str, env: gymnasium.Env, info: Mapping[str, Any]) -> str:
    """The page of one task; `info` shows the types of the info's keys."""
    kind, task = type(env.unwrapped), task_of(env)
    sections = docstring_sections(kind)
    parts = [
        NOTE,
        f"# {name}",
        picture(name, f"{task.text}: the scene and both touch images at the target"),
        summary(name, env),
        "## Description",
        sections["Description"],
        f"The contact `{task.feature}`: {contact_text(task.feature)}",
        "## Frames",
        sections["Frames"],
        "## Action space",
        action_table(env.action_space),
        without_table(sections["Action space"]),
        "## Observation space",
        observation_table(env.observation_space, sections["Observation space"]),
        "`agent_pos` holds:",
        state_table(),
        without_table(sections["Observation space"]),
        sections["Phase"],
        "## Rewards",
        sections["Rewards"],
        reward_table(env) if issubclass(kind, RefineEnv) else "",
        "## Starting state",
        sections["Starting state"],
        "## Episode end",
        sections["Episode end"],
        time_limit(kind),
        *success(sections),
        "## Info",
        sections["Info"].partition("\n\n- ")[0],
        info_table(info, sections["Info"]),
        "## Arguments",
        argument_table(kind, sections["Arguments"]),
        bullets_after(sections["Arguments"]),
        "## Use",
        usage(name),
        "## Version",
        f"`v{env.get_wrapper_attr('spec').version}`: the first one.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def picture(name: str, text: str = "") -> str:
    """A task's picture, if there is one."""
    path = f"images/{name}.png"
    return f"![{text}]({path})" if (FOLDER / path).is_file() else ""


def success(sections: Mapping[str, str]) -> list[str]:
    """What a whole task asks of the object; a Refine task's is part of how its episodes end."""
    return ["## Success test", sections["Success"]] if "Success" in sections else []


def time_limit(kind: type) -> str:
    """A whole task's; a Refine task's is the same for all and stands in the docstring."""
    if not issubclass(kind, WholeEnv):
        return ""
    limits = [f"{steps + kind.task_steps} from a {start} start" for start, steps in TIME_LIMITS.items()]  # fmt: skip
    return f"The time limit is {' and '.join(limits)} [control steps]."


def task_of(env: gymnasium.Env) -> Task:
    return env.get_wrapper_attr("task")


def summary(name: str, env: gymnasium.Env) -> str:
    task = task_of(env)
    contact = make_object_with(task.feature, "test", 0).feature(task.feature)
    free = [direction for direction in DIRECTIONS if direction not in contact.constrained]
    rows = [
        ("import", f'`gymnasium.make("{NAMESPACE}:{NAMESPACE}/{name}-v0")`'),
        ("task text", f"{task.text}"),
        ("object", task.category),
        ("contact", f"`{task.feature}`"),
        ("errors count along", " ".join(contact.constrained)),
        ("free directions", " ".join(free) or "none"),
        ("streams with such objects", ", ".join(s for s in SPLITS if has_objects(task.feature, s))),
        ("robots", ", ".join(ROBOTS)),
        ("action space", f"`Box`, shape {env.action_space.shape}, {env.action_space.dtype}"),
        (
            "observation space",
            f"`Dict` of {', '.join(f'`{k}`' for k, _ in leaves(env.observation_space))}",
        ),
    ]
    return table(("", ""), rows)


def contact_text(feature: str) -> str:
    """What the code that makes a contact says about it."""
    maker = next(getattr(m, feature) for m in (mug, bottle, bolt) if hasattr(m, feature))
    text = " ".join((inspect.getdoc(maker) or "").split())
    return text[0].lower() + text[1:]


def usage(name: str) -> str:
    return f"""```bash
neuraltouch play --task={name}
lerobot-eval --policy.path=CHECKPOINT --env.type=neuraltouch --env.task={name}
```"""
