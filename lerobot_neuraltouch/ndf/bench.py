"""`neuraltouch bench ndf`: accuracy and speed of the pose search on unseen objects from few noisy views."""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import draccus
import numpy as np
import torch
from tqdm import tqdm

from lerobot_neuraltouch.features import FEATURES
from lerobot_neuraltouch.ndf.cases import Case, make_case, place, seeded
from lerobot_neuraltouch.ndf.checkpoint import load_ndf, pretrained_path
from lerobot_neuraltouch.ndf.demonstrations import make_demonstrations
from lerobot_neuraltouch.ndf.descriptor import query_points
from lerobot_neuraltouch.ndf.network import DescriptorField
from lerobot_neuraltouch.ndf.outcomes import Outcome, Row, line, rejection, split_rows
from lerobot_neuraltouch.ndf.picture import draw_errors
from lerobot_neuraltouch.ndf.pose_search import (
    Demonstration,
    PoseSearchConfig,
    search_pose,
)
from lerobot_neuraltouch.ndf.published_search import published_search
from lerobot_neuraltouch.objects.catalogue import SPLITS, has_held_out_styles, has_objects
from lerobot_neuraltouch.objects.user import load_object
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
    features: str = ""
    """Contacts, separated by commas; all that objects of the split have if left out."""
    object: str = ""
    """YAML files of users' objects, separated by commas: measured instead of generated ones, on the contacts that they have."""
    num_shapes: int = 60
    """Unseen objects per row of the nominal setting; the other rows use half as many."""
    split: str = "test"
    """Stream of the objects; `val` while settings are being chosen."""
    num_demos: int = 1
    """Shown grasps per contact, each on another training object."""
    demo_views: int = 4
    """Noisy views of a demonstration's object."""
    factors: bool = True
    """Whether to vary views, noise, demonstrations and so on as well, or to measure the nominal setting alone."""
    pose: PoseSearchConfig = field(default_factory=PoseSearchConfig)
    """Settings of the search, for ablations: `--pose.settle=false`."""
    baseline_poses: int = 5
    """Poses per contact that the published search solves as well, in the nominal setting; 0 leaves it out."""
    search: str = "ours"
    """`ours`, or `published` to measure the published search alone in the nominal setting (slow)."""
    threads: int = 2
    """CPU threads of both searches."""

    @property
    def feature_names(self) -> list[str]:
        """The contacts that are measured."""
        if self.features:
            return self.features.split(",")
        return [name for name in FEATURES if has_objects(name, self.split)]

    def __post_init__(self) -> None:
        for name in ("num_shapes", "num_demos", "demo_views", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}.")
        if self.split not in SPLITS:
            raise ValueError(f"Unknown split '{self.split}'. Available: {', '.join(SPLITS)}.")
        available = [name for name in FEATURES if has_objects(name, self.split)]
        unknown = [name for name in self.feature_names if name not in available]
        if unknown:
            raise ValueError(
                f"Unknown feature '{unknown[0]}'. Available in the split '{self.split}': {', '.join(available)}."
            )
        if self.search not in ("ours", "published"):
            raise ValueError(f"Unknown search '{self.search}'. Available: ours, published.")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Conditions of one row."""

    views: int = 1
    noise: float = 1.0
    """In multiples of the nominal one."""
    demos: int = 1
    upright: bool = False
    """On a table and seen from above, instead of floating in any orientation."""
    ood: bool = False
    """Objects of the styles that were held out from training."""


SETTINGS = (
    Setting(),
    Setting(views=2),
    Setting(views=4),
    Setting(noise=0.0),
    Setting(noise=2.0),
    Setting(demos=5),
    Setting(upright=True),
    Setting(ood=True),
)
"""One factor varies at a time; the nominal one comes first."""


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
    return Outcome(case, result.confidence, *case.error(result.T), seconds)


def solve_published(field: DescriptorField, demo: Demonstration, case: Case, seed: int) -> Outcome:
    """The same by the published search, which knows no confidence."""
    start = time.perf_counter()
    generator = torch.Generator().manual_seed(seed)
    T, _ = published_search(field, case.cloud, demo, generator=generator)
    return Outcome(case, float("nan"), *case.error(T), time.perf_counter() - start)


class Bench:
    """One run: the field, the demonstrations and what was measured so far."""

    def __init__(self, config: NdfBenchConfig) -> None:
        self.config = config
        self.field = load_ndf(config.ndf_path or pretrained_path())
        self.seen: list[Outcome] = []
        """Outcomes of the nominal setting whose contact is seen."""

    def demonstrations(self, feature: str, num: int, queries: int = 0) -> list[Demonstration]:
        """Shown grasps, with the usual query points or as many as told."""
        points = query_points(queries) if queries else None
        config = self.config
        return make_demonstrations(
            self.field, feature, num, views=config.demo_views, seed=config.seed, queries=points
        )

    def cases(self, feature: str, setting: Setting, count: int) -> Iterator[Case]:
        """Unseen objects under the setting's conditions."""
        for index in range(count):
            tags = [setting.views, int(10 * setting.noise)]
            if setting.upright or setting.ood:
                tags += [int(setting.upright), int(setting.ood)]
            yield make_case(
                feature,
                "ood" if setting.ood else self.config.split,
                index,
                seeded(self.config.seed, feature, index, *tags),
                views=setting.views,
                noise=scaled_noise(setting.noise),
                upright=setting.upright,
            )

    def feature_rows(self, feature: str, progress: tqdm) -> list[Row]:
        """All rows of one contact."""
        rows: list[Row] = []
        for setting in SETTINGS if self.config.factors else SETTINGS[:1]:
            if setting.ood and not has_held_out_styles(feature):
                continue
            demos = self.demonstrations(feature, self.config.num_demos * setting.demos)
            nominal = setting == Setting()
            count = self.config.num_shapes if nominal else max(self.config.num_shapes // 2, 1)
            outcomes = []
            for index, case in enumerate(self.cases(feature, setting, count)):
                if index == 0:
                    solve(self.field, demos, case, self.config.pose)  # warm-up
                outcomes.append(solve(self.field, demos, case, self.config.pose))
                progress.update()
            baseline = self._baseline(feature, outcomes, progress) if nominal else {}
            if nominal:
                self.seen += [o for o in outcomes if not o.case.hidden]
            rows += split_rows({"feature": feature, **asdict(setting)}, outcomes, baseline)
        return rows

    def object_rows(self, path: Path, progress: tqdm) -> list[Row]:
        """Rows of a user's object: each of its contacts, from many sides."""
        model = load_object(path, physics=False)
        rows: list[Row] = []
        for feature in model.features:
            demos = self.demonstrations(feature, self.config.num_demos)
            outcomes = []
            for index in range(self.config.num_shapes):
                rng = seeded(self.config.seed, "object", feature, index)
                case = place(model, feature, rng)
                outcomes.append(solve(self.field, demos, case, self.config.pose))
                progress.update()
            keys = {"feature": feature, "object": model.name, **asdict(Setting())}
            rows += split_rows(keys, outcomes, {})
        return rows

    def published_rows(self, feature: str, progress: tqdm) -> list[Row]:
        """The nominal rows of the published search."""
        demo = self.demonstrations(feature, 1, queries=500)[0]
        outcomes = []
        for case in self.cases(feature, Setting(), self.config.num_shapes):
            outcomes.append(solve_published(self.field, demo, case, self.config.seed))
            progress.update()
        keys = {"feature": feature, "search": "published", **asdict(Setting())}
        return split_rows(keys, outcomes, {})

    def _baseline(self, feature: str, outcomes: list[Outcome], progress: tqdm) -> Row:
        """The published search on the first cases whose contact is seen."""
        seen = [o for o in outcomes if not o.case.hidden][: self.config.baseline_poses]
        if not seen:
            return {}
        demo = self.demonstrations(feature, 1, queries=500)[0]
        found = []
        for outcome in seen:
            found.append(solve_published(self.field, demo, outcome.case, self.config.seed))
            progress.update()
        seconds = float(np.median([o.seconds for o in found]))
        return {
            "baseline_poses": len(seen),
            "baseline_seconds_median": seconds,
            "baseline_pos_mm_median": 1e3 * np.median([o.pos_error_m for o in found]),
            "same_poses_pos_mm_median": 1e3 * np.median([o.pos_error_m for o in seen]),
            "speed_up": seconds / np.median([o.seconds for o in outcomes]),
        }


def bench(config: NdfBenchConfig) -> list[Row]:
    """Measure all rows."""
    torch.set_num_threads(config.threads)
    run = Bench(config)
    features = config.feature_names
    objects = [Path(name) for name in config.object.split(",") if name]
    with tqdm(desc="bench ndf", unit="pose") as progress:
        if objects:
            return [row for path in objects for row in run.object_rows(path, progress)]
        if config.search == "published":
            return [row for name in features for row in run.published_rows(name, progress)]
        rows = [row for name in features for row in run.feature_rows(name, progress)]
        return [*rows, rejection(run.seen)] if run.seen else rows


@draccus.wrap()
def main(config: NdfBenchConfig) -> None:
    """Accuracy and speed of the pose search on unseen objects."""
    rows = bench(config)
    path = write_report(config.output, name="ndf", seed=config.seed, config=config, rows=rows)
    draw_errors(rows, config.output.with_suffix(".png"))
    for row in rows:
        if row.get("poses"):
            tqdm.write(line(row))
    tqdm.write(f"Report: {path}")
