"""The gripper on a UR arm: the model is the published kinematics, the tcp follows its twist, limits hold, the tasks run."""

import dataclasses

import gymnasium
import gymnasium.utils.env_checker
import mujoco
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gym_neuraltouch.arm_gripper import ArmGripper
from gym_neuraltouch.arm_scene import ARMS, T_FLANGE_TCP
from gym_neuraltouch.refine_env import RefineConfig, RefineEnv
from lerobot_neuraltouch import kinematics, se3
from lerobot_neuraltouch.features import ACTION_HIGH, ACTION_LOW
from lerobot_neuraltouch.kinematics import UnreachableError
from lerobot_neuraltouch.rl.teacher import ServoTeacher

BOTH = pytest.mark.parametrize("robot", list(ARMS))


def make(task: str = "RefineBottleHead", robot: str = "ur5e", **kwargs: object) -> RefineEnv:
    """An environment without wrappers, one object."""
    return RefineEnv(task, robot=robot, **({"num_objects": 1, "noise": "off"} | kwargs))  # type: ignore[arg-type]


def arm_of(env: RefineEnv) -> ArmGripper:
    gripper = env.piece.gripper
    assert isinstance(gripper, ArmGripper)
    return gripper


def raise_hand(env: RefineEnv, steps: int = 50) -> None:
    """Bring the open hand straight up, clear of the object."""
    gripper = arm_of(env)
    for _ in range(steps):
        gripper.drive(np.append(0.015 * gripper.T_base_tcp[2, :3], np.zeros(3)), 0.080)
    for _ in range(3):
        gripper.drive(np.zeros(6), 0.080)


@pytest.mark.filterwarnings("ignore:.*Box (action|observation) space")
@BOTH
def test_gymnasiums_checker_passes(robot: str) -> None:
    for start in ("perturbed", "perception"):
        env = gymnasium.make(
            "gym_neuraltouch/RefineMugRim-v0", robot=robot, start=start, num_objects=1
        )
        gymnasium.utils.env_checker.check_env(env.unwrapped, skip_render_check=True)


@BOTH
def test_the_models_frames_are_the_published_ones(robot: str) -> None:
    """Every link and the tcp, at random joint angles."""
    env = make(robot=robot)
    env.reset(seed=0)
    data, arm = env.piece.data, ARMS[robot].model
    for q in np.random.default_rng(0).uniform(arm.lower_rad, arm.upper_rad, (20, 6)):
        data.qpos[:6] = q
        mujoco.mj_kinematics(env.piece.model, data)
        frames = kinematics.link_frames(arm, q)
        for i in range(1, 7):
            body = data.body(f"link{i}")
            assert_allclose(body.xpos, frames[i, :3, 3], atol=1e-9)
            assert_allclose(body.xmat.reshape(3, 3), frames[i, :3, :3], atol=1e-9)
        T_base_tcp = frames[6] @ T_FLANGE_TCP
        assert_allclose(data.site("tcp").xpos, T_base_tcp[:3, 3], atol=1e-9)
        assert_allclose(data.site("tcp").xmat.reshape(3, 3), T_base_tcp[:3, :3], atol=1e-9)
        assert_allclose(arm_of(env).T_base_tcp, T_base_tcp, atol=1e-9)


@BOTH
def test_masses_and_joint_ranges_are_the_published_ones(robot: str) -> None:
    """17.70 and 17.05 kg of moving links in UR's tables; the joints' ranges in radians."""
    env = make(robot=robot)
    env.reset(seed=0)
    model = env.piece.model
    masses = [model.body(f"link{i}").mass[0] for i in range(1, 7)]
    assert sum(masses) == pytest.approx({"ur5e": 17.7, "ur5": 17.0489}[robot])
    assert_allclose(model.jnt_range[:6, 0], ARMS[robot].model.lower_rad)
    assert_allclose(model.jnt_range[:6, 1], ARMS[robot].model.upper_rad)


@BOTH
def test_the_servos_are_made_for_the_arms_inertia(robot: str) -> None:
    """Within a factor of two of the mass matrix in the postures that episodes begin in."""
    env = make(robot=robot)
    for seed in range(4):
        env.reset(seed=seed)
        model, data = env.piece.model, env.piece.data
        inertia = np.zeros((model.nv, model.nv))
        mujoco.mj_fullM(model, inertia, data.qM)
        ratio = np.diag(inertia)[:6] / ARMS[robot].joint_inertia_kg_m2
        assert np.all((ratio > 0.5) & (ratio < 2.0)), ratio


