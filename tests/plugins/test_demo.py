"""The demo: its pictures, its refusals, and, slowly, the main job on many unseen objects."""

import json
from pathlib import Path

import numpy as np
import pytest

from lerobot_neuraltouch.features import Phase
from lerobot_policy_neuraltouch.demo.command import DemoConfig, demo
from lerobot_policy_neuraltouch.demo.panel import panel, touch_sheet, video_frames
from lerobot_policy_neuraltouch.demo.trace import Step, Trace


def made_trace(num_steps: int = 12) -> Trace:
    trace = Trace("mug-test-0000", "mug_rim", 0, np.zeros((4, 3), np.float32), np.eye(4))
    phases = (Phase.COARSE, Phase.FINE, Phase.REPLAY)
    for k in range(num_steps):
        scene = np.full((48, 64, 3), 200, np.uint8) if k % 2 == 0 else None
        touch = np.full((2, 64, 64), 10 * k, np.uint8)
        trace.steps.append(
            Step(
                phases[3 * k // num_steps], np.eye(4), 0.04, 0.01 / (k + 1), 0.0, 1.0, touch, scene
            )
        )
    return trace


def test_video_has_a_frame_for_each_scene_picture() -> None:
    frames = list(video_frames(made_trace(12)))
    assert len(frames) == 6
    assert all(frame.shape == (480, 960, 3) and frame.dtype == np.uint8 for frame in frames)


def test_panel_shows_the_touch_of_its_step() -> None:
    picture = panel(made_trace(), 10)
    assert picture[120, 480 + 120].tolist() == [100, 100, 100]


def test_touch_sheet_has_two_rows_per_run() -> None:
    assert touch_sheet([made_trace(), made_trace()]).size == (720, 480)


def test_summary_is_in_millimetres() -> None:
    trace = made_trace()
    trace.coarse_pos_error_m, trace.final_pos_error_m = 0.012, 0.0004
    row = trace.summary()
    assert row["coarse_pos_mm"] == pytest.approx(12.0)
    assert row["final_pos_mm"] == pytest.approx(0.4)
    assert row["steps"] == 12


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="seed"):
        DemoConfig(seed=-1)


@pytest.mark.slow
def test_demo_writes_everything(tmp_path: Path) -> None:
    demo(DemoConfig(output=tmp_path))
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"summary.json", "demo.mp4", "demo.rrd", "touch.png"}
    runs = json.loads((tmp_path / "summary.json").read_text())["runs"]
    assert [run["feature"] for run in runs] == ["mug_rim", "bottle_head"]


@pytest.mark.slow
def test_demo_succeeds_on_unseen_objects(tmp_path: Path) -> None:
    """Both objects are grasped within a millimetre and lifted for at least 18 of 20 seeds."""
    good = 0
    for seed in range(20):
        traces = demo(DemoConfig(seed=seed, video=False, output=tmp_path / str(seed)))
        good += all(trace.success for trace in traces)
    assert good >= 18
