"""A tiny training runs from generated shapes to a field's file, and goes on where it was stopped."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState

from lerobot_neuraltouch.ndf import losses
from lerobot_neuraltouch.ndf.checkpoint import load_ndf
from lerobot_neuraltouch.ndf.data import DataConfig, generate_shard, load_shapes, load_shard
from lerobot_neuraltouch.ndf.encoder import Encoding, Latent
from lerobot_neuraltouch.ndf.losses import _surprise, true_anchors, true_coordinates
from lerobot_neuraltouch.ndf.shape_set import stretch_shapes
from lerobot_neuraltouch.ndf.sizes import FieldConfig
from lerobot_neuraltouch.ndf.train import launch, train
from lerobot_neuraltouch.ndf.trainer import Trainer, TrainNdfConfig, learning_rate
from lerobot_neuraltouch.objects.catalogue import CATEGORIES

TINY = DataConfig(train_shapes=2, val_shapes=1, views=2, view_points=96, labels=256, shard=2, workers=0)  # fmt: skip
NETWORK = FieldConfig(
    num_points=48, edge_hidden=8, scalars=16, vectors=8, hidden=16, heads=4, blocks=2, latent=16,
    decoder_width=32, decoder_blocks=2, descriptor=16,
)  # fmt: skip


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shapes")
    config = dataclasses.replace(TINY, cache=path)
    load_shapes(config, "train"), load_shapes(config, "val")
    return path


def settings(cache: Path, output: Path, steps: int) -> TrainNdfConfig:
    data = dataclasses.replace(TINY, cache=cache)
    return TrainNdfConfig(
        output=output, data=data, network=NETWORK, steps=steps, batch_size=4, num_queries=32,
        val_every=2, val_batches=1, calibration_poses=0, threads=1, cpu=True,
    )  # fmt: skip


def test_training_resumes_where_it_stopped(cache: Path, tmp_path: Path) -> None:
    """Four steps in one go and two plus two steps give the same weights."""
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    config = settings(cache, whole, 4)
    train(config)
    shapes = load_shapes(config.data, "train")
    first = Trainer(dataclasses.replace(config, output=halves))
    for _ in range(2):
        first.train_step(shapes)
    halves.mkdir()
    first.save(halves / "last.pt")
    train(dataclasses.replace(config, output=halves))
    one, two = Trainer(config), Trainer(config)
    one.load(whole / "last.pt")
    two.load(halves / "last.pt")
    assert one.step == two.step == 4
    for a, b in zip(one.field.parameters(), two.field.parameters(), strict=True):
        torch.testing.assert_close(a, b)
    field = load_ndf(whole / "ndf.safetensors")
    assert field.config == NETWORK
    assert (whole / "curve.csv").read_text().count("\n") == 3  # header, steps 2 and 4


def test_a_checkpoint_of_other_sizes_is_refused(cache: Path, tmp_path: Path) -> None:
    config = settings(cache, tmp_path, 2)
    Trainer(config).save(tmp_path / "last.pt")
    other = dataclasses.replace(config, network=dataclasses.replace(NETWORK, scalars=8))
    with pytest.raises(ValueError, match="other sizes"):
        Trainer(other).load(tmp_path / "last.pt")


def test_damaged_shards_are_refused(cache: Path, tmp_path: Path) -> None:
    path = next(cache.glob("*mug-val*.npz"))
    for file in (path, path.with_suffix(".json")):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    copy = tmp_path / path.name
    load_shard(copy)
    copy.write_bytes(copy.read_bytes()[:-1] + b"x")
    with pytest.raises(ValueError, match="damaged"):
        load_shard(copy)


def test_labels_are_distances_and_clouds_lie_on_the_object(cache: Path) -> None:
    shard = generate_shard(TINY, "bottle", "val", 0, 1)
    again = load_shard(next(cache.glob("*bottle-val*.npz")))
    np.testing.assert_array_equal(shard["labels"], again["labels"])
    labels = shard["labels"][0] * 1e-5
    height = shard["shapes"][0, 0]
    above = labels[labels[:, 2] > height + 0.005]  # straight above the lid or beside it
    assert len(above) > 5 and (above[:, 3] >= above[:, 2] - height - 1e-3).all()
    cloud = shard["clouds"][0, 0, : shard["sizes"][0, 0]] * 1e-5
    assert np.quantile(cloud[:, 2], 0.95) < height + 0.01


def test_coordinates_of_a_known_point() -> None:
    """A mug 100 mm high with a rim of 40 mm and a handle at 80 mm; a point over the rim, off the handle by 90 degrees."""
    shape = torch.tensor([[0.1, 0.04, 0.08, 0.05, 0.076, 0.07, 0.0]])
    found = true_coordinates(torch.tensor([[[0.0, 0.05, 0.11]]]), shape)[0, 0]
    lengths = [1.1, 0.1, 0.5, 0.1, 0.0, 0.5, -0.8, 0.6, -0.76, 0.4]
    torch.testing.assert_close(found, torch.tensor([*lengths, 1.0, 0.0, 0.0]))
    expected = torch.tensor(
        [[0.0, 0.0, 0.1], [0.0, 0.0, 0.0], [0.08, 0.0, 0.05], [0.076, 0.0, 0.07]]
    )
    torch.testing.assert_close(true_anchors(shape)[0], expected)


def test_stretched_landmarks_move_with_the_points() -> None:
    """The handle's points in the cloud stay the handle's points of the shape, the rim's radius that of the rim."""
    shape = np.array([[0.1, 0.04, 0.07, 0.05, 0.068, 0.08, 0.0]], np.float32)
    marks = [[0.07, 0.0, 0.05], [0.0, 0.04, 0.1], [0.068, 0.0, 0.08]]
    clouds, labels = np.array([marks], np.float32), np.zeros((1, 2, 4), np.float32)
    labels[0, :, :3] = marks[:2]
    stretch_shapes(np.random.default_rng(1), clouds, labels, shape)
    handle, rim, corner = clouds[0]
    np.testing.assert_allclose(labels[0, :, :3], clouds[0, :2], rtol=1e-6)
    np.testing.assert_allclose(shape[0, 2:4], handle[[0, 2]], rtol=1e-5)
    np.testing.assert_allclose(shape[0, [1, 0]], rim[[1, 2]], rtol=1e-5)
    np.testing.assert_allclose(shape[0, 4:6], corner[[0, 2]], rtol=1e-5)
    assert not np.allclose(clouds[0], marks, rtol=1e-3)


