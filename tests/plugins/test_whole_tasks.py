"""Whole tasks: what holds objects, what counts as success, and an oracle that gets there."""

import dataclasses
from pathlib import Path

import gymnasium
import gymnasium.utils.env_checker
import mujoco
import numpy as np
import pytest
from numpy.testing import assert_allclose

import gym_neuraltouch  # noqa: F401  registers the ids
from gym_neuraltouch.episode_log import EpisodeLog, Outcome, Setting
from gym_neuraltouch.holder import PLATE_HALF_M, plate_with_holes
from gym_neuraltouch.oracle_bench import OracleConfig, play, play_by_oracle, summarise
from gym_neuraltouch.oracle_replay import demonstrate, replayed
from lerobot_neuraltouch import se3
from lerobot_neuraltouch.features import WHOLE_TASKS, Phase

ONE_EACH = ("PickPlaceBottleLid", "UsbOutInHole", "BottleLidOpening")
"""A task of each environment."""
SQUARE = 0.5 * np.array([[-0.01, -0.01], [0.01, -0.01], [0.01, 0.01], [-0.01, 0.01]])


def make(task: str, **kwargs: object):
    """An environment without wrappers, one object, small pictures, no noise."""
    settings = {"num_objects": 1, "image_size": 8, "noise": "off", "robot": "gripper"} | kwargs
    return gymnasium.make(
        f"gym_neuraltouch/{task}-v0", disable_env_checker=True, **settings
    ).unwrapped


def still(env) -> np.ndarray:
    """The action that holds everything where it is."""
    return np.append(np.zeros(6), env.piece.gripper.finger_distance_m)


def move_object(env, T_base_object: np.ndarray) -> None:
    """Put the free object somewhere, at rest."""
    joint, data = env.piece.model.joint("object"), env.piece.data
    q, v = int(joint.qposadr[0]), int(joint.dofadr[0])
    data.qpos[q : q + 3] = T_base_object[:3, 3]
    mujoco.mju_mat2Quat(data.qpos[q + 3 : q + 7], T_base_object[:3, :3].ravel())
    data.qvel[v : v + 6] = 0


def push(env, force_n: tuple[float, float, float], steps: int) -> np.ndarray:
    """Push the object at its centre of mass for some control steps; how far it has moved [m], shape (3,)."""
    body, data = env.piece.model.body("object").id, env.piece.data
    before = env.piece.T_base_object[:3, 3]
    for _ in range(steps):
        data.xfrc_applied[body, :3] = force_n
        env.step(still(env))
    data.xfrc_applied[body] = 0
    return env.piece.T_base_object[:3, 3] - before


def is_inside(solid, point: np.ndarray) -> bool:
    """Whether a point lies in a convex solid."""
    return bool(np.all(np.sum((point - solid.triangles_center) * solid.face_normals, axis=1) < 0))


# --- the contract --------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*Box (action|observation) space")
@pytest.mark.parametrize("task", ONE_EACH)
def test_gymnasiums_checker_passes(task: str) -> None:
    env = make(task)
    gymnasium.utils.env_checker.check_env(env, skip_render_check=True)


def test_every_task_is_registered_and_carried_by_an_arm_by_default() -> None:
    for task in WHOLE_TASKS:
        env = gymnasium.make(f"gym_neuraltouch/{task}-v0", num_objects=1).unwrapped
        assert env.robot == "ur5e"
        assert env.task_description == WHOLE_TASKS[task].text


def test_standing_still_says_done_but_moving_fingers_do_not() -> None:
    env = make("PickPlaceBottleLid")
    env.reset(seed=0)
    action = still(env)
    for step in range(30):
        action[6] -= 0.0005
        assert not env.step(action)[2], step
    ends = [env.step(action)[2] for _ in range(21)]
    assert ends.index(True) == 19
    assert not env.step(action)[4]["is_success"]


@pytest.mark.parametrize("task", ONE_EACH)
def test_a_diverging_simulation_truncates_with_a_reason(task: str) -> None:
    env = make(task)
    env.reset(seed=0)
    env.piece.data.qvel[0] = np.nan
    obs, reward, terminated, truncated, info = env.step(still(env))
    assert (terminated, truncated, info["is_success"]) == (False, True, False)
    assert "diverged: NaN" in info["failure"]
    assert np.isfinite(obs["agent_pos"]).all()
    assert np.isfinite(reward)


