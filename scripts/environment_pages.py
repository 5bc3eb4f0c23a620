"""Write docs/environments/: one page per Refine task and an index, from the code's own tables and docstrings.

Usage: python scripts/environment_pages.py [FOLDER]
"""

import dataclasses
import inspect
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from gym_neuraltouch import rewards
from gym_neuraltouch.arm_scene import ROBOTS
from gym_neuraltouch.making import NAMESPACE, make_task, registered_tasks
from gym_neuraltouch.refine_env import RefineEnv
from lerobot_neuraltouch.features import ACTION_NAMES, STATE_NAMES, Task
from lerobot_neuraltouch.objects import bolt, bottle, mug
from lerobot_neuraltouch.objects.catalogue import SPLITS, has_objects, make_object_with
from lerobot_neuraltouch.objects.contact import DIRECTIONS

FOLDER = Path(__file__).parents[1] / "docs" / "environments"
INDEX = "README.md"
NOTE = (
    "<!-- Written by scripts/environment_pages.py: change the docstrings, then run `make docs`. -->"
)


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")
        print(f"wrote {folder / name}")


def pages() -> dict[str, str]:
    """Every page's text by its file name."""
    envs = {name: make_task(name, num_objects=1) for name in registered_tasks()}
    refine = {k: v for k, v in envs.items() if isinstance(v.unwrapped, RefineEnv)}
    _, info = next(iter(refine.values())).reset(seed=0)
    written = {f"{name}.md": page(name, env, info) for name, env in refine.items()}
    return {INDEX: index(refine), **written}


def page(name: str, env: gymnasium.Env, info: Mapping[str, Any]) -> str:
    """The page of one task; `info` shows the types of the info's keys."""
    sections, task = docstring_sections(type(env.unwrapped)), task_of(env)
    parts = [
        NOTE,
        f"# {name}",
        f"![{task.text}: the scene and both touch images at the target](images/{name}.png)",
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
        "## Rewards",
        sections["Rewards"],
        reward_table(env),
        "## Starting state",
        sections["Starting state"],
        "## Episode end",
        sections["Episode end"],
        "## Info",
        sections["Info"].partition("\n\n- ")[0],
        info_table(info, sections["Info"]),
        "## Arguments",
        argument_table(type(env.unwrapped), sections["Arguments"]),
        bullets_after(sections["Arguments"]),
        "## Use",
        usage(name),
        "## Version",
        f"`v{env.get_wrapper_attr('spec').version}`: the first one.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def index(envs: Mapping[str, gymnasium.Env]) -> str:
    """The page that leads to the others."""
    rows = [
        (f"[{name}]({name}.md)", f"[![]({picture})]({name}.md)", task.category, task.text)
        for name, env in envs.items()
        for task, picture in [(task_of(env), f"images/{name}.png")]
    ]
    first = next(iter(envs))
    return (
        "\n\n".join(
            [
                NOTE,
                "# Environments",
                "Two TacTip fingers in MuJoCo as plain [Gymnasium](https://gymnasium.farama.org) environments: no torch and no LeRobot "
                "in the process. All tasks share one action and one observation space.",
                table(("environment", "at the target", "object", "task text"), rows),
                "## Use",
                f"""```python
import gymnasium as gym
import gym_neuraltouch

env = gym.make("{NAMESPACE}/{first}-v0", robot="gripper", render_mode="rgb_array")
observation, info = env.reset(seed=0)
observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
env.close()
```""",
                f"""Many at once, in worker processes (they may be forked, spawned or served):

```python
import gymnasium as gym
import gym_neuraltouch

if __name__ == "__main__":
    envs = gym.make_vec(
        "{NAMESPACE}/{first}-v0",
        num_envs=2,
        vectorization_mode="async",
        vector_kwargs={{"context": "spawn"}},
    )
    observations, infos = envs.reset(seed=0)
    envs.close()
```""",
                "An unknown option or value is a `ValueError` that lists what exists; an unknown id is Gymnasium's `NameNotFound`.",
                "## From the command line",
                f"""```bash
neuraltouch play --task={first}                                    # by keys; h lists them
neuraltouch play --task={first} --script=docs/environments/grasp.yaml --video=outputs/grasp.mp4 --picture=outputs/grasp.png
neuraltouch bench throughput
neuraltouch bench soak --minutes=30
```""",
                "A script is a list of segments, `{seconds, twist, gripper}` with the twist in the tcp frame [m/s, rad/s] and the finger "
                "distance [m], or `{seconds, teacher: true}`; the pictures here were made with `grasp.yaml`. `bench soak` acts roughly in "
                "all environments on all robots in turn and looks for NaN, for surfaces inside the fingers' hard cores (on the exact mesh, "
                "which the physics never sees) and for growing memory.",
                "## In LeRobot",
                """```bash
lerobot-eval --policy.path=$(neuraltouch pretrained) --policy.device=cpu --env.type=neuraltouch \\
    --env.task=RefineMugRim,RefineBottleHead --eval.n_episodes=2 --eval.batch_size=1 --eval.use_async_envs=false \\
    --output_dir=outputs/eval
```""",
                "Several tasks in one command: `eval_info.json` has their results under `per_task` and `per_group`, and each task's videos lie "
                "in a folder of its own.",
            ]
        )
        + "\n"
    )


def docstring_sections(kind: type) -> dict[str, str]:
    """Text under each `## ` heading of the docstrings of a class and its bases.

    A heading that a base has too is the class's own, but for lists: what they name comes after what the base names.
    """
    sections: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        _, *parts = re.split(r"^## ", inspect.cleandoc(vars(one).get("__doc__") or ""), flags=re.M)
        for head, _, body in (part.partition("\n") for part in parts):
            name, text = head.strip(), body.strip()
            listed = text.startswith("- `") and name in sections
            sections[name] = longer_list(sections[name], text) if listed else text
    return sections


def longer_list(text: str, more: str) -> str:
    """A section with more entries at the end of its list."""
    paragraphs = text.split("\n\n")
    at = next(i for i, paragraph in enumerate(paragraphs) if paragraph.startswith("- `"))
    paragraphs[at] += f"\n{more}"
    return "\n\n".join(paragraphs)


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
    rows = [(i, f"`{name}`", *unit_and_frame(name)) for i, name in enumerate(STATE_NAMES)]
    return table(("index", "name", "unit", "frame"), rows)


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
    parameters, meanings = inspect.signature(kind).parameters, bullets(text)
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


def bullets(text: str) -> dict[str, str]:
    """A section's list: meanings by name."""
    found = re.findall(r"^- `([\w/]+)`: ((?:.|\n  )+)", text, flags=re.MULTILINE)
    return {name: " ".join(meaning.split()) for name, meaning in found}


def bullets_after(text: str) -> str:
    """What an Arguments section says after its list."""
    return text.rpartition("\n\n")[2] if "\n\n" in text else ""


def usage(name: str) -> str:
    return f"""```bash
neuraltouch play --task={name}
lerobot-eval --policy.path=CHECKPOINT --env.type=neuraltouch --env.task={name}
```"""


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


def without_table(text: str) -> str:
    """A section's paragraphs that are no table and do not announce the space's type."""
    paragraphs = [p for p in text.split("\n\n") if not p.startswith(("|", "`Box`", "`Dict`"))]
    return "\n\n".join(paragraphs).strip()


def table(header: Iterable[Any], rows: Iterable[Iterable[Any]]) -> str:
    lines = [list(map(str, header))]
    lines += [["---"] * len(lines[0]), *(list(map(str, row)) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
