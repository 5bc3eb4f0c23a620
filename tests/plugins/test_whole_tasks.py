"""Whole tasks: what holds objects, what counts as success, and an oracle that gets there."""

import gymnasium
import gymnasium.utils.env_checker
import mujoco
import numpy as np
import pytest
from numpy.testing import assert_allclose

import gym_neuraltouch  # noqa: F401  registers the ids
from gym_neuraltouch.holder import PLATE_HALF_M, plate_with_holes
from gym_neuraltouch.oracle_bench import OracleConfig, play, play_by_oracle
from lerobot_neuraltouch import se3
from lerobot_neuraltouch.features import WHOLE_TASKS

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

    goal = env.T_base_goal
    assert not rests_at(goal)
    move_object(env, se3.transform(translation=(0.0, 0.0, 0.12)) @ goal)
    env.step(still(env))
    assert not env._is_done()
    assert rests_at(goal)
    assert rests_at(se3.transform(translation=(0.009, 0.0, 0.0)) @ goal)
    assert not rests_at(se3.transform(translation=(0.011, 0.0, 0.0)) @ goal)
    assert not rests_at(goal @ se3.exp(np.array([0, 0, 0, 0, 0, np.deg2rad(6.0)])))


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


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tasks": "PickPlaceSpoon"}, "Unknown task 'PickPlaceSpoon'"),
        ({"robots": "ur10"}, "Unknown robot 'ur10'"),
        ({"num_episodes": 0}, "must be positive"),
    ],
)
def test_the_bench_refuses_what_does_not_exist(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        OracleConfig(**settings)