@pytest.mark.parametrize("task", ["UsbOutInHole", "BottleLidOpening"])
def test_objects_of_ones_own_have_no_hole_and_no_thread(task: str) -> None:
    with pytest.raises(ValueError, match="takes no object_path"):
        make(task, object_path="mine.yaml").reset(seed=0)


# --- pick and place ------------------------------------------------------------------------------------------------


def test_placed_is_what_was_lifted_set_down_upright_and_let_go() -> None:
    """Pushed there, it is not; nor while it still tilts, nor 11 mm off."""
    env = make("PickPlaceMugRim", start="perception")
    env.reset(seed=0)

    def rests_at(T_base_object: np.ndarray) -> bool:
        move_object(env, T_base_object)
        for _ in range(12):
            *_, info = env.step(still(env))
        assert info["goal_pos_error_m"] < 0.02
        return env._is_done()

    assert not rests_at(env.T_base_goal)
    move_object(env, se3.transform(translation=(0.0, 0.0, 0.12)) @ env.T_base_goal)
    env.step(still(env))
    assert not env._is_done()
    goal = env.T_base_goal
    assert rests_at(goal)
    assert rests_at(se3.transform(translation=(0.009, 0.0, 0.0)) @ goal)
    assert not rests_at(se3.transform(translation=(0.011, 0.0, 0.0)) @ goal)
    assert not rests_at(goal @ se3.exp(np.array([0, 0, 0, 0, 0, np.deg2rad(6.0)])))


def hold_with(env, T_object_tcp: np.ndarray) -> None:
    """Put the gripper somewhere in the object's frame, and the object high above where it stood."""
    raised = se3.transform(translation=(0.0, 0.0, 0.15)) @ env.T_base_start
    env.piece.gripper.place(raised @ T_object_tcp, 0.08)
    move_object(env, raised)
    mujoco.mj_forward(env.piece.model, env.piece.data)
    env.step(still(env))


@pytest.mark.parametrize("angle_deg", [-100.0, 30.0])
def test_the_goal_lies_in_the_closing_direction_of_the_contact_by_which_the_object_is_picked_up(
    angle_deg: float,
) -> None:
    """A lid has no direction of its own: 100 mm from the left pad to the right one, upright and not turned. Then it stays there."""
    env = make("PickPlaceBottleLid", start="perception")
    _, info = env.reset(seed=0)
    spin = se3.exp(np.array([0, 0, 0, 0, 0, np.deg2rad(angle_deg)]))
    T_object_tcp = env.contacts(1, 1)[0] @ spin
    T_start = env.T_base_start
    hold_with(env, T_object_tcp)
    expected = T_start.copy()
    expected[:3, 3] += 0.100 * (T_start @ T_object_tcp)[:3, 1]
    assert_allclose(env.T_base_goal, expected, atol=1e-3)
    settled = env.T_base_goal
    hold_with(env, T_object_tcp @ se3.exp(np.array([0, 0, 0, 0, 0, 0.5])))
    assert_allclose(env.T_base_goal, settled)
    *_, info = env.step(still(env))
    assert_allclose(info["privileged"]["T_base_goal"], settled)


@pytest.mark.parametrize("task", ["PickPlaceMugHandle", "PickPlaceMugRim"])
def test_contacts_of_a_mug_close_level_so_that_there_is_a_direction(task: str) -> None:
    """Rims lean with the wall, by less than 10 deg."""
    env = make(task)
    env.reset(seed=0)
    closing = (env.T_base_start @ env.contacts(9, 1))[:, :3, 1]
    assert np.abs(closing[:, 2]).max() < np.sin(np.deg2rad(10.0))


def test_whichever_contact_an_arm_reaches_it_also_reaches_its_goal() -> None:
    env = make("PickPlaceMugHandle", robot="ur5e", num_objects=8)
    for seed in range(3):
        env.reset(seed=seed)
        env.piece.put(env.T_base_start)
        reached = [T for T in env.contacts(5, 4) if env.piece.can_come_in(T)]
        assert reached
        assert all(env.piece.gripper.can_move(*env.way_with(T)) for T in reached)


