"""The `neuraltouch` command: `neuraltouch VERB [NAME] --flag=value`.

It only dispatches. A verb is an entry point of group `lerobot_neuraltouch.verbs`, a benchmark one of
`lerobot_neuraltouch.benches`; each is a callable without arguments that reads `sys.argv`, usually a
function under `@draccus.wrap()`. Its docstring's first line is the help shown in the list.
"""

import ast
import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Sequence
from importlib.metadata import EntryPoint
from pathlib import Path

VERBS = "lerobot_neuraltouch.verbs"
BENCHES = "lerobot_neuraltouch.benches"
TRACEBACK = "NEURALTOUCH_TRACEBACK"
"""Set this variable to 1 to see the whole traceback of an error."""
YAML_WORDS = frozenset({"on", "off", "yes", "no", "y", "n"})


def main() -> None:
    """Run the command line of this process."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Dispatch one command line, without the program's name, and return its exit code.

    2 stands for a command that does not exist, 1 for one that failed on its input.
    """
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_usage())
        return 0 if arguments else 2
    verb, *rest = arguments
    if verb != "bench":
        return _dispatch("verb", verb, VERBS, rest)
    if not rest or rest[0] in ("-h", "--help"):
        print(_bench_usage())
        return 0 if rest else 2
    return _dispatch("bench", rest[0], BENCHES, rest[1:])


def find_entry_points(group: str) -> dict[str, EntryPoint]:
    """Entry points of a group by name, in alphabetical order."""
    found = {entry.name: entry for entry in importlib.metadata.entry_points(group=group)}
    return dict(sorted(found.items()))


def normalise_flag(argument: str) -> str:
    """Turn the dashes inside a flag's name into underscores and leave its value what it says.

    draccus reads values as YAML 1.1, where a bare `off` is the boolean false; quotes keep it a word.
    """
    if not argument.startswith("--") or argument == "--":
        return argument
    name, equals, value = argument[2:].partition("=")
    quoted = f"'{value}'" if value.lower() in YAML_WORDS else value
    return f"--{name.replace('-', '_')}{equals}{quoted}"


def summary_of(entry: EntryPoint) -> str:
    """First docstring line of an entry point, read from its source so that nothing is imported."""
    path = _source_of(entry.module)
    if path is None:
        return ""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == entry.attr]
    docstring = ast.get_docstring(functions[0] if functions else tree) or ""
    return docstring.partition("\n")[0].strip()


def _dispatch(kind: str, name: str, group: str, flags: Sequence[str]) -> int:
    entries = find_entry_points(group)
    if name not in entries:
        known = ", ".join([*entries, "bench"] if kind == "verb" else entries) or "none installed"
        print(f"neuraltouch: error: unknown {kind} '{name}'. Available: {known}.", file=sys.stderr)
        return 2
    program = f"neuraltouch {name}" if kind == "verb" else f"neuraltouch bench {name}"
    return _call(entries[name], program, [normalise_flag(flag) for flag in flags])


def _call(entry: EntryPoint, program: str, flags: list[str]) -> int:
    from draccus.utils import DraccusException

    verb = entry.load()
    sys.argv = [program, *flags]
    try:
        verb()
    except (ValueError, FileNotFoundError, DraccusException) as error:
        if os.environ.get(TRACEBACK) == "1":
            raise
        # draccus hides why a config refused its values behind "couldn't instantiate".
        reason = error.__cause__ if isinstance(error, DraccusException) else None
        print(f"{program}: error: {' '.join(str(reason or error).split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{program}: interrupted", file=sys.stderr)
        return 130
    return 0


def _source_of(module: str) -> Path | None:
    """File of a module; only the topmost package is looked up, and not even that is imported."""
    top, *parts = module.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin)
    if parts:
        path = path.parent.joinpath(*parts)
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return path if path.exists() else None


def _usage() -> str:
    lines = ["usage: neuraltouch VERB [NAME] --flag=value ...", "", "verbs:"]
    lines += _listing(
        find_entry_points(VERBS), {"bench": "Run a benchmark (neuraltouch bench NAME)."}
    )
    lines += ["", "benchmarks:", *_listing(find_entry_points(BENCHES))]
    lines += [
        "",
        "neuraltouch VERB --help lists the options. Training, evaluation and recording are",
    ]
    lines += ["LeRobot's own commands: lerobot-train, lerobot-eval, lerobot-record, ..."]
    return "\n".join(lines)


def _bench_usage() -> str:
    listing = _listing(find_entry_points(BENCHES))
    return "\n".join(
        ["usage: neuraltouch bench NAME --flag=value ...", "", "benchmarks:", *listing]
    )


def _listing(entries: dict[str, EntryPoint], extra: dict[str, str] | None = None) -> list[str]:
    texts = {name: summary_of(entry) for name, entry in entries.items()} | (extra or {})
    width = max(map(len, texts), default=0)
    lines = [f"  {name:<{width}}  {text}".rstrip() for name, text in sorted(texts.items())]
    return lines or ["  (none installed)"]


if __name__ == "__main__":
    main()