@BOTH
def test_the_tcp_follows_its_twist_within_the_servos_lag(robot: str) -> None:
    """11 ms behind on the screw of a steady twist; a moment later it stands where the screw ends."""
    env = make(robot=robot)
    env.reset(seed=0)
    raise_hand(env)
    gripper = arm_of(env)
    for twist in np.random.default_rng(1).uniform(ACTION_LOW[:6], ACTION_HIGH[:6], (4, 6)):
        T = gripper.T_base_tcp
        for step in range(13):
            moving = step < 10
            gripper.drive(twist if moving else np.zeros(6), 0.080)
            assert gripper.limited_by == ""
            T = T @ se3.exp(0.1 * twist * moving)
            behind = se3.log(se3.inverse(T) @ gripper.T_base_tcp)
            lag = (
                1.2 * gripper.arm.response_s * twist * moving
            )  # the arm's links pull on one another
            assert np.linalg.norm(behind[:3]) < np.linalg.norm(lag[:3]) + 2e-5
            assert np.linalg.norm(behind[3:]) < np.linalg.norm(lag[3:]) + 2e-4


def test_at_rest_the_arm_stands_still() -> None:
    """Gravity is compensated: the tcp sags by less than a micrometre."""
    env = make()
    env.reset(seed=0)
    gripper = arm_of(env)
    before = gripper.T_base_tcp
    for _ in range(5):
        gripper.drive(np.zeros(6), 0.080)
    assert_allclose(gripper.T_base_tcp, before, atol=1e-6)


@pytest.mark.parametrize("joint", range(6))
def test_joint_limits_hold_and_are_named(joint: int) -> None:
    """Driven on towards a joint's limit, the arm slows down and stops before it."""
    arm = ARMS["ur5e"]
    env = make()
    env.reset(seed=0)
    raise_hand(env, 20)
    gripper = arm_of(env)
    limit = float(gripper.joints_rad[joint]) + 0.02
    upper = tuple(np.where(np.arange(6) == joint, limit, arm.model.upper_rad).tolist())
    gripper.arm = dataclasses.replace(arm, model=dataclasses.replace(arm.model, upper_rad=upper))
    velocity = np.where(np.arange(6) == joint, 0.05, 0.0)
    for _ in range(12):
        J = kinematics.jacobian(arm.model, gripper.joints_rad, T_FLANGE_TCP)
        gripper.drive(J @ velocity, 0.080)
        assert gripper.joints_rad[joint] < limit + 1e-4
    assert gripper.joints_rad[joint] == pytest.approx(limit, abs=1e-3)
    assert gripper.limited_by == f"{kinematics.JOINT_NAMES[joint]} upper limit"


def test_a_blocked_arm_keeps_its_torque_and_does_not_wind_up() -> None:
    """Driven into the table for four seconds, then told to turn back, it does so at once."""
    env = make()
    env.reset(seed=0)
    gripper = arm_of(env)
    gripper.place(se3.transform(np.diag([1.0, -1.0, -1.0]), (0.3, -0.3, 0.03)), 0.080)
    mujoco.mj_forward(env.piece.model, env.piece.data)
    into = np.array([0.0, 0.0, 0.020, 0.0, 0.0, 0.0])
    for _ in range(40):
        force = gripper.drive(into, 0.080)
        torque = np.abs(env.piece.data.actuator_force[:6])
        assert np.all(torque <= np.array(gripper.arm.max_torque_nm) + 1e-9)
        assert force.sum() < 70
    assert force.sum() > 20
    blocked = gripper.T_base_tcp[2, 3]
    for _ in range(3):
        gripper.drive(-into, 0.080)
    assert gripper.T_base_tcp[2, 3] - blocked == pytest.approx(0.006, abs=0.001)


