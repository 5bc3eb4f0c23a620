"""The physics checks themselves: quick ones one by one, all of them as the command runs them."""

import json
from pathlib import Path

import mujoco
import numpy as np
import pytest
import trimesh
from numpy.testing import assert_allclose

from gym_neuraltouch.physics import command
from gym_neuraltouch.physics.images import analytic_contacts
from gym_neuraltouch.physics.mechanics import force_balance, force_depth, friction_cone
from gym_neuraltouch.physics.rig import Rig, make_item
from gym_neuraltouch.physics.row import Row, at_most, near
from gym_neuraltouch.physics.tunnelling import driving_in, random_driving
from lerobot_neuraltouch import se3
from lerobot_neuraltouch.tactile import FINGERS, TacTipFinger

DOME = FINGERS["dome"]
BOTH = pytest.mark.parametrize("name", FINGERS)
KIND = {"check": "c", "finger": "f", "case": "c", "quantity": "q", "unit": "N"}


def failures(rows: list[Row]) -> list[str]:
    return [command.describe(row) for row in rows if not row.passed]


@BOTH
def test_a_pad_is_as_stiff_as_stated(name: str) -> None:
    """Nominal within 4 % from 0.3 to 3.8 mm, whatever the tolerance of the report."""
    finger = FINGERS[name]
    rows = list(force_depth(finger, name, (finger.tip_stiffness_n_per_m,)))
    assert rows[0].depth_mm < 0.4  # type: ignore[operator]
    assert rows[-1].depth_mm > 3.6  # type: ignore[operator]
    for row in rows:
        assert row.value == pytest.approx(row.expected, rel=0.04)


def test_contacts_carry_the_weight_of_what_is_held() -> None:
    """And their moments about the centre of mass cancel."""
    rows = list(force_balance(DOME, "dome"))
    assert failures(rows) == []
    weights = {round(row.expected, 6) for row in rows if row.expected is not None}
    assert weights == {0.981, 2.943}  # 0.1 and 0.3 kg


@BOTH
def test_a_pad_feels_the_same_whatever_the_physics_step(name: str) -> None:
    """Around a fixed object a step is two and a half times as long; the same squeeze goes as deep, to a hundredth."""
    plate = make_item("plate", trimesh.creation.box((0.06, 0.004, 0.06)), 0.004)
    fixed, held = Rig(plate, FINGERS[name]), Rig(plate, FINGERS[name], free=True)
    assert fixed.model.opt.timestep == 2.5 * held.model.opt.timestep == 0.005
    for rig in (fixed, held):
        rig.place(np.eye(4), 0.0042)
        rig.squeeze(1.5, 1.0)
    assert fixed.depth_m[0] == pytest.approx(held.depth_m[0], rel=0.01)
    assert fixed.gripper.force_n[0] == pytest.approx(held.gripper.force_n[0], rel=0.01)
    assert fixed.depth_m[0] - fixed.gripper.pad_press_m[0] == pytest.approx(
        held.depth_m[0] - held.gripper.pad_press_m[0],
        rel=0.1,  # the held one gives way a little
    )


def test_forces_are_means_of_the_readings_of_the_last_tick() -> None:
    """The sensors' own record, against readings taken after each physics step."""
    plate = make_item("plate", trimesh.creation.box((0.06, 0.004, 0.06)), 0.004)
    rig = Rig(plate, DOME)
    rig.place(np.eye(4), 0.0042)
    rig.squeeze(1.5, 0.1)
    gripper, readings = rig.gripper, []
    for _ in range(gripper._tick_steps + 2):
        mujoco.mj_step(rig.model, rig.data)
        readings.append(rig.normal_force_n())
    assert_allclose(
        gripper._readings.sum(axis=(1, 2)), np.sum(readings[-gripper._tick_steps :], axis=0)
    )
    assert readings[-1][0] > 0.1


def test_the_balance_of_forces_is_a_measurement() -> None:
    """An object still held by its fixture, the fingers clear of it, is carried by no contact."""
    cube = make_item("cube", trimesh.creation.box((0.03, 0.03, 0.03)), 0.03)
    rig = Rig(cube, DOME, free=True)
    rig.place(np.eye(4), 0.05)
    assert not rig.mean_wrench_on_object(5).any()
    assert rig.overlap_m() == 0.0


