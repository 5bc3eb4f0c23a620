"""The registered environments: their names, and how one is made with options that are checked by name."""

import inspect
from typing import Any

import gymnasium
from gymnasium.envs.registration import load_env_creator

NAMESPACE = "gym_neuraltouch"


def make(entry: str, /, **options: Any) -> Any:
    """Make the environment of a class; what `gymnasium.make` calls for every id.

    Args:
        entry: The class, as `module:name`.
        options: Its keyword arguments.

    Raises:
        ValueError: If the class has no such argument; the message lists those it has.
    """
    creator: Any = load_env_creator(entry)
    known = set(arguments(creator))
    unknown = sorted(set(options) - known)
    if unknown:
        raise ValueError(
            f"Unknown option '{unknown[0]}' of {options.get('task', entry)}. "
            f"Available: {', '.join(sorted(known - {'task'}))}."
        )
    return creator(**options)


def arguments(kind: type) -> dict[str, inspect.Parameter]:
    """Arguments of a class by name; where it takes any options, also those of the base that it hands them to."""
    found = dict(inspect.signature(kind).parameters)
    takes_any = [name for name, one in found.items() if one.kind is one.VAR_KEYWORD]
    for name in takes_any:
        del found[name]
        base = next(base for base in kind.__mro__[1:] if "__init__" in vars(base))
        found = arguments(base) | found
    return found


def make_refine(**options: Any) -> gymnasium.Env:
    """Make a `RefineEnv`."""
    return make("gym_neuraltouch.refine_env:RefineEnv", **options)


def make_pick_place(**options: Any) -> gymnasium.Env:
    """Make a `PickPlaceEnv`."""
    return make("gym_neuraltouch.pick_place_env:PickPlaceEnv", **options)


def make_insert(**options: Any) -> gymnasium.Env:
    """Make an `InsertEnv`."""
    return make("gym_neuraltouch.insert_env:InsertEnv", **options)


def make_lid(**options: Any) -> gymnasium.Env:
    """Make a `LidEnv`."""
    return make("gym_neuraltouch.lid_env:LidEnv", **options)


def registered_tasks() -> list[str]:
    """Names of the tasks that have an environment, in alphabetical order."""
    return sorted(spec.name for spec in gymnasium.registry.values() if spec.namespace == NAMESPACE)


def make_task(task: str, **options: Any) -> gymnasium.Env:
    """Make `gym_neuraltouch/<task>-v0`; options that are None keep the environment's default.

    Raises:
        ValueError: If there is no such task or option, or an option's value is none of those that exist.
    """
    if task not in registered_tasks():
        raise ValueError(f"Unknown task '{task}'. Available: {', '.join(registered_tasks())}.")
    given = {name: value for name, value in options.items() if value is not None}
    return gymnasium.make(f"{NAMESPACE}/{task}-v0", disable_env_checker=True, **given)
