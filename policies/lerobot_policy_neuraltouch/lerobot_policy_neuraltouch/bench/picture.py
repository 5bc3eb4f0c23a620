"""Pictures beside the reports."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.figure
import numpy as np

from lerobot_policy_neuraltouch.bench import paper

_NAMES = {
    "ndf": "NDF",
    "rl_touch": "NDF + RL-Touch",
    "no_memory": "NeuralTouch without memory",
    "neuraltouch": "NeuralTouch",
}
_PAPER_RANGE_MM = (
    min(paper.TABLE1_POSITION_MM["neuraltouch"].values()),
    max(paper.TABLE1_POSITION_MM["neuraltouch"].values()),
)
_COLOURS = {
    "ndf": "tab:gray",
    "rl_touch": "tab:orange",
    "no_memory": "tab:cyan",
    "neuraltouch": "tab:blue",
}


def draw_table1(rows: Sequence[Mapping[str, Any]], output: Path, *, start: str) -> Path:
    """Our mean errors as bars, the paper's as hollow ones beside them, on logarithmic axes."""
    figure = matplotlib.figure.Figure(figsize=(10, 4.2), layout="constrained")
    panels = figure.subplots(1, 2)
    quantities = (
        ("pos_mm_mean", paper.TABLE1_POSITION_MM, "mean position error [mm]"),
        ("cos_mean", paper.TABLE1_COSINE, "mean cosine error, 1 - cos(angle)"),
    )
    for axes, (column, published, label) in zip(panels, quantities, strict=True):
        _bars(axes, rows, column, published)
        axes.set_yscale("log")
        axes.set_ylabel(label)
        axes.grid(axis="y", alpha=0.3)
    # below the panels: within them it would hide bars
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8
    )
    figure.suptitle(
        f"Error after the grasp, unseen shapes, start={start}, {rows[0]['episodes']} episodes each\n"
        "hollow: the paper's Table I (its objects, starts and error metric may differ)",
        fontsize=10,
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(output, dpi=150)
    return output


def _bars(
    axes: Any, rows: Sequence[Mapping[str, Any]], column: str, published: Mapping[str, Mapping]
) -> None:
    features = list(dict.fromkeys(row["feature"] for row in rows))
    methods = list(dict.fromkeys(row["method"] for row in rows))
    width = 0.8 / (2 * len(methods))
    for row in rows:
        method, feature = row["method"], row["feature"]
        x = features.index(feature) - 0.4 + (2 * methods.index(method) + 0.5) * width
        label = _NAMES[method] if feature == features[0] else None
        axes.bar(x, max(row[column], 1e-6), width, color=_COLOURS[method], label=label)
        axes.annotate(_short(row[column]), (x, row[column]), ha="center", va="bottom", fontsize=7)
        value = published.get(method, {}).get(feature)
        if value is not None:
            style = {"fill": False, "edgecolor": _COLOURS[method], "linestyle": "--"}
            axes.bar(x + width, value, width, **style)
    axes.set_xticks(np.arange(len(features)), features, fontsize=7, rotation=15)


def _short(value: float) -> str:
    return f"{value:.2g}"


def draw_table2(rows: Sequence[Mapping[str, Any]], output: Path) -> Path:
    """Our success rates with 95 % intervals as bars, the paper's as hollow ones beside them."""
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    methods = list(dict.fromkeys(row["method"] for row in rows))
    width = 0.8 / (2 * len(methods))
    figure = matplotlib.figure.Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots()
    for row in rows:
        task, method = row["task"], row["method"]
        x = tasks.index(task) - 0.4 + (2 * methods.index(method) + 0.5) * width
        spread = [
            [row["success"] - row["ci95_low"]],
            [row["ci95_high"] - row["success"]],
        ]
        label = _NAMES[method] if task == tasks[0] else None
        axes.bar(x, row["success"], width, yerr=spread, color=_COLOURS[method], label=label)
        value = paper.TABLE2_SUCCESS.get(method, {}).get(task)
        if value is not None:
            style = {"fill": False, "edgecolor": _COLOURS[method], "linestyle": "--"}
            axes.bar(x + width, value, width, **style)
    axes.set_xticks(np.arange(len(tasks)), tasks, fontsize=8)
    axes.set(ylim=(0, 1.02), ylabel="success")
    axes.grid(axis="y", alpha=0.3)
    axes.legend(fontsize=8)
    axes.set_title(
        f"Whole tasks, unseen shapes, {rows[0]['episodes']} episodes each, 95 % intervals\n"
        "hollow: the paper's Table II (its objects and tasks may differ)",
        fontsize=10,
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(output, dpi=150)
    return output


def draw_sample_efficiency(rows: Sequence[Mapping[str, Any]], output: Path) -> Path:
    """Mean position error of each contact against environment steps, on logarithmic axes."""
    figure = matplotlib.figure.Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    steps = [row["env_steps"] for row in rows]
    for column in (name for name in rows[0] if name.endswith("_pos_mm_mean")):
        errors = [row[column] for row in rows]
        axes.plot(
            steps, errors, marker="o", markersize=3, label=column.removesuffix("_pos_mm_mean")
        )
    axes.axhspan(*_PAPER_RANGE_MM, color="tab:gray", alpha=0.2, label="the paper, after 80 million")
    axes.set(
        yscale="log",
        xlabel="environment steps",
        ylabel="mean position error [mm]",
        title="Validation objects, perturbed starts",
    )
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(output, dpi=150)
    return output