# --- holes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("places", [(0.0,), (-0.02, 0.02)])
def test_plate_and_holes_make_up_the_whole_square(places: tuple[float, ...]) -> None:
    """Pieces neither overlap nor leave gaps but the holes, which are wider than the prongs by the clearance."""
    outlines = [SQUARE + (x, 0.0) for x in places]
    holder = plate_with_holes(outlines, clearance_m=0.001, depth_m=0.02, floor_m=0.0)
    assert holder.sink_m == 0.02
    *walls, _ = holder.pieces if len(places) == 1 else holder.pieces[:-1]
    assert all(wall.is_convex for wall in walls)
    height = 0.02 + 0.010
    area = sum(wall.volume for wall in walls) / height
    assert_allclose(area, (2 * PLATE_HALF_M) ** 2 - len(places) * 0.011**2, rtol=1e-9)
    for x in places:
        for offset, inside in ((0.00549, False), (0.00551, True)):
            points = np.array([[x + offset, 0.001, 0.015], [x, -offset, 0.015]])
            met = [any(is_inside(wall, point) for wall in walls) for point in points]
            assert met == [inside, inside]


@pytest.mark.parametrize(
    ("task", "play_m"), [("BoltOutInHole", 0.001), ("PlugOutInHole", 0.0005), ("UsbOutInHole", 0.00025)]
)  # fmt: skip
def test_an_object_in_its_hole_has_half_the_clearance_to_either_side(
    task: str, play_m: float
) -> None:
    env = make(task, start="perception")
    env.reset(seed=0)
    assert np.linalg.norm(push(env, (0.0, 0.0, 0.0), 10)) < 1e-4
    weight = 9.81 * float(env.piece.item.mass_kg)
    there = push(env, (0.8 * weight + 0.3, 0.0, 0.5 * weight), 6)
    assert 0.5 * play_m < np.linalg.norm(there[:2]) < 1.6 * play_m
    env.reset(seed=0)
    out = push(env, (0.0, 0.0, 1.3 * weight), 4)
    assert out[2] > 0.02


def test_the_cloud_shows_a_sunken_object_only_above_the_table() -> None:
    env = make("BoltOutInHole", start="perception")
    obs, _ = env.reset(seed=0)
    heights = obs["point_cloud"][:, 2]
    top = env.piece.item.mesh.bounds[1, 2] - env.depth_m
    assert heights.min() > -0.001
    assert_allclose(heights.max(), top, atol=0.002)


def test_put_back_is_what_was_out_and_is_in_again() -> None:
    env = make("UsbOutInHole", start="perception")
    env.reset(seed=0)
    for _ in range(12):
        env.step(still(env))
    assert not env._is_done()
    move_object(env, se3.transform(translation=(0, 0, env.depth_m + 0.06)) @ env.T_base_start)
    env.step(still(env))
    move_object(env, env.T_base_start)
    for _ in range(12):
        env.step(still(env))
    assert env._is_done()


# --- the thread ----------------------------------------------------------------------------------------------------


def test_a_lid_rises_as_it_turns_and_comes_off_at_the_threads_end() -> None:
    env = make("BottleLidOpening", start="perception")
    env.reset(seed=0)
    piece, thread = env.piece, env.thread
    turn = int(piece.model.joint("thread_turn").dofadr[0])

    def twist(torque_nm: float, steps: int) -> None:
        for _ in range(steps):
            piece.data.qfrc_applied[turn] = torque_nm
            env.step(still(env))
            if env.is_open:
                break
        piece.data.qfrc_applied[turn] = 0.0

    twist(0.8 * thread.friction_nm, 5)
    assert abs(piece.turned_rad) < 0.01
    assert np.abs(push(env, (0.0, 0.0, 5.0), 5)).max() < 0.0005
    assert not env.is_open
    twist(thread.friction_nm + 0.002, 2)
    angle, rise = piece.turned_rad, (piece.T_base_object - env.T_base_start)[2, 3]
    assert 0.1 < angle < thread.turn_rad
    assert_allclose(rise, thread.pitch_m * angle / (2 * np.pi), atol=1e-4)
    lid = se3.log(se3.inverse(env.T_base_start) @ piece.T_base_object)
    assert_allclose(lid[5], angle, atol=0.02)
    twist(thread.friction_nm + 0.003, 60)
    assert env.is_open
    assert thread.turn_rad <= piece.turned_rad
    weight = 9.81 * float(piece.model.body("object").mass[0])
    assert push(env, (0.0, 0.0, 1.5 * weight), 4)[2] > 0.02


