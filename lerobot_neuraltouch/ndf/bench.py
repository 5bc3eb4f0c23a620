"""`neuraltouch bench ndf`: accuracy and speed of the pose search on unseen objects from few noisy views."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import draccus
import numpy as np
import torch
from tqdm import tqdm

from lerobot_neuraltouch.features import task_of_feature
from lerobot_neuraltouch.ndf.cases import Case, make_case, seeded
from lerobot_neuraltouch.ndf.checkpoint import load_ndf, pretrained_path
from lerobot_neuraltouch.ndf.demonstrations import make_demonstrations
from lerobot_neuraltouch.ndf.descriptor import query_points
from lerobot_neuraltouch.ndf.network import DescriptorField
from lerobot_neuraltouch.ndf.picture import draw_errors
from lerobot_neuraltouch.ndf.pose_search import (
    Demonstration,
    PoseSearchConfig,
    PoseSearchResult,
    search_pose,
)
from lerobot_neuraltouch.ndf.published_search import published_search
from lerobot_neuraltouch.pointcloud import DepthNoise
from lerobot_neuraltouch.report import write_report


@dataclass(frozen=True, kw_only=True)
class NdfBenchConfig:
    """Settings of the benchmark."""

    output: Path = Path("outputs/bench/ndf.json")
    """The report; the picture is drawn beside it."""
    seed: int = 0
    ndf_path: Path | None = None
    """Field to measure; the one of the package if left out."""
    features: str = "mug_rim,bottle_head"
    """Contacts, separated by commas."""
    num_shapes: int = 60
    """Unseen objects per row of the nominal setting; the other rows use half as many."""
    split: str = "test"
    """Stream of the objects; `val` while settings are being chosen."""
    num_demos: int = 1
    """Shown grasps per contact, each on another training object."""
    demo_views: int = 4
    """Noisy views of a demonstration's object."""
    baseline_poses: int = 5
    """Poses per contact that the published search solves as well, in the nominal setting; 0 leaves it out."""
    threads: int = 2
    """CPU threads of both searches."""

    def __post_init__(self) -> None:
        for name in ("num_shapes", "num_demos", "demo_views", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}.")
        for feature in self.features.split(","):
            task_of_feature(feature)


SETTINGS = ((1, 1.0), (2, 1.0), (4, 1.0), (1, 0.0), (1, 2.0))
"""Views and noise (in multiples of the nominal one) of the rows: one factor varies at a time, the nominal comes first."""

Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Outcome:
    """One solved case."""

    case: Case
    result: PoseSearchResult
    pos_error_m: float
    cos_error: float
    seconds: float


def scaled_noise(factor: float) -> DepthNoise:
    """The nominal depth noise times a factor."""
    nominal = DepthNoise()
    return DepthNoise(
        sigma_m=factor * nominal.sigma_m,
        edge_dropout=min(factor * nominal.edge_dropout, 1.0),
        edge_flying=min(factor * nominal.edge_flying, 1.0),
        outliers=min(factor * nominal.outliers, 1.0),
    )


def solve(
    field: DescriptorField,
    demos: list[Demonstration],
    case: Case,
    config: PoseSearchConfig | None = None,
) -> Outcome:
    """Search the pose of one case and measure its error."""
    start = time.perf_counter()
    result = search_pose(field, case.cloud, demos, config)
    seconds = time.perf_counter() - start
    return Outcome(case, result, *case.error(result.T), seconds)


def summarise(outcomes: list[Outcome]) -> Row:
    """The statistics of a row; empty rows hold None."""
    if not outcomes:
        return {"poses": 0}
    errors = np.array([o.pos_error_m for o in outcomes]) * 1e3
    cosines = np.array([o.cos_error for o in outcomes])
    angles = np.rad2deg(np.arccos(np.clip(1.0 - cosines, -1.0, 1.0)))
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
        "confidence_median": np.median([o.result.confidence for o in outcomes]),
        "seconds_median": np.median([o.seconds for o in outcomes]),
    }


def bench_feature(
    field: DescriptorField, feature: str, config: NdfBenchConfig, progress: tqdm
) -> list[Row]:
    """All rows of one contact."""
    rows: list[Row] = []
    demos = make_demonstrations(
        field, feature, config.num_demos, views=config.demo_views, seed=config.seed
    )
    for number, (views, noise) in enumerate(SETTINGS):
        count = config.num_shapes if number == 0 else max(config.num_shapes // 2, 1)
        outcomes = []
        for index in range(count):
            rng = seeded(config.seed, feature, index, views, int(10 * noise))
            case = make_case(
                feature, config.split, index, rng, views=views, noise=scaled_noise(noise)
            )
            if index == 0:
                solve(field, demos, case)  # warm-up
            outcomes.append(solve(field, demos, case))
            progress.update()
        baseline = _baseline(field, feature, outcomes, config, progress) if number == 0 else {}
        for hidden in (False, True):
            some = [o for o in outcomes if o.case.hidden == hidden]
            row = {"feature": feature, "views": views, "noise": noise, "hidden": hidden}
            rows.append(row | summarise(some) | (baseline if not hidden else {}))
    return rows


def _baseline(
    field: DescriptorField,
    feature: str,
    outcomes: list[Outcome],
    config: NdfBenchConfig,
    progress: tqdm,
) -> Row:
    """The published search on the first cases whose contact is seen."""
    seen = [o for o in outcomes if not o.case.hidden][: config.baseline_poses]
    if not seen:
        return {}
    demo = make_demonstrations(
        field, feature, 1, views=config.demo_views, seed=config.seed, queries=query_points(500)
    )[0]
    seconds, errors = [], []
    for outcome in seen:
        start = time.perf_counter()
        generator = torch.Generator().manual_seed(config.seed)
        T, _ = published_search(field, outcome.case.cloud, demo, generator=generator)
        seconds.append(time.perf_counter() - start)
        errors.append(1e3 * outcome.case.error(T)[0])
        progress.update()
    ours = np.median([o.seconds for o in outcomes])
    return {
        "baseline_poses": len(seen),
        "baseline_seconds_median": np.median(seconds),
        "baseline_pos_mm_median": np.median(errors),
        "same_poses_pos_mm_median": 1e3 * np.median([o.pos_error_m for o in seen]),
        "speed_up": np.median(seconds) / ours,
    }


def bench(config: NdfBenchConfig) -> list[Row]:
    """Measure all rows."""
    torch.set_num_threads(config.threads)
    field = load_ndf(config.ndf_path or pretrained_path())
    features = config.features.split(",")
    half = max(config.num_shapes // 2, 1)
    poses = config.num_shapes + (len(SETTINGS) - 1) * half + config.baseline_poses
    with tqdm(total=len(features) * poses, desc="bench ndf") as progress:
        return [row for name in features for row in bench_feature(field, name, config, progress)]


@draccus.wrap()
def main(config: NdfBenchConfig) -> None:
    """Accuracy and speed of the pose search on unseen objects."""
    rows = bench(config)
    path = write_report(config.output, name="ndf", seed=config.seed, config=config, rows=rows)
    draw_errors(rows, config.output.with_suffix(".png"))
    for row in rows:
        if row.get("poses"):
            tqdm.write(
                f"{row['feature']:12} views={row['views']} noise={row['noise']:g} hidden={row['hidden']!s:5} "
                f"n={row['poses']:3}: median {row['pos_mm_median']:.1f} mm, p90 {row['pos_mm_p90']:.1f} mm, "
                f"{row['angle_deg_median']:.1f} deg, {row['seconds_median']:.2f} s"
            )
    tqdm.write(f"Report: {path}")
