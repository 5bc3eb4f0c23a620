"""`neuraltouch bench streaming`: a robot that streams and records for a long time while its connection is broken at random.

Against a loopback controller on this machine: what is measured is this plugin and ur-rtde, no network and no arm.
"""

import logging
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import draccus
from tqdm import tqdm

from lerobot_neuraltouch.report import write_report
from lerobot_robot_ur5_tactip.loopback.config import GENERATIONS

from .picture import draw_picture
from .soak import Soak, run_soak
from .undisturbed import run_undisturbed


@dataclass(frozen=True, kw_only=True)
class StreamingConfig:
    """Stream random actions to a loopback controller at 10 Hz and record them. Lists are comma-separated."""

    minutes: float = 5.0
    """How long each model streams with interruptions; the time in between, disconnected, counts."""
    models: str = ",".join(GENERATIONS)
    """ur5e (e-Series, 500 Hz), ur5 (CB3, 125 Hz)."""
    actions: int = 300
    """Actions of the undisturbed measurement of jitter and latency before that."""
    mean_interval_s: float = 12.0
    """Mean time from one connection to the next interruption [s]."""
    host: str = "127.0.0.31"
    """Loopback address of the controllers."""
    seed: int = 0
    """Of actions and interruptions."""
    output: Path = Path("outputs/bench/streaming.json")
    """Report; a picture is drawn beside it."""

    def __post_init__(self) -> None:
        unknown = sorted(set(self.models.split(",")) - set(GENERATIONS))
        if unknown:
            raise ValueError(f"Unknown model '{unknown[0]}'. Available: {', '.join(GENERATIONS)}.")
        if self.minutes < 0 or self.actions < 1 or not self.mean_interval_s > 0:
            raise ValueError(
                "minutes must be at least 0, actions at least 1 and mean_interval_s positive."
            )


def main() -> None:
    """Stream to a loopback controller with random reconnects: jitter, added latency, leaks, lost frames."""
    config = draccus.parse(StreamingConfig)
    # Each interruption is an error, and expected.
    logging.getLogger("lerobot_robot_ur5_tactip").setLevel(logging.CRITICAL)
    rows, soaks = run(config)
    write_report(config.output, name="streaming", seed=config.seed, config=config, rows=rows)
    draw_picture(soaks, config.output.with_suffix(".png"))
    for row in rows:
        tqdm.write(describe(row))
    tqdm.write(f"wrote {config.output}")
    faults = [f"{row['model']}: {text}" for row in rows for text in row.get("faults", [])]
    if faults:
        raise SystemExit("\n".join([f"{len(faults)} faults:", *faults[:20]]))


def run(config: StreamingConfig) -> tuple[list[dict[str, Any]], list[Soak]]:
    """The rows of the report, two per model, and what the interrupted streams showed."""
    rows, soaks = [], []
    for model in config.models.split(","):
        with tempfile.TemporaryDirectory() as folder:
            timing = run_undisturbed(
                config.host, model, config.actions, config.seed, Path(folder) / "undisturbed"
            )
            rows.append({"model": model, "phase": "undisturbed", **timing, "load": _load()})
            if config.minutes:
                soak = run_soak(
                    config.host,
                    model,
                    60.0 * config.minutes,
                    config.mean_interval_s,
                    config.seed,
                    Path(folder) / "interrupted",
                )
                rows.append({"model": model, "phase": "interrupted", **soak.row(), "load": _load()})
                soaks.append(soak)
    return rows, soaks


def describe(row: dict[str, Any]) -> str:
    """One line of text for a row."""
    text = (
        f"{row['model']:5} {row['phase']:12} period {row['period_target_ms']:g} ms, error median "
        f"{row['period_error_ms_median']:.2f}, p95 {row['period_error_ms_p95']:.2f}, p99 {row['period_error_ms_p99']:.2f}, max "
        f"{row['period_error_ms_max']:.1f} ms; "
    )
    if row["phase"] == "undisturbed":
        text += (
            f"action to command median {row['latency_ms_median']:.2f}, p95 {row['latency_ms_p95']:.2f}, max "
            f"{row['latency_ms_max']:.1f} ms; {len(row['stops'])} stops; "
        )
    else:
        text += (
            f"{row['frames_given']} frames given, {row['frames_equal']} found again; {sum(row['interruptions'].values())} "
            f"interruptions; threads {row['threads_first']} to {row['threads_last']}, sockets {row['sockets_first']} to "
            f"{row['sockets_last']}, processes {row['children_first']} to {row['children_last']}, memory "
            f"{row['memory_mb_first']:.0f} to {row['memory_mb_last']:.0f} MB; "
        )
    return f"{text}load {row['load']:.1f}"


def _load() -> float:
    """Processes that wanted to run, mean of the last minute: with more than the machine has cores, times mean little."""
    return os.getloadavg()[0]
