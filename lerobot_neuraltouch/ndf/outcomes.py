"""What a benchmark of poses counts: outcomes of single cases, the statistics of rows, and rows in words."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from lerobot_neuraltouch.ndf.cases import Case

CONFUSED_DEG = 60.0
"""A found pose that is turned by more than this took one end or side of the object for another."""
LOW_CONFIDENCE = 0.5
"""Answers below this say that the contact was not found."""
REJECTED_SHARE, LARGE_MM = 0.1, 20.0
"""`rejection` gives up this share of the answers, and looks for errors larger than this [mm] among them."""

Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Outcome:
    """One solved case."""

    case: Case
    confidence: float
    pos_error_m: float
    cos_error: float
    seconds: float

    @property
    def angle_deg(self) -> float:
        """Of the constrained rotation error."""
        return float(np.rad2deg(np.arccos(np.clip(1.0 - self.cos_error, -1.0, 1.0))))


def summarise(outcomes: list[Outcome]) -> Row:
    """The statistics of a row; empty rows hold none."""
    if not outcomes:
        return {"poses": 0}
    errors = np.array([o.pos_error_m for o in outcomes]) * 1e3
    cosines = np.array([o.cos_error for o in outcomes])
    angles = np.array([o.angle_deg for o in outcomes])
    confident = np.array([o.confidence for o in outcomes])
    return {
        "poses": len(outcomes),
        "pos_mm_median": np.median(errors),
        "pos_mm_mean": errors.mean(),
        "pos_mm_p90": np.quantile(errors, 0.9),
        "cos_median": np.median(cosines),
        "cos_mean": cosines.mean(),
        "angle_deg_median": np.median(angles),
        "angle_deg_p90": np.quantile(angles, 0.9),
        "within_10_mm": np.mean(errors < 10.0),
        "confused": np.mean(angles > CONFUSED_DEG),
        "confidence_median": np.median(confident),
        "low_confidence": np.mean(confident < LOW_CONFIDENCE),
        "seconds_median": np.median([o.seconds for o in outcomes]),
    }


def rejection(outcomes: list[Outcome]) -> Row:
    """How many of the large errors are among the least confident answers; of at least one outcome."""
    errors = np.array([1e3 * o.pos_error_m for o in outcomes])
    order = np.argsort([o.confidence for o in outcomes], kind="stable")
    rejected = order[: round(REJECTED_SHARE * len(order))]
    large = errors > LARGE_MM
    kept = np.delete(errors, rejected)
    return {
        "feature": "all",
        "poses": len(outcomes),
        "rejected": len(rejected),
        "errors_over_20_mm": int(large.sum()),
        "errors_over_20_mm_rejected": int(large[rejected].sum()),
        "pos_mm_p90_of_the_rest": np.quantile(kept, 0.9),
    }


def split_rows(keys: Row, outcomes: list[Outcome], extra: Row) -> list[Row]:
    """A row of the cases whose contact is seen, and one of the others."""
    rows = []
    for hidden in (False, True):
        some = [o for o in outcomes if o.case.hidden == hidden]
        rows.append(keys | {"hidden": hidden} | summarise(some) | ({} if hidden else extra))
    return rows


def line(row: Row) -> str:
    """A row in words."""
    if row["feature"] == "all":
        return (
            f"rejecting the least confident {row['rejected']} of {row['poses']} answers removes "
            f"{row['errors_over_20_mm_rejected']} of {row['errors_over_20_mm']} errors over 20 mm"
        )
    marks = [name for name in ("upright", "ood", "hidden") if row[name]]
    return (
        f"{row['feature']:18} {row.get('object', '')} views={row['views']} noise={row['noise']:g} "
        f"demos={row['demos']} {' '.join(marks):8} n={row['poses']:3}: median {row['pos_mm_median']:.1f} mm, "
        f"p90 {row['pos_mm_p90']:.1f} mm, {row['angle_deg_median']:.1f} deg, confused {row['confused']:.0%}, "
        f"unsure {row['low_confidence']:.0%}, {row['seconds_median']:.2f} s"
    )
