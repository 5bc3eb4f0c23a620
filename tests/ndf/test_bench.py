"""The benchmark's rows and report; the published search as its baseline."""

import json
from pathlib import Path

import draccus
import numpy as np
import pytest
import torch

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.features import FEATURES
from lerobot_neuraltouch.ndf import bench, outcomes
from lerobot_neuraltouch.ndf.calibrate import Sample, blob, sample_weights
from lerobot_neuraltouch.ndf.cases import make_case, seeded
from lerobot_neuraltouch.ndf.checkpoint import load_ndf, pretrained_path, save_ndf
from lerobot_neuraltouch.ndf.confidence import Evidence, confidence, fit
from lerobot_neuraltouch.ndf.demonstrations import make_demonstrations
from lerobot_neuraltouch.ndf.descriptor import query_points
from lerobot_neuraltouch.ndf.metric import part_columns
from lerobot_neuraltouch.ndf.network import DescriptorField
from lerobot_neuraltouch.ndf.picture import draw_errors
from lerobot_neuraltouch.ndf.pose_search import make_demonstration, search_columns, search_pose
from lerobot_neuraltouch.ndf.published_search import (
    PublishedSearchConfig,
    published_search,
    rodrigues,
)
from lerobot_neuraltouch.ndf.trainer import TrainNdfConfig
from lerobot_neuraltouch.objects.catalogue import make_object
from lerobot_neuraltouch.objects.sight import is_hidden
from lerobot_neuraltouch.report import write_report

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("train_ndf*.yaml"))


def test_rows_have_the_documented_fields(field: DescriptorField, tmp_path: Path) -> None:
    save_ndf(field, tmp_path / "field.safetensors")
    config = bench.NdfBenchConfig(
        output=tmp_path / "ndf.json", ndf_path=tmp_path / "field.safetensors", features="bottle_head",
        num_shapes=2, baseline_poses=0, threads=1,
    )  # fmt: skip
    rows = bench.bench(config)
    path = write_report(config.output, name="ndf", seed=0, config=config, rows=rows)
    draw_errors(rows, tmp_path / "ndf.png")
    found = json.loads(path.read_text())
    assert {"name", "seed", "config", "rows", "machine", "commit"} <= set(found)
    first = found["rows"][0]
    assert (first["feature"], first["views"], first["noise"]) == ("bottle_head", 1, 1.0)
    assert {"upright", "ood", "demos"} <= set(first)
    assert found["rows"][-1]["feature"] == "all"
    assert all(outcomes.line(row) for row in found["rows"] if row["poses"])
    keys = {"hidden", "pos_mm_median", "pos_mm_p90", "cos_median", "seconds_median"}
    assert all(keys <= set(row) for row in found["rows"][:-1] if row["poses"])
    assert (tmp_path / "ndf.png").stat().st_size > 1000


def test_published_search_lowers_its_energy(field: DescriptorField, cloud: torch.Tensor) -> None:
    demo = make_demonstration(
        field, cloud, se3.transform(None, (0.03, 0.0, 0.05)), query_points(16)
    )
    energies = []
    for steps in (0, 25):
        config = PublishedSearchConfig(num_starts=3, num_steps=steps)
        generator = torch.Generator().manual_seed(0)
        energies.append(published_search(field, cloud, demo, config, generator=generator)[1])
    assert energies[1] < 0.9 * energies[0]


def test_rodrigues_is_a_rotation_by_the_vector() -> None:
    """A quarter turn about z maps x to y."""
    R = rodrigues(torch.tensor([[0.0, 0.0, np.pi / 2]], dtype=torch.float64))[0]
    torch.testing.assert_close(
        R @ torch.tensor([1.0, 0.0, 0.0]).double(), torch.tensor([0.0, 1.0, 0.0]).double()
    )


def test_ideal_poses_have_no_error_and_clouds_tell_what_is_seen() -> None:
    case = make_case("mug_rim", "val", 0, seeded(0, "test"), views=1)
    T = case.T_base_object @ case.feature.sample(np.random.default_rng(0))
    assert case.error(T)[0] < 1e-6
    local = se3.apply(se3.inverse(case.T_base_object), case.cloud)
    height = make_object("mug", "val", 0).mesh.bounds[1, 2]
    assert is_hidden(local[local[:, 2] < height - 0.04], case.feature)
    rim = case.feature.curve(8)[:1, :3, 3] + np.zeros((20, 1))
    assert not is_hidden(rim, case.feature)


