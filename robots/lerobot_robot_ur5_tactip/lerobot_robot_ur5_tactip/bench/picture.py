"""The picture beside the report: how regular the loop was, and what was held over time."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from .soak import Soak
from .timing import periods_ms


def draw_picture(soaks: Sequence[Soak], path: Path) -> None:
    """One row per stream: periods of the inner loop, then memory and counts at rest; nothing without a stream."""
    if not soaks:
        return
    figure = Figure(figsize=(11, 3.2 * len(soaks)), layout="constrained")
    rows = figure.subplots(len(soaks), 2, squeeze=False)
    for soak, (left, right) in zip(soaks, rows, strict=True):
        periods = periods_ms(soak.connections)
        left.hist(np.clip(periods, 0.0, 4 * soak.period_ms), bins=100, log=True)
        left.axvline(soak.period_ms, color="black", linewidth=0.8)
        left.set_xlabel("period of the inner loop [ms]; last bin: longer")
        left.set_title(f"{soak.model}: {len(periods)} ticks")
        minutes = [when / 60 for when, _ in soak.rests]
        for name in ("threads", "sockets", "descriptors", "children"):
            right.step(minutes, [getattr(held, name) for _, held in soak.rests], label=name)
        right.set_xlabel("time [min]")
        right.set_title(f"held while disconnected; {soak.interruptions.total()} interruptions")
        memory = right.twinx()
        memory.plot(minutes, [held.memory_mb for _, held in soak.rests], color="gray")
        memory.set_ylabel("memory [MB], gray")
        memory.set_ylim(bottom=0)
        right.legend(loc="center right", fontsize="small")
    figure.savefig(path, dpi=110)
