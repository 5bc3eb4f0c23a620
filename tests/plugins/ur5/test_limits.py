"""Laws of the limits, hammered with random targets on an arm that follows exactly."""

import dataclasses
import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lerobot_neuraltouch import kinematics
from lerobot_neuraltouch.kinematics import ARMS, UR5E
from lerobot_robot_ur5_tactip.arm import ArmState, SafetyBit
from lerobot_robot_ur5_tactip.bounds import approach_speed, keep_in_box, keep_in_cone, ramp
from lerobot_robot_ur5_tactip.errors import (
    EmergencyStopError,
    ForceLimitError,
    NotReadyError,
    ProgramStoppedError,
    ProtectiveStopError,
    TouchOverloadError,
)
from lerobot_robot_ur5_tactip.limits import Limits, LimitsConfig, Motion
from tests.plugins.ur5.kinematic import READY, T_FLANGE_TCP, KinematicArm, box_around

PERIOD_S = 0.008
CONFIG = LimitsConfig(workspace_min_m=(0.2, -0.3, 0.02), workspace_max_m=(0.6, 0.3, 0.4))
SLACK_M = 1e-5
"""How far the simulated arm strays from its twists."""
SEEDS = pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 8))]
)
BOTH = pytest.mark.parametrize("model", ARMS.values(), ids=list(ARMS))


def limits_of(arm: KinematicArm, config: LimitsConfig) -> Limits:
    return Limits(config, arm.model, T_FLANGE_TCP)


def targets(rng: np.random.Generator, num: int, factor: float = 1.0) -> list[np.ndarray]:
    """Wild policies: in and far beyond the caps, held for a while, sometimes zero, sometimes reversed."""
    found: list[np.ndarray] = []
    while len(found) < num:
        scale = factor * rng.choice([0.0, 0.5, 1.0, 50.0])
        target = scale * rng.normal(size=6) * np.repeat([0.02, 0.17], 3)
        found += [target * rng.choice([-1, 1])] * int(rng.integers(1, 150))
    return found[:num]


def drive(
    arm: KinematicArm, limits: Limits, wanted: list[np.ndarray]
) -> list[tuple[Motion, tuple[str, ...], np.ndarray, np.ndarray]]:
    """Follow the targets; motion, reasons, pose and joints after each tick."""
    motion, log = Motion(), []
    for target in wanted:
        motion, reasons = limits.step(motion, target, arm.state, PERIOD_S)
        arm.follow(motion.twist, PERIOD_S)
        log.append((motion, reasons, arm.T_base_tcp, arm.q))
    return log


# --- laws over random sequences --------------------------------------------------------------------------------------


@SEEDS
@BOTH
def test_no_sequence_leaves_the_workspace_or_exceeds_the_caps(
    model: kinematics.ArmModel, seed: int
) -> None:
    arm = KinematicArm(model, READY.copy())
    config = box_around(arm, 0.01, max_tilt_rad=0.15)
    approach = arm.T_base_tcp[:3, 2]
    config = dataclasses.replace(config, approach_axis=tuple(approach.tolist()))
    log = drive(arm, limits_of(arm, config), targets(np.random.default_rng(seed), 1000))
    twists = np.array([motion.twist for motion, *_ in log])
    poses = np.array([T for *_, T, _ in log])
    low, high = np.array(config.workspace_min_m), np.array(config.workspace_max_m)
    assert (poses[:, :3, 3] - low).min() > -SLACK_M
    assert (high - poses[:, :3, 3]).min() > -SLACK_M
    tilts = np.arccos(np.clip(poses[:, :3, 2] @ approach, -1, 1))
    assert tilts.max() < config.max_tilt_rad + 1e-4
    # The bounds were met, not merely kept away from.
    assert (high - poses[:, :3, 3]).min() < 3e-3
    assert tilts.max() > config.max_tilt_rad - 1e-2
    assert np.linalg.norm(twists[:, :3], axis=1).max() <= config.max_linear_speed_m_s + 1e-12
    assert np.linalg.norm(twists[:, 3:], axis=1).max() <= config.max_angular_speed_rad_s + 1e-12
    reasons = {reason for _, why, *_ in log for reason in why}
    assert {"linear speed", "angular speed", "tilt"} <= reasons


@SEEDS
def test_no_sequence_exceeds_acceleration_or_jerk(seed: int) -> None:
    arm = KinematicArm(UR5E, READY.copy())
    config = box_around(arm, 0.01)
    log = drive(arm, limits_of(arm, config), targets(np.random.default_rng(seed), 1000))
    twists = np.array([motion.twist for motion, *_ in log])
    accelerations = np.diff(twists[:, :3], axis=0, prepend=0) / PERIOD_S
    # Also while it brakes before faces: there the half of it in each axis, and the ramp in the others.
    assert np.linalg.norm(accelerations, axis=1).max() < 1.5 * config.max_linear_acceleration_m_s2
    free = np.array([not any("workspace" in r for r in why) for _, why, *_ in log])
    free &= np.concatenate([[True], free[:-1]]) & np.concatenate([[True] * 2, free[:-2]])
    jerks = np.diff(accelerations, axis=0, prepend=0) / PERIOD_S
    assert (
        np.linalg.norm(accelerations[free], axis=1).max()
        < 1.0001 * config.max_linear_acceleration_m_s2
    )
    # Half more where the speed cap cuts the ramp's overshoot off.
    assert np.linalg.norm(jerks[free], axis=1).max() < 1.5 * config.max_linear_jerk_m_s3