# --- the oracle ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("robot", ["gripper", "ur5e"])
@pytest.mark.parametrize("task", WHOLE_TASKS)
def test_the_oracle_solves_each_task(task: str, robot: str) -> None:
    info, steps = play(
        make(task, robot=robot, start="perception", num_objects=64), 1, play_by_oracle
    )
    assert info["is_success"]
    assert info["max_force_n"] < 40
    assert steps < 1500


@pytest.mark.slow
@pytest.mark.parametrize("task", ["PickPlaceMugHandle", "PickPlaceMugRim", "PickPlaceBottleLid"])
def test_a_motion_shown_on_one_object_is_replayed_from_the_grasp_of_others(task: str) -> None:
    """Of another shape, elsewhere, turned, held elsewhere along the rim or about the lid."""
    demonstration = demonstrate(make(task, start="perception", split="train"), seed=0)
    env = make(task, start="perception", split="val", num_objects=64)
    ends = [play(env, seed, lambda env: replayed(env, demonstration))[0] for seed in range(3)]
    assert all(info["is_success"] for info in ends)


def test_a_bench_that_was_broken_off_goes_on(tmp_path: Path) -> None:
    setting = Setting(
        method="oracle", task="UsbOutInHole", robot="ur5e", start="perception", split="val", num_objects=2
    )  # fmt: skip
    outcome = Outcome(success=True, steps=7, max_force_n=1.5, failure="")
    EpisodeLog(tmp_path / "new" / "a.jsonl", resume=True).add(setting, 3, outcome)
    again = EpisodeLog(tmp_path / "new" / "a.jsonl", resume=True)
    assert again.find(setting, 3) == outcome
    assert again.find(setting, 4) is None
    assert again.find(dataclasses.replace(setting, split="test"), 3) is None
    assert EpisodeLog(tmp_path / "new" / "a.jsonl", resume=False).find(setting, 3) is None


def test_a_row_counts_right_episodes_and_names_the_lost_ones() -> None:
    setting = Setting(
        method="oracle", task="UsbOutInHole", robot="ur5e", start="perception", split="val", num_objects=2
    )  # fmt: skip
    ends = {
        seed: Outcome(success=seed != 5, steps=100 * seed, max_force_n=1.0, failure="")
        for seed in (4, 5)
    }
    row = summarise(setting, ends)
    assert (row["success"], row["episodes"], row["steps_mean"]) == (0.5, 2, 450.0)
    assert row["lost_seeds"] == [5]
    assert row["ci95_low"] == pytest.approx(0.0945, abs=1e-3)  # Wilson's interval of 1 in 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"methods": "guess"}, "Unknown method 'guess'. Available: oracle, replay"),
        ({"tasks": "PickPlaceSpoon"}, "Unknown task 'PickPlaceSpoon'"),
        ({"robots": "ur10"}, "Unknown robot 'ur10'"),
        ({"num_episodes": 0}, "must be positive"),
    ],
)
def test_the_bench_refuses_what_does_not_exist(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        OracleConfig(**settings)


def test_a_demonstration_says_when_its_grasp_is_right() -> None:
    """Coarse, fine, then the motion to learn; where that begins, both pads are pressed as at the target."""
    env = make("PickPlaceBottleLid", start="perturbed")
    env.reset(seed=0)
    shown, phases = env.demonstrator(), []
    while not phases or phases[-1] != Phase.REPLAY:
        press = env.privileged()["pad_press_m"]
        phases.append(shown.phase)
        env.step(shown.act())
        assert len(phases) < 400
    assert phases == sorted(phases) and set(phases) >= {Phase.FINE, Phase.REPLAY}
    assert press.min() > 0.001 and press.max() < 0.003