def test_surprise_is_least_where_the_mean_error_is_expected() -> None:
    """Two bottles whose top is found 10 and 30 mm off: 20 mm is the best that can be expected of both."""
    shape = torch.tensor([[0.1, 0.04, 0.0, 0.0, 0.0, 0.0, 1.0]]).repeat(2, 1)
    anchors = true_anchors(shape)
    anchors[0, 0, 2] += 0.01
    anchors[1, 0, 0] += 0.03
    latent = Latent(torch.zeros(2, 1, 3), torch.zeros(2, 3))

    def surprise(expected: float) -> float:
        encoding = Encoding(latent, (anchors, anchors), torch.full((2, 4), expected))
        return float(_surprise(encoding, shape, torch.zeros(2))[0])

    assert surprise(0.02) < min(surprise(0.018), surprise(0.022))


@pytest.mark.slow
def test_two_processes_train_together(cache: Path, tmp_path: Path) -> None:
    """The same command with two processes: one curve, one field."""
    AcceleratorState._reset_state(reset_partial_state=True)  # left by the trainings before
    config = dataclasses.replace(settings(cache, tmp_path / "two", 2), processes=2)
    assert load_ndf(launch(config)).config == NETWORK
    assert (tmp_path / "two" / "curve.csv").read_text().count("\n") == 2  # header, step 2


def test_categories_are_those_of_the_objects() -> None:
    """What the field tells about the category, number by number."""
    assert losses.CATEGORIES == CATEGORIES


def test_learning_rate_rises_and_falls() -> None:
    rates = [learning_rate(p, 1.0, 0.1) for p in (0.0, 0.1, 0.5, 1.0)]
    assert rates[0] < rates[2] < rates[1] == 1.0 and rates[3] == pytest.approx(0.01)


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match="steps"):
        TrainNdfConfig(steps=0)
    with pytest.raises(ValueError, match="Available: mug, bottle"):
        DataConfig(categories="cup")