@SEEDS
@BOTH
def test_no_sequence_reaches_a_singularity_or_a_joint_limit(
    model: kinematics.ArmModel, seed: int
) -> None:
    q = READY.copy()
    q[4], q[5] = -0.45, 2 * np.pi - 0.15  # wrist_2 near its singularity, wrist_3 near its end
    arm = KinematicArm(model, q)
    config = box_around(arm, 1.0, max_tilt_rad=3.0)
    log = drive(arm, limits_of(arm, config), targets(np.random.default_rng(seed), 1200))
    joints = np.array([q for *_, q in log])
    smallest = [kinematics.smallest_singular_value(model, q, T_FLANGE_TCP) for q in joints[::10]]
    assert min(smallest) > config.min_singular_value - 1e-3  # differentiated over 10 ms
    margin = np.minimum(joints - model.lower_rad, model.upper_rad - joints)
    assert (
        margin.min() > config.joint_margin_rad - 1e-3
    )  # joints follow nominal kinematics exactly here
    assert np.abs(np.diff(joints, axis=0)).max() / PERIOD_S < config.max_joint_speed_rad_s + 1e-2


@SEEDS
def test_zero_target_brings_the_arm_to_rest(seed: int) -> None:
    """From anything a policy did, within the time that speed, acceleration and jerk add up to."""
    arm = KinematicArm(UR5E, READY.copy())
    config = box_around(arm, 0.01)
    rng = np.random.default_rng(seed)
    limits, c = limits_of(arm, config), config
    for _ in range(4):
        *_, (motion, *_rest) = drive(arm, limits, targets(rng, 100))
        longest = max(
            c.max_linear_speed_m_s / c.max_linear_acceleration_m_s2
            + 3 * c.max_linear_acceleration_m_s2 / c.max_linear_jerk_m_s3,
            c.max_angular_speed_rad_s / c.max_angular_acceleration_rad_s2
            + 3 * c.max_angular_acceleration_rad_s2 / c.max_angular_jerk_rad_s3,
        )
        assert longest < 0.3
        for _ in range(math.ceil(longest / PERIOD_S)):
            motion, _ = limits.step(motion, np.zeros(6), arm.state, PERIOD_S)
            arm.follow(motion.twist, PERIOD_S)
        assert_array_equal(motion.twist, np.zeros(6))


# --- single limits ---------------------------------------------------------------------------------------------------


def test_caps_keep_directions() -> None:
    arm = KinematicArm(UR5E, READY)
    capped, reasons = limits_of(arm, CONFIG).cap([0.3, 0.4, 0.0, 0.0, 0.0, 0.1])
    assert_allclose(capped, [0.012, 0.016, 0.0, 0.0, 0.0, 0.1])
    assert reasons == ("linear speed",)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_target_that_is_not_finite_is_refused(bad: float) -> None:
    limits = limits_of(KinematicArm(UR5E, READY), CONFIG)
    with pytest.raises(ValueError, match="six finite numbers"):
        limits.cap([0, 0, bad, 0, 0, 0])


def test_braking_from_the_approach_speed_ends_at_the_bound() -> None:
    """v tau + v^2 / 2a = room, by hand: 0.02 * 0.05 + 0.0004 / 0.2 = 0.003."""
    assert approach_speed(0.003, deceleration=0.1, reaction_s=0.05) == pytest.approx(0.02)
    assert approach_speed(0.0, 0.1, 0.05) == approach_speed(-1.0, 0.1, 0.05) == 0.0


def test_ramp_arrives_and_does_not_run_past_its_target() -> None:
    velocity, acceleration, target = np.zeros(3), np.zeros(3), np.array([0.02, 0.0, 0.0])
    speeds = []
    for _ in range(60):
        velocity, acceleration = ramp(
            velocity, acceleration, target, max_acceleration=0.2, max_jerk=4.0, period_s=PERIOD_S
        )
        speeds.append(velocity[0])
    assert max(speeds) < 0.02 + 4.0 * PERIOD_S**2
    assert_array_equal(velocity, target)
    assert speeds.index(0.02) * PERIOD_S < 0.25


