"""Write docs/environments/: one page per environment and an index, from the code's own tables and docstrings.

Usage: python scripts/environment_pages [FOLDER]
"""

import sys
from pathlib import Path

import gymnasium
from environment_index import index
from environment_page import FOLDER, page

from gym_neuraltouch.making import make_task, registered_tasks

INDEX = "README.md"


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")
        print(f"wrote {folder / name}")


def pages() -> dict[str, str]:
    """Every page's text by its file name."""
    envs = {name: make_task(name, num_objects=1) for name in registered_tasks()}
    infos = {kind_of(env): env for env in envs.values()}
    shown = {kind: env.reset(seed=0)[1] for kind, env in infos.items()}
    written = {f"{name}.md": page(name, env, shown[kind_of(env)]) for name, env in envs.items()}
    return {INDEX: index(envs), **written}


def kind_of(env: gymnasium.Env) -> type:
    """Its class: environments of one class have the same info."""
    return type(env.unwrapped)


if __name__ == "__main__":
    main()
