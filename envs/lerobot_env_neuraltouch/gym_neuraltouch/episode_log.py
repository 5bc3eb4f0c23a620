"""Episodes of a bench as they end, one line of JSON each: a run that was broken off can go on where it was."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What makes episodes comparable."""

    method: str
    task: str
    robot: str
    start: str
    split: str
    num_objects: int


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How one episode ended."""

    success: bool
    steps: int
    max_force_n: float
    failure: str


class EpisodeLog:
    """The file of a run.

    Args:
        path: Where it is or will be; missing folders are made.
        resume: Whether what is there counts; otherwise it is removed.
    """

    def __init__(self, path: Path, *, resume: bool) -> None:
        self._path = path
        self._known: dict[tuple[Setting, int], Outcome] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        if not resume:
            path.unlink(missing_ok=True)
        elif path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                one = json.loads(line)
                key = Setting(**one["setting"]), one["seed"]
                self._known[key] = Outcome(**one["outcome"])

    def find(self, setting: Setting, seed: int) -> Outcome | None:
        """How an episode ended, if it was played."""
        return self._known.get((setting, seed))

    def add(self, setting: Setting, seed: int, outcome: Outcome) -> None:
        """Write an episode down."""
        self._known[setting, seed] = outcome
        line = {
            "setting": dataclasses.asdict(setting),
            "seed": seed,
            "outcome": dataclasses.asdict(outcome),
        }
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
