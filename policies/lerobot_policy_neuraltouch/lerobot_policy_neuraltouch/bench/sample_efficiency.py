"""`neuraltouch bench sample_efficiency`: what the refiner's error was after how many environment steps, by its own log."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import draccus

from lerobot_neuraltouch import features
from lerobot_neuraltouch.report import write_report
from lerobot_policy_neuraltouch.bench.picture import draw_sample_efficiency
from lerobot_policy_neuraltouch.shipped import shipped_path

LEARNING_CURVE = "learning_curve.csv"
"""In the folder of a checkpoint that `neuraltouch train-refiner` made."""
_ERROR = "_pos_mm_mean"


@dataclass(frozen=True, kw_only=True)
class SampleEfficiencyConfig:
    """Read the learning curve that came with a checkpoint. Errors are of validation objects, starts perturbed."""

    policy: str | None = None
    """Checkpoint; without it, the shipped one."""
    seed: int = 0
    """Written into the report; nothing is drawn."""
    output: Path = Path("outputs/bench/sample_efficiency.json")
    """Report; a picture is drawn beside it."""


def main() -> None:
    """The shipped refiner's error against environment steps, from its own log."""
    config = draccus.parse(SampleEfficiencyConfig)
    folder = Path(config.policy) if config.policy else shipped_path()
    rows = read_curve(folder)
    write_report(
        config.output, name="sample_efficiency", seed=config.seed, config=config, rows=rows
    )
    picture = draw_sample_efficiency(rows, config.output.with_suffix(".png"))
    for row in rows:
        errors = "  ".join(f"{name} {row[f'{name}{_ERROR}']:.2f} mm" for name in features_of(row))
        print(f"{row['env_steps']:9.0f} steps  {row['wall_s'] / 60:5.0f} min  {errors}")
    print(f"wrote {config.output} and {picture}")


def read_curve(checkpoint: Path) -> list[dict[str, Any]]:
    """The learning curve of a checkpoint, one row per evaluation.

    Raises:
        ValueError: If the checkpoint brings none.
    """
    path = checkpoint / LEARNING_CURVE
    if not path.exists():
        raise ValueError(
            f"{checkpoint} has no {LEARNING_CURVE}: it was not made by `neuraltouch train-refiner`."
        )
    with path.open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def features_of(row: dict[str, Any]) -> list[str]:
    """The contact features that a row tells of."""
    return [name for name in features.FEATURES if f"{name}{_ERROR}" in row]
