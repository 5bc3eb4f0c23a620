"""The recorder: LeRobot reads what it writes, and no crash costs more than the running episode."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from lerobot.datasets import LeRobotDataset
from numpy.testing import assert_array_equal

from lerobot_neuraltouch import features
from lerobot_policy_neuraltouch.training import episode_writer
from lerobot_policy_neuraltouch.training.episode_writer import EpisodeWriter
from lerobot_policy_neuraltouch.training.frames import Frame, dataset_features

FEATURES = dataset_features(16, cloud=False)


@pytest.fixture(autouse=True)
def small_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Files of two episodes, so that a few episodes cover starting and continuing a file."""
    monkeypatch.setattr(episode_writer, "EPISODES_PER_FILE", 2)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def episode(seed: int, length: int = 3, columns: dict | None = None) -> Frame:
    rng = np.random.default_rng(seed)
    frames: Frame = {}
    for key, column in (columns or FEATURES).items():
        shape = (length, *column["shape"])
        if column["dtype"] == "image":
            frames[key] = rng.integers(0, 256, shape, dtype=np.uint8)
        elif column["dtype"] == "bool":
            frames[key] = rng.random(shape) < 0.5
        else:
            frames[key] = rng.normal(size=shape).astype(np.float32)
    return frames


def open_writer(root: Path, *, resume: bool = False, columns: dict | None = None) -> EpisodeWriter:
    return EpisodeWriter("local/test", root, columns or FEATURES, 10, resume=resume)


def load(root: Path) -> LeRobotDataset:
    return LeRobotDataset("local/test", root=root)


def assert_holds(root: Path, count: int, length: int = 3) -> None:
    """The dataset has episodes 0 .. count - 1 of `episode`, every frame at its place."""
    dataset = load(root)
    assert (dataset.num_episodes, dataset.num_frames) == (count, count * length)
    for i in range(count * length):
        wanted, item = episode(i // length), dataset[i]
        assert item["episode_index"] == i // length and item["frame_index"] == i % length
        assert_array_equal(item[features.STATE].numpy(), wanted[features.STATE][i % length])
        picture = (item[features.TACTILE_LEFT].numpy() * 255).round().astype(np.uint8)
        assert_array_equal(picture, wanted[features.TACTILE_LEFT][i % length].transpose(2, 0, 1))


def test_what_is_written_is_read_back_to_the_bit(tmp_path: Path) -> None:
    writer = open_writer(tmp_path / "data")
    for i in range(5):
        writer.save(episode(i), f"task {i % 2}")
    writer.close()
    assert_holds(tmp_path / "data", 5)
    dataset = load(tmp_path / "data")
    assert [dataset[i]["task"] for i in (0, 3)] == ["task 0", "task 1"]
    assert dataset.meta.stats["observation.state"]["count"].item() == 15
    assert dataset.meta.stats[features.TACTILE_LEFT]["mean"].shape == (3, 1, 1)


def test_the_statistics_are_lerobots(tmp_path: Path) -> None:
    """Same episodes through LeRobot's recorder: the same statistics of everything but pictures."""
    official = LeRobotDataset.create(
        "local/test", 10, FEATURES, root=tmp_path / "official", use_videos=False
    )
    writer = open_writer(tmp_path / "ours")
    for i in range(3):
        frames = episode(i)
        writer.save(frames, "task")
        for t in range(3):
            official.add_frame({key: value[t] for key, value in frames.items()} | {"task": "task"})
        official.save_episode()
    official.finalize()
    theirs, ours = load(tmp_path / "official").meta, load(tmp_path / "ours").meta
    assert ours.info.features == theirs.info.features
    for key in (features.STATE, features.ACTION, "next.done", "timestamp"):
        for name, value in theirs.stats[key].items():
            np.testing.assert_allclose(ours.stats[key][name], value, err_msg=f"{key} {name}")


def test_lerobots_recorder_can_go_on(tmp_path: Path) -> None:
    root = tmp_path / "data"
    writer = open_writer(root)
    writer.save(episode(0), "task")
    dataset = LeRobotDataset.resume("local/test", root=root)
    for t in range(3):
        frames = episode(1)
        dataset.add_frame({key: value[t] for key, value in frames.items()} | {"task": "task"})
    dataset.save_episode()
    dataset.finalize()
    assert_holds(root, 2)


def test_point_clouds_are_stored_exactly(tmp_path: Path) -> None:
    columns = dataset_features(16, cloud=True)
    frames = episode(0, columns=columns)
    open_writer(tmp_path / "data", columns=columns).save(frames, "task")
    assert_array_equal(
        load(tmp_path / "data")[2][features.POINT_CLOUD], frames[features.POINT_CLOUD][2]
    )


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("call", [2, 4, 5, 7, 9])
def test_dying_before_any_rename_costs_one_episode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    """Two episodes are committed; the third (calls 1-4) or fourth (5-9, with a new task) is never finished.

    Each begins with data and episode files, the fourth goes on with tasks; statistics and info come last.
    """
    root = tmp_path / "data"
    writer = open_writer(root)
    writer.save(episode(0), "task")
    writer.save(episode(1), "task")
    replace, calls = os.replace, 0

    def dying(*names: Path) -> None:
        nonlocal calls
        calls += 1
        if calls == call:
            raise Killed
        replace(*names)

    monkeypatch.setattr(os, "replace", dying)
    with pytest.raises(Killed):
        writer.save(episode(2), "task")
        writer.save(episode(3), "another")
    monkeypatch.setattr(os, "replace", replace)
    committed = 2 if call <= 4 else 3
    assert_holds(root, committed)

    resumed = open_writer(root, resume=True)
    assert resumed.num_episodes == committed
    for i in range(committed, 5):
        resumed.save(episode(i), "task")
    assert_holds(root, 5)
    stats = json.loads((root / "meta" / "stats.json").read_text())
    assert stats["observation.state"]["count"] == [15]


def test_refuses_what_does_not_fit(tmp_path: Path) -> None:
    writer = open_writer(tmp_path / "data")
    frames = episode(0)
    with pytest.raises(ValueError, match="missing: action; unknown: acton"):
        writer.save({("acton" if k == "action" else k): v for k, v in frames.items()}, "task")
    with pytest.raises(ValueError, match="float32 of shape"):
        writer.save(frames | {"action": frames["action"].astype(np.float64)}, "task")
    assert writer.num_episodes == 0
    writer.save(frames, "task")
    with pytest.raises(ValueError, match="resume=true"):
        open_writer(tmp_path / "data")
    with pytest.raises(
        ValueError, match=r"features that differ: observation\.images\.tactile_left"
    ):
        open_writer(tmp_path / "data", resume=True, columns=dataset_features(32, cloud=False))


@pytest.mark.slow
def test_sigkill_in_the_middle_of_recording(tmp_path: Path) -> None:
    """A process that records as fast as it can is killed at odd moments and started again, three times."""
    root = tmp_path / "data"
    script = Path(__file__).with_name("record_forever.py")
    for trial in range(3):
        before = load(root).num_episodes if trial else 0
        recorder = subprocess.Popen(
            [sys.executable, str(script), str(root)], stdout=subprocess.PIPE
        )
        assert recorder.stdout is not None
        for _ in range(3):
            recorder.stdout.readline()  # so many episodes are committed
        time.sleep(0.013 * trial)
        recorder.send_signal(signal.SIGKILL)
        recorder.wait()
        committed = load(root).num_episodes
        assert committed >= before + 3
        assert_holds(root, committed)