def test_outside_the_workspace_only_the_way_back_is_open() -> None:
    low, high = np.zeros(3), np.ones(3)
    outside = np.array([1.1, 0.5, -0.2])
    kept, reasons = keep_in_box(np.array([0.02, 0.01, -0.02]), outside, low, high, 0.1, 0.03)
    assert_array_equal(kept, [0.0, 0.01, 0.0])
    assert reasons == ("workspace +x", "workspace -z")
    back = np.array([-0.02, 0.01, 0.02])
    assert_array_equal(keep_in_box(back, outside, low, high, 0.1, 0.03)[0], back)


def test_cone_takes_the_tilt_and_leaves_spin_and_return() -> None:
    axis = np.array([0.0, 0.0, -1.0])
    tilted = np.array([math.sin(0.5), 0.0, -math.cos(0.5)])  # by 0.5 rad, about -y
    omega = np.array([0.1, -0.2, 0.3])
    kept, reasons = keep_in_cone(omega, tilted, axis, 0.5, 1.0, 0.03)
    assert_allclose(kept, [0.1, 0.0, 0.3])
    assert reasons == ("tilt",)
    back = np.array([0.1, 0.2, 0.3])
    assert_array_equal(keep_in_cone(back, tilted, axis, 0.5, 1.0, 0.03)[0], back)


def test_accepted_twist_is_where_the_ramp_ends() -> None:
    arm = KinematicArm(UR5E, READY.copy())
    limits = limits_of(arm, box_around(arm, 0.05))
    target = np.array([0.0, 0.0, 0.3, 0.0, 0.0, 0.05])
    accepted, reasons = limits.accept(target, arm.state)
    assert_allclose(accepted, [0, 0, 0.02, 0, 0, 0.05], atol=1e-12)
    assert reasons == ("linear speed",)
    (*_, (motion, *_)) = drive(arm, limits, [target] * 60)
    R = arm.T_base_tcp[:3, :3]
    assert_allclose(R.T @ motion.twist[:3], accepted[:3], atol=1e-4)  # R of one tick later


# --- what stops the arm ----------------------------------------------------------------------------------------------

STATE = ArmState(stamp_s=0.0, q=READY, tcp=np.zeros(6), wrench=np.zeros(6))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"safety_bits": SafetyBit.PROTECTIVE_STOP}, ProtectiveStopError, "neuraltouch recover"),
        ({"safety_bits": SafetyBit.EMERGENCY_STOP}, EmergencyStopError, "Emergency stop"),
        ({"safety_bits": SafetyBit.ROBOT_EMERGENCY_STOP}, EmergencyStopError, "Emergency stop"),
        ({"safety_bits": SafetyBit.SAFEGUARD_STOP}, EmergencyStopError, "Safeguard"),
        ({"safety_bits": SafetyBit.VIOLATION}, EmergencyStopError, "violation"),
        ({"safety_bits": SafetyBit.RECOVERY}, NotReadyError, "recovery mode"),
        (
            {"safety_bits": SafetyBit.PROTECTIVE_STOP | SafetyBit.EMERGENCY_STOP},
            EmergencyStopError,
            "Emergency stop",
        ),
        ({"robot_mode": 3}, NotReadyError, "robot mode 3"),
        ({"is_program_running": False}, ProgramStoppedError, "watchdog"),
        ({"wrench": np.array([0, 0, -31.0, 0, 0, 0])}, ForceLimitError, "31.0 N"),
        ({"wrench": np.array([0, 0, 0, 0, 10.5, 0])}, ForceLimitError, "10.5 Nm"),
        ({"wrench": np.full(6, np.nan)}, ForceLimitError, "nan"),
    ],
)
def test_a_state_that_is_not_safe_is_refused(
    change: dict, error: type[Exception], words: str
) -> None:
    limits = limits_of(KinematicArm(UR5E, READY), CONFIG)
    limits.check(STATE, touch=(3.0, 4.0))
    with pytest.raises(error, match=words):
        limits.check(dataclasses.replace(STATE, **change))


@pytest.mark.parametrize(("touch", "finger"), [((21.0, 0.0), "left"), ((0.0, np.nan), "right")])
def test_too_much_touch_is_refused(touch: tuple[float, float], finger: str) -> None:
    limits = limits_of(KinematicArm(UR5E, READY), CONFIG)
    with pytest.raises(TouchOverloadError, match=finger):
        limits.check(STATE, touch)


# --- config ----------------------------------------------------------------------------------------------------------


def test_workspace_has_no_default() -> None:
    with pytest.raises(TypeError, match="workspace_min_m"):
        LimitsConfig()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"workspace_min_m": (0.7, -0.3, 0.0)}, "below"),
        ({"approach_axis": (0.0, 0.0, -2.0)}, "unit vector"),
        ({"max_force_n": 0.0}, "max_force_n"),
        ({"max_linear_jerk_m_s3": float("nan")}, "max_linear_jerk_m_s3"),
    ],
)
def test_a_config_that_means_nothing_is_refused(change: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(CONFIG, **change)