def test_confidence_learns_what_tells_good_poses() -> None:
    """Good are poses of low energy whose contact is seen; the rest of the evidence is noise."""
    rng = np.random.default_rng(0)

    def draw() -> Evidence:
        energy, touched = np.exp(rng.uniform(-2.0, 2.0)), int(rng.integers(120))
        doubt, axis_doubt, remote = 0.1 * rng.random(3)
        return Evidence(
            energy, rng.random(), touched, rng.random(), rng.random(), doubt, axis_doubt, remote
        )

    evidence = [draw() for _ in range(400)]
    is_good = np.array([item.energy < 1.0 and item.touched > 10 for item in evidence])
    found = fit(evidence, is_good, np.ones(400))
    good = Evidence(0.3, 0.5, 70, 0.5, 0.5, 0.01, 0.01, 0.05)
    assert confidence(found, good) > 0.8
    assert confidence(found, good._replace(energy=5.0)) < 0.2
    assert confidence(found, good._replace(touched=0)) < 0.5


def test_rare_hidden_contacts_weigh_more() -> None:
    """One hidden rim beside four seen ones weighs twice as much as each of them; handles are seen and hidden alike, hidden ones weigh
    1.5 all the same."""
    evidence = Evidence(1.0, 0.0, 0, 0.0, 1.0, 0.01, 0.01, 0.0)
    rims = [Sample("mug_rim", "top", evidence, number == 0, number > 0) for number in range(5)]
    handles = [
        Sample("horizontal_handle", "handle", evidence, hide, not hide) for hide in (True, False)
    ]
    assert sample_weights([*rims, *handles]).tolist() == [2.0, 1.0, 1.0, 1.0, 1.0, 1.5, 1.0]


def test_rejection_counts_the_large_errors_among_the_unsure() -> None:
    """Ten answers, two of them 50 mm off: one of those is the least sure."""
    case = make_case("bottle_head", "val", 0, seeded(0, "test"))
    errors = [0.001] * 8 + [0.05, 0.05]
    sure = [0.9] * 8 + [0.1, 0.95]
    found = [outcomes.Outcome(case, c, e, 0.0, 0.1) for c, e in zip(sure, errors, strict=True)]
    row = outcomes.rejection(found)
    assert (row["rejected"], row["errors_over_20_mm"], row["errors_over_20_mm_rejected"]) == (
        1,
        2,
        1,
    )


@pytest.mark.parametrize("feature", FEATURES)
def test_shipped_field_finds_grasps_and_doubts_garbage(feature: str) -> None:
    """Unseen objects from one noisy view; medians of the whole benchmark are in its report."""
    field = load_ndf(pretrained_path())
    demos = make_demonstrations(field, feature)
    errors, trust = [], []
    for index in range(30):
        case = make_case(feature, "test", index, seeded(3, "shipped", feature, index))
        if case.hidden or len(errors) == 5:
            continue
        result = search_pose(field, case.cloud, demos)
        errors.append(case.error(result.T)[0])
        trust.append(result.confidence)
    garbage = [search_pose(field, blob(seeded(i, "blob")), demos).confidence for i in range(2)]
    assert np.median(errors) < 0.012
    assert np.median(trust) > max(garbage)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_files_load(path: Path) -> None:
    assert draccus.parse(TrainNdfConfig, config_path=path, args=[]).steps > 0


def test_unknown_features_are_refused() -> None:
    with pytest.raises(ValueError, match="Available"):
        bench.NdfBenchConfig(features="mug_lid")


@pytest.mark.parametrize("feature", FEATURES)
def test_contacts_know_their_part(feature: str) -> None:
    """Handles are found with the columns fitted for handles, all other contacts with those of the top."""
    field = load_ndf(pretrained_path())
    columns = search_columns(field, make_demonstrations(field, feature))
    assert columns == part_columns(field, "handle" if feature.endswith("_handle") else "top")


def test_only_contacts_that_the_split_has_are_measured() -> None:
    """Held-out mugs have no right-angle handle; asking for one is refused before any work is done."""
    assert "right_angle_handle" in bench.NdfBenchConfig().feature_names
    assert "right_angle_handle" not in bench.NdfBenchConfig(split="ood").feature_names
    with pytest.raises(
        ValueError,
        match="Unknown feature 'right_angle_handle'. Available in the split 'ood': mug_rim",
    ):
        bench.NdfBenchConfig(split="ood", features="mug_rim,right_angle_handle")
    with pytest.raises(ValueError, match="Unknown split 'food'. Available: train, val, test, ood"):
        bench.NdfBenchConfig(split="food")
