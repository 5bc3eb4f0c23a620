"""The kinematic arm: hand-worked distances and times, and laws of its ramps."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.kinematics import UR5, UR5E, ArmModel
from lerobot_robot_ur5_tactip.loopback.arm import Arm
from lerobot_robot_ur5_tactip.loopback.config import READY_RAD
from lerobot_robot_ur5_tactip.loopback.motions import (
    Motion,
    MotionError,
    MoveJ,
    MoveL,
    Servo,
    SpeedJ,
    SpeedL,
    StopJ,
    StopL,
)

BOTH = pytest.mark.parametrize(
    ("model", "period_s"), [(UR5E, 0.002), (UR5, 0.008)], ids=["ur5e", "ur5"]
)
T_FLANGE_TOOL = se3.exp(np.array([0.01, -0.02, 0.15, 0.0, 0.3, 0.5]))


def make_arm(model: ArmModel) -> Arm:
    arm = Arm(model, READY_RAD)
    arm.set_tcp(T_FLANGE_TOOL)
    return arm


def run(arm: Arm, motion: Motion, period_s: float, num_steps: int = 100_000) -> np.ndarray:
    """Twists in the base frame until the motion ends, shape (num_steps, 6)."""
    arm.motion, twists = motion, []
    while arm.motion is motion and len(twists) < num_steps:
        arm.step(period_s)
        twists.append(arm.twist)
    return np.array(twists)


@BOTH
def test_speedl_goes_the_way_of_its_twist_after_a_ramp(model: ArmModel, period_s: float) -> None:
    """v t - v^2 / 2a: 0.05 m/s for 0.8 s, reached at 0.5 m/s^2 after 0.1 s, makes 37.5 mm."""
    arm, direction = make_arm(model), np.array([0.6, 0.0, -0.8])
    start = arm.T_base_tcp
    run(arm, SpeedL(np.array([*(0.05 * direction), 0, 0, 0]), 0.5), period_s, round(0.8 / period_s))
    moved = arm.T_base_tcp[:3, 3] - start[:3, 3]
    assert_allclose(moved, 0.0375 * direction, atol=2e-4)  # one step of the ramp: 0.2 mm at 125 Hz
    assert_allclose(arm.T_base_tcp[:3, :3], start[:3, :3], atol=1e-12)


@BOTH
def test_speedl_turns_about_the_tcp(model: ArmModel, period_s: float) -> None:
    arm = make_arm(model)
    start = arm.T_base_tcp
    run(arm, SpeedL(np.array([0, 0, 0, 0, 0, 0.3]), 100.0), period_s, round(1 / period_s))
    turned = se3.log(se3.transform(arm.T_base_tcp[:3, :3] @ start[:3, :3].T))[3:]
    assert_allclose(turned, [0, 0, 0.3], atol=1e-3)
    assert_allclose(arm.T_base_tcp[:3, 3], start[:3, 3], atol=5e-4)  # integration of a step


@BOTH
def test_no_twist_changes_faster_than_its_acceleration(model: ArmModel, period_s: float) -> None:
    arm, acceleration = make_arm(model), 0.7
    twists = run(arm, SpeedL(np.array([0.1, 0.05, 0, 0.2, 0, 0]), acceleration), period_s, 60)
    twists = np.vstack([np.zeros(6), twists, run(arm, StopL(acceleration), period_s)])
    changes = np.diff(twists, axis=0) / period_s
    assert np.linalg.norm(changes[:, :3], axis=1).max() <= acceleration * 1.02
    assert np.linalg.norm(changes[:, 3:], axis=1).max() <= acceleration * 1.02
    assert arm.is_still


@BOTH
def test_stopj_keeps_the_direction_and_ends_in_time(model: ArmModel, period_s: float) -> None:
    """From 0.4 rad/s at 2 rad/s^2: 0.2 s."""
    arm, speeds = make_arm(model), np.array([0.4, -0.2, 0.1, 0.0, 0.3, 0.0])
    run(arm, SpeedJ(speeds, 40.0), period_s, 20)
    assert_allclose(arm.qd, speeds)
    arm.motion, stopping = StopJ(2.0), []
    while arm.motion is not None:
        arm.step(period_s)
        stopping.append(arm.qd)
    assert abs(len(stopping) * period_s - 0.2) <= period_s * 1.5
    for qd in stopping:
        assert_allclose(np.cross(qd[:3], speeds[:3]), 0, atol=1e-12)


@BOTH
@pytest.mark.parametrize(
    ("distance", "speed", "acceleration", "expected_s"),
    [(0.8, 1.0, 2.0, 1.3), (0.2, 1.0, 2.0, 2 * math.sqrt(0.1))],
    ids=["trapezoid", "triangle"],
)
def test_movej_takes_the_time_of_its_trapezoid(
    model: ArmModel, period_s: float, distance: float, speed: float, acceleration: float,
    expected_s: float,
) -> None:  # fmt: skip
    """D/v + v/a, or 2 sqrt(D/a) where v is not reached; the other joints keep step with the farthest."""
    arm, share = make_arm(model), np.array([1.0, -0.5, 0.25, 0.0, 0.1, -1.0])
    target = arm.q + distance * share
    num_steps = len(run(arm, MoveJ(target, speed, acceleration), period_s))
    assert_allclose(arm.q, target, atol=1e-12)
    assert abs(num_steps * period_s - expected_s) < 4 * period_s
    arm.step(period_s)
    assert arm.is_still


@BOTH
def test_movel_keeps_to_the_line_and_arrives(model: ArmModel, period_s: float) -> None:
    arm = make_arm(model)
    start = arm.T_base_tcp
    target = start @ se3.exp(np.array([0.0, 0.06, -0.03, 0.1, 0.0, -0.2]))
    way = target[:3, 3] - start[:3, 3]
    arm.motion, off_line = MoveL(target, 0.6, 3.0), []
    while arm.motion is not None:
        arm.step(period_s)
        offset = arm.T_base_tcp[:3, 3] - start[:3, 3]
        off_line.append(np.linalg.norm(offset - way * (offset @ way) / (way @ way)))
    assert max(off_line) < 1e-5
    assert_allclose(arm.T_base_tcp, target, atol=1e-5)


def test_a_move_without_a_way_ends_at_once() -> None:
    arm = make_arm(UR5E)
    assert len(run(arm, MoveJ(arm.q, 1.0, 1.0), 0.002)) == 1
    assert len(run(arm, MoveL(arm.T_base_tcp, 1.0, 1.0), 0.002)) == 1


def test_a_move_begun_in_motion_stops_first_and_still_arrives() -> None:
    arm = make_arm(UR5E)
    run(arm, SpeedJ(np.full(6, 0.3), 10.0), 0.002, 100)
    target = np.array(READY_RAD)
    run(arm, MoveJ(target, 1.0, 2.0), 0.002)
    assert_allclose(arm.q, target, atol=1e-12)


@BOTH
def test_servo_reaches_a_still_target_and_lags_a_moving_one_by_its_look_ahead(
    model: ArmModel, period_s: float
) -> None:
    arm = make_arm(model)
    servo = Servo(arm.q.copy(), 0.1, "servoj")
    arm.motion, rate = servo, np.array([0.2, 0, 0, 0, 0, 0])
    for _ in range(round(1.0 / period_s)):
        servo.target = servo.target + rate * period_s
        arm.step(period_s)
    assert_allclose(servo.target[0] - arm.q[0], 0.2 * 0.1, atol=0.2 * period_s)
    run(arm, servo, period_s, round(2.0 / period_s))
    assert_allclose(arm.q, servo.target, atol=1e-8)


def test_the_speed_slider_scales_speeds_and_moves() -> None:
    arm = make_arm(UR5E)
    arm.speed_fraction = 0.5
    run(arm, SpeedL(np.array([0.1, 0, 0, 0, 0, 0]), 1.0), 0.002, 200)
    assert_allclose(arm.twist[0], 0.05, rtol=1e-3)
    run(arm, StopL(1.0), 0.002)
    num_steps = len(run(arm, MoveJ(arm.q + 0.5, 1.0, 10.0), 0.002))
    assert abs(num_steps * 0.002 - (0.5 / 0.5 + 0.5 / 10)) < 0.01


def test_held_arms_stand_still_and_go_on_with_what_they_did() -> None:
    arm = make_arm(UR5E)
    arm.motion = MoveJ(arm.q + 0.5, 1.0, 2.0)
    for _ in range(100):
        arm.step(0.002)
    arm.hold()
    for _ in range(100):
        arm.step(0.002)
    assert arm.is_still
    target, motion = arm.motion.target, arm.motion
    arm.release()
    run(arm, motion, 0.002)
    assert_allclose(arm.q, target, atol=1e-12)


def test_a_joint_at_its_limit_stops_the_arm_instead_of_passing_it() -> None:
    arm = Arm(UR5E, [0, -1.5, 3.0, -1.5, -1.5, 0])
    arm.motion = SpeedJ(np.array([0, 0, 0.5, 0, 0, 0]), 10.0)
    with pytest.raises(MotionError, match="joint limit"):
        for _ in range(1000):
            arm.step(0.002)
    for _ in range(200):
        arm.step(0.002)
    assert arm.is_still and arm.q[2] <= np.pi


def test_a_stretched_arm_refuses_to_go_farther() -> None:
    arm = Arm(UR5E, [0, -0.6, 0.3, -1.5, -1.5, 0])
    outward = arm.T_base_tcp[:3, 3] / np.linalg.norm(arm.T_base_tcp[:3, 3])
    arm.motion = SpeedL(np.array([*(0.2 * outward), 0, 0, 0]), 1.0)
    with pytest.raises(MotionError):
        for _ in range(2000):
            arm.step(0.002)


def test_joint_speeds_above_the_limit_are_refused() -> None:
    arm = make_arm(UR5E)
    arm.motion = SpeedJ(np.array([3.3, 0, 0, 0, 0, 0]), 40.0)
    with pytest.raises(MotionError, match="speed of joint 0"):
        for _ in range(100):
            arm.step(0.002)


def test_an_arm_is_not_placed_beyond_its_limits() -> None:
    arm = make_arm(UR5E)
    with pytest.raises(ValueError, match="six within the ur5e's limits"):
        arm.place([0, 0, 3.5, 0, 0, 0])
    assert_array_equal(arm.q, READY_RAD)