@BOTH
def test_images_are_exact_against_sphere_cylinder_and_plane(name: str) -> None:
    """To 0.02 mm in every pixel; the command looks at larger images, too."""
    rows = list(analytic_contacts(FINGERS[name], name, (64,)))
    assert len(rows) == 3
    assert failures(rows) == []


def test_an_image_of_another_finger_fails_the_check() -> None:
    """The check tells a dome of 20 mm from one of 22: it can fail."""

    class Liar(TacTipFinger):
        def skin_depth(self, slopes: np.ndarray, *offset_m: np.ndarray) -> np.ndarray:
            # the check asks about every pixel of the square, the camera about those of its disc
            blunt = len(slopes) == 64 * 64
            return (TacTipFinger(dome_radius_m=0.022) if blunt else DOME).skin_depth(
                slopes, *offset_m
            )

    assert len(failures(list(analytic_contacts(Liar(), "liar", (64,))))) == 3


def test_a_row_passes_between_its_limits_only() -> None:
    assert near(1.04, 1.0, 0.05, **KIND).passed
    assert not near(1.06, 1.0, 0.05, **KIND).passed
    assert at_most(0.0, 0.0, **KIND).passed
    assert not at_most(float("inf"), 7.5, **KIND).passed
    assert not at_most(float("nan"), 7.5, **KIND).passed


def test_a_pad_that_passed_through_a_wall_would_be_seen() -> None:
    """Put where it cannot go, skin and core inside the block are reported."""
    from gym_neuraltouch.physics.tunnelling import _Watcher, solids

    rig = Rig(solids()["block"], DOME)
    watcher = _Watcher(rig)
    rig.place(se3.transform(np.diag([1.0, -1.0, -1.0])), 0.010)
    watcher()
    quantities = {row.quantity for row in watcher.rows("dome", "inside") if not row.passed}
    assert quantities >= {"undeformed pad's centre inside", "centre of skin or core inside"}


@pytest.mark.slow
@BOTH
def test_held_objects_slip_on_the_friction_cone(name: str) -> None:
    assert failures(list(friction_cone(FINGERS[name], name))) == []


@pytest.mark.slow
@BOTH
def test_nothing_tunnels_at_the_limits(name: str) -> None:
    finger = FINGERS[name]
    rows = [*driving_in(finger, name), *random_driving(finger, name, seed=1, episodes=2)]
    assert failures(rows) == []
    deepest = [row.value for row in rows if row.quantity == "undeformed pad's centre inside"]
    assert max(deepest) > 1e3 * finger.max_travel_m  # they were driven in as far as they go


@pytest.mark.slow
def test_the_command_writes_its_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "physics.json"
    monkeypatch.setattr(
        "sys.argv", ["physics", "--fingers=dome", "--episodes=1", f"--output={output}"]
    )
    command.main()
    report = json.loads(output.read_text())
    assert report["name"] == "physics"
    assert {row["check"] for row in report["rows"]} == {
        "force_depth", "force_balance", "friction_cone", "tunnelling", "images",
    }  # fmt: skip
    assert all(row["passed"] for row in report["rows"])
    assert all(row["lowest"] <= row["value"] <= row["highest"] for row in report["rows"])
    assert output.with_suffix(".png").stat().st_size > 1000


def test_a_failed_check_fails_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the report is written."""
    bad = near(2.0, 1.0, 0.1, **KIND)
    monkeypatch.setattr(command, "all_rows", lambda config: iter([bad]))
    monkeypatch.setattr(command, "draw_picture", lambda rows, path: None)
    output = tmp_path / "physics.json"
    monkeypatch.setattr("sys.argv", ["physics", f"--output={output}"])
    with pytest.raises(ValueError, match="1 of 1 checks failed"):
        command.main()
    assert json.loads(output.read_text())["rows"][0]["passed"] is False
    with pytest.raises(ValueError, match="Unknown finger 'cone'. Available: dome, flat"):
        command.PhysicsConfig(fingers="cone")