def test_a_finger_that_is_pressed_too_hard_stops_the_arm_and_ends_the_episode() -> None:
    """Truncated, with the force, and never a success; the arm holds, and a reset starts afresh. Here a grip of 18 N is too hard."""
    env = make("RefineMugRim", start="perception")
    env.reset(seed=0)
    gripper, target = arm_of(env), env.piece.feature.curve(1)[0]
    assert gripper.arm.stop_force_n == 100.0
    gripper.arm = dataclasses.replace(gripper.arm, stop_force_n=10.0)
    gripper.place(env.piece.T_base_object @ target, 0.005)
    mujoco.mj_forward(env.piece.model, env.piece.data)
    ends = []
    while not any(ends):
        before = gripper.joints_rad.copy()
        *_, terminated, truncated, info = env.step(np.append(np.zeros(6), ACTION_LOW[6]))
        ends = [terminated, truncated]
    assert ends == [False, True]
    assert not info["is_success"]
    assert info["failure"].startswith("protective stop: ")
    assert info["failure"].endswith(" N on a finger, allowed 10 N")
    assert info["max_force_n"] > 10
    assert_allclose(gripper.joints_rad, before, atol=1e-3)
    assert gripper.failure() == ""
    _, info = env.reset(seed=0)
    assert (info["failure"], gripper.stopped_by) == ("", "")


@pytest.mark.parametrize("task", ["RefineMugRim", "RefineBottleHead"])
def test_the_teacher_grasps_with_the_arm_too(task: str) -> None:
    """The same task, as gently and as exactly as without an arm."""
    env, teacher = make(task), ServoTeacher()
    _, info = env.reset(seed=3)
    terminated = truncated = False
    while not (terminated or truncated):
        *_, terminated, truncated, info = env.step(teacher.act(info["privileged"]))
    assert info["is_success"]
    assert info["pos_error_m"] < 0.0003
    assert info["max_force_n"] < 5
    assert info["limited_by"] == ""


def test_rollouts_repeat_under_one_seed() -> None:
    def rollout() -> list[np.ndarray]:
        env = make("RefineMugRim", num_objects=2, noise="nominal")
        env.action_space.seed(0)
        obs, _ = env.reset(seed=11)
        seen = [obs["point_cloud"], obs["agent_pos"]]
        for _ in range(5):
            obs, *_ = env.step(env.action_space.sample())
            seen += [obs["agent_pos"], obs["pixels"]["tactile_left"]]
        return seen

    for first, second in zip(rollout(), rollout(), strict=True):
        assert_array_equal(first, second)


@BOTH
def test_every_start_is_a_good_posture(robot: str) -> None:
    """Away from singularities and joint limits, touching nothing; from a stand-off pose the way to the contact is, too."""
    for start in ("perturbed", "perception"):
        env = make("RefineMugRim", robot=robot, start=start, num_objects=2)
        for seed in range(4):
            _, info = env.reset(seed=seed)
            gripper = arm_of(env)
            q, arm = gripper.joints_rad, gripper.arm
            smallest = kinematics.smallest_singular_value(arm.model, q, T_FLANGE_TCP)
            assert smallest >= arm.min_singular_value
            assert np.all(q >= np.array(arm.model.lower_rad) + arm.limit_margin_rad)
            assert np.all(q <= np.array(arm.model.upper_rad) - arm.limit_margin_rad)
            assert env.piece.data.ncon == 0
            if start == "perception":
                truth = info["privileged"]
                before = truth["T_base_target"] @ se3.transform(translation=(0.0, 0.0, -0.060))
                assert gripper.can_move(truth["T_base_tcp"], before)


def test_the_handle_is_put_where_the_arm_reaches_it() -> None:
    """A horizontal handle behind its mug cannot be reached at table height: such places are drawn again."""
    env = make("RefineHorizontalHandle", start="perception")
    turned_away = 0
    for seed in range(8):
        env.reset(seed=seed)
        assert env.piece.can_be_grasped()
        T_base_object = env.piece.T_base_object
        env.piece.put(T_base_object @ se3.exp(np.array([0, 0, 0, 0, 0, np.pi])))
        turned_away += not env.piece.can_be_grasped()
    assert turned_away >= 2


def test_what_cannot_be_reached_is_refused() -> None:
    """By name, with what exists."""
    with pytest.raises(ValueError, match="Unknown robot 'ur10'. Available: gripper, ur5e, ur5"):
        make(robot="ur10")
    env = make()
    env.reset(seed=0)
    far = se3.transform(np.diag([1.0, -1.0, -1.0]), (1.5, 0.0, 0.2))
    assert not arm_of(env).can_reach(far)
    with pytest.raises(UnreachableError, match="no posture away from singularities"):
        arm_of(env).place(far, 0.05)
    far_away = make(config=RefineConfig(place_centre_m=(2.0, 0.0)))
    with pytest.raises(RuntimeError, match="robot 'ur5e' reach 'bottle_head'"):
        far_away.reset(seed=0)
