"""`neuraltouch bench soak`: the measures by hand on a box, and a short run."""

import json
from pathlib import Path

import numpy as np
import pytest
import trimesh

from gym_neuraltouch import soak
from gym_neuraltouch.penetration import TOLERANCE_M, Probe
from gym_neuraltouch.wandering import MAX_HELD_STEPS, Wanderer
from lerobot_neuraltouch import se3
from lerobot_neuraltouch.features import ACTION_HIGH, ACTION_LOW
from lerobot_neuraltouch.tactile import TacTipFinger

FINGER = TacTipFinger()
HIGH_UP = se3.transform(translation=(0.0, 0.0, 1.0))
GAP = 0.080


def depths_of_box(
    extents: tuple[float, float, float], y: float, T: np.ndarray = HIGH_UP
) -> tuple[float, float, float]:
    """A box between the pads, whose centre lies at this y of the tcp; the left pad is at y = -40 mm, the right at 40 mm."""
    box = trimesh.creation.box(extents)
    depths = Probe(box, FINGER).measure(T, T @ se3.transform(translation=(0.0, y, 0.0)), GAP)
    return depths.pad_m, depths.core_m, depths.table_m


@pytest.mark.parametrize("side", [-1, 1])
@pytest.mark.parametrize("depth", [-0.005, 0.003, 0.0075])
def test_what_only_presses_the_skin_in_is_not_in_the_core(side: int, depth: float) -> None:
    """The nearer pad lies this deep in a box of 50 mm; the core's face is 7.5 mm behind it."""
    y = side * (GAP / 2 + depth - 0.025)
    pad, core, _ = depths_of_box((0.05, 0.05, 0.05), y)
    assert pad == pytest.approx(depth, abs=1e-6)
    assert core == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("side", [-1, 1])
def test_a_box_that_has_passed_the_core_s_face_is_that_deep(side: int) -> None:
    """Wherever in the world the hand is."""
    depth = FINGER.core_depth_m + 0.002
    T = se3.exp(np.array([0.3, -0.2, 0.9, 0.7, -1.0, 0.4]))
    pad, core, _ = depths_of_box((0.05, 0.05, 0.05), side * (GAP / 2 + depth - 0.025), T)
    assert pad == pytest.approx(depth, abs=1e-6)
    assert pad > Probe(trimesh.creation.box(), FINGER).max_pad_depth_m
    assert core == pytest.approx(0.002, abs=1e-6)
    assert core > TOLERANCE_M


def test_a_thin_wall_that_was_tunnelled_through_is_found_in_the_core() -> None:
    """Both pads are outside it again, one of them far beyond."""
    wall = GAP / 2 + FINGER.core_depth_m + FINGER.core_half_size_m[2]  # the middle of the core
    pad, core, _ = depths_of_box((0.2, 0.002, 0.2), wall)
    assert pad < 0
    assert core == pytest.approx(FINGER.core_half_size_m[2] - 0.001, abs=1e-6)


def test_the_table_is_measured_at_the_core_s_tip() -> None:
    """12 mm of core less its set-back of 2 mm lie beyond the tcp."""
    down = se3.exp(np.array([0.0, 0.0, 0.0, np.pi, 0.0, 0.0]))
    down[2, 3] = 0.004
    assert depths_of_box((0.01, 0.01, 0.01), 0.0, down)[2] == pytest.approx(0.006, abs=1e-9)


def test_wandering_stays_within_the_limits_and_comes_to_the_contact() -> None:
    """Each action is held; some rush straight at the target at full speed, some rest."""
    wanderer, target = Wanderer(np.random.default_rng(0)), np.array([0.01, 0, -0.02, 0, 0.1, 0])
    actions = np.array([wanderer.act({"target_twist": target}) for _ in range(4000)])
    assert np.all(actions >= ACTION_LOW - 1e-9)
    assert np.all(actions <= ACTION_HIGH + 1e-9)
    changes = np.flatnonzero(np.any(np.diff(actions, axis=0), axis=1))
    assert np.diff(changes).max() <= 3 * MAX_HELD_STEPS  # two equal draws in a row look like one
    aimed = np.all(np.isclose(actions[:, :6], target), axis=1)  # 20 mm/s is the limit
    assert 0.2 < aimed.mean() < 0.5
    assert 0.05 < np.mean(~actions[:, :6].any(axis=1)) < 0.3
    assert 0.4 < np.mean(actions[:, 6] == ACTION_LOW[6]) < 0.8


@pytest.mark.slow
def test_a_short_soak_finds_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "soak.json"
    flags = ["--tasks=RefineMugRim,RefineBottleHead", "--robots=gripper,ur5e", "--minutes=0.5"]
    flags += ["--episodes=1", "--num_objects=1", "--max_steps=60", f"--output={output}"]
    monkeypatch.setattr("sys.argv", ["soak", *flags])
    soak.main()
    *cases, whole = json.loads(output.read_text())["rows"]
    assert [(row["env"], row["robot"]) for row in cases] == [
        (task, robot)
        for task in ("RefineMugRim", "RefineBottleHead")
        for robot in ("gripper", "ur5e")
    ]
    for row in cases:
        assert row["faults"] == []
        assert row["steps"] > 10
        assert row["pad_depth_mm_max"] < 8.5
    assert whole["steps"] == sum(row["steps"] for row in cases)
    assert whole["memory_end_mb"] > 100
    assert 50 < whole["worker_private_mb"] < whole["worker_mb"] < 1000
    assert output.with_suffix(".png").stat().st_size > 1000


def test_faults_are_told_and_end_the_command_with_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        {"env": "RefineMugRim", "robot": "ur5", "faults": ["object 0, step 7: NaN"]},
        {"env": "all", "robot": "all", "faults": []},
    ]
    monkeypatch.setattr(soak, "soak", lambda config: rows)
    monkeypatch.setattr(soak, "draw_picture", lambda rows, path: None)
    monkeypatch.setattr(soak, "describe_whole", lambda row: "")
    monkeypatch.setattr("sys.argv", ["soak", f"--output={tmp_path / 'soak.json'}"])
    with pytest.raises(SystemExit, match="1 faults:\nRefineMugRim, ur5: object 0, step 7: NaN"):
        soak.main()
    assert json.loads((tmp_path / "soak.json").read_text())["rows"] == rows
    with pytest.raises(ValueError, match="Unknown robot 'panda'. Available: gripper, ur5e, ur5"):
        soak.SoakConfig(robots="gripper,panda")
    with pytest.raises(ValueError, match="Unknown task 'Juggle'. Available: Bolt"):
        soak.SoakConfig(tasks="Juggle")
