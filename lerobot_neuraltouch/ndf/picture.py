"""Picture of the benchmark: our errors next to the paper's NDF."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib.figure import Figure

PAPER_MM = {
    "mug_rim": 13.6,
    "mug_wall": 12.4,
    "right_angle_handle": 11.0,
    "horizontal_handle": 11.5,
    "bottle_head": 9.5,
    "bolt_head": 12.5,
}
"""Position errors of NDF alone in arXiv 2510.20390, Table I [mm]."""
TALLEST_MM = 30.0
"""Bars end here: tails of poses upside down would leave nothing of the others to see."""


def draw_errors(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw bars of the rows with a visible contact and save them as an image."""
    rows = [row for row in rows if not row.get("hidden", True) and row.get("poses")]
    if not rows:
        return
    features = list(dict.fromkeys(row["feature"] for row in rows))
    columns = min(len(features), 3)
    lines = -(-len(features) // columns)
    figure = Figure(figsize=(5.2 * columns + 0.6, 3.6 * lines), layout="constrained")
    axes = figure.subplots(lines, columns, sharey=True, squeeze=False).ravel()
    for ax in axes[len(features) :]:
        ax.set_axis_off()
    for ax, feature in zip(axes, features, strict=False):
        mine = [row for row in rows if row["feature"] == feature]
        labels = ["paper's\nNDF"] + [_label(row) for row in mine]
        x = np.arange(len(labels))
        ax.bar(0, PAPER_MM.get(feature, 0.0), color="0.65", label="paper (Table I)")
        medians = [row["pos_mm_median"] for row in mine]
        tails = [row["pos_mm_p90"] for row in mine]
        ax.bar(x[1:], medians, color="tab:blue", label="ours, median")
        ax.plot(x[1:], tails, "_", color="black", markersize=18, label="ours, 90th percentile")
        for place, value in zip(x, [PAPER_MM.get(feature, 0.0), *medians], strict=True):
            ax.text(place, value, f"{value:.1f}", ha="center", va="bottom", fontsize=8)
        ax.set_xticks(x, labels, fontsize=7)
        ax.set_title(feature)
        ax.set_ylim(0.0, TALLEST_MM)
    axes[0].set_ylabel("position error [mm]")
    axes[0].legend(fontsize=7)
    figure.suptitle(
        "Coarse pose on unseen objects (objects and error metric differ from the paper's), "
        f"cut at {TALLEST_MM:g} mm",
        fontsize=9,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def _label(row: dict[str, Any]) -> str:
    """What differs from the nominal setting."""
    if row["views"] > 1:
        return f"{row['views']}\nviews"
    if row["noise"] != 1.0:
        return f"noise\nx{row['noise']:g}"
    if row["demos"] > 1:
        return f"{row['demos']}\ndemos"
    marks = {"upright": "on a\ntable", "ood": "held-out\nstyle"}
    return next((text for name, text in marks.items() if row[name]), "nominal")


def draw_curve(curve: Path, path: Path) -> None:
    """Draw a training's `curve.csv`: losses and the validation errors in mm over the minutes."""
    table = np.atleast_1d(np.genfromtxt(curve, delimiter=",", names=True))
    figure = Figure(figsize=(9.0, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, label in (("train_loss", "training"), ("loss", "validation")):
        left.plot(table["minutes"], table[name], label=label)
    for name in ("sdf_mm", "depth_mm", "height_mm", "reach_mm", "anchor_top_mm"):
        right.plot(table["minutes"], table[name], label=name.removesuffix("_mm"))
    left.set_ylabel("loss")
    right.set_ylabel("validation error [mm]")
    for ax in (left, right):
        ax.set_xlabel("training time [min]")
        ax.set_yscale("log")
        ax.legend(fontsize=7)
    figure.savefig(path, dpi=120)
