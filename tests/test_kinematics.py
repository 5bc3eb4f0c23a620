"""Laws of the arms' kinematics, and poses worked out by hand from the published tables."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lerobot_neuraltouch import kinematics, se3
from lerobot_neuraltouch.features import MAX_ANGULAR_SPEED, MAX_LINEAR_SPEED
from lerobot_neuraltouch.kinematics import (
    ARMS,
    UR5,
    UR5E,
    ArmModel,
    DampingConfig,
    UnreachableError,
    differential_ik,
    forward,
    get_arm,
    inverse,
    jacobian,
    link_frames,
    nearest_inverse,
)

BOTH = pytest.mark.parametrize("model", ARMS.values(), ids=list(ARMS))
READY = np.array([0.2, -1.8, 2.0, -1.7, -1.5, 0.4])
"""Elbow and wrist bent, the flange pointing down."""
T_FLANGE_TOOL = se3.exp(np.array([0.02, -0.03, 0.15, 0.1, 0.2, 0.8]))
PERIOD_S = 0.008
HALF, QUARTER = np.pi, np.pi / 2


def random_joints(model: ArmModel, num: int, seed: int = 0) -> np.ndarray:
    """Anywhere within the limits, shape (num, 6)."""
    return np.random.default_rng(seed).uniform(model.lower_rad, model.upper_rad, (num, 6))


def near_shoulder(off_m: float) -> np.ndarray:
    """Joint angles of the UR5e with the wrist's centre in the first axis but for d4 to the side and this far along the arm [m]."""
    q = READY.copy()
    forearm, wrist = q[2], q[2] + q[3]
    along = -0.425 - 0.3922 * np.cos(forearm) + 0.0997 * np.sin(wrist)
    up = -0.3922 * np.sin(forearm) - 0.0997 * np.cos(wrist)
    q[1] = np.arccos(off_m / np.hypot(along, up)) - np.arctan2(up, along)
    return q


def random_twists(num: int, seed: int = 1) -> np.ndarray:
    """Anywhere within the limits of an action, shape (num, 6)."""
    limits = np.repeat([MAX_LINEAR_SPEED, MAX_ANGULAR_SPEED], 3)
    return np.random.default_rng(seed).uniform(-limits, limits, (num, 6))


# --- tables and forward ----------------------------------------------------------------------------------------------


def test_tables_are_the_published_ones() -> None:
    """Universal Robots' article on DH parameters, row by row (a, d [m], alpha in quarter turns)."""
    ur5e = [
        (0, 0.1625, 1),
        (-0.425, 0, 0),
        (-0.3922, 0, 0),
        (0, 0.1333, 1),
        (0, 0.0997, -1),
        (0, 0.0996, 0),
    ]
    ur5 = [(0, 0.089159, 1), (-0.425, 0, 0), (-0.39225, 0, 0), (0, 0.10915, 1), (0, 0.09465, -1), (0, 0.0823, 0)]  # fmt: skip
    for model, rows in ((UR5E, ur5e), (UR5, ur5)):
        ours = np.stack([model.a_m, model.d_m, np.array(model.alpha_rad) / QUARTER], axis=-1)
        assert_array_equal(ours, rows)


@pytest.mark.parametrize(
    ("model", "position"),
    # the arm lies stretched along -x; a2 + a3, -(d4 + d6), d1 - d5: what the pendant shows at zero joints
    [(UR5E, (-0.8172, -0.2329, 0.0628)), (UR5, (-0.81725, -0.19145, -0.005491))],
)
def test_all_joints_at_zero(model: ArmModel, position: tuple[float, ...]) -> None:
    """The flange faces -y, its x axis along base x and its y axis up."""
    T = forward(model, np.zeros(6))
    assert_allclose(T[:3, 3], position, atol=1e-9)
    assert_allclose(T[:3, :3], [[1, 0, 0], [0, 0, -1], [0, 1, 0]], atol=1e-9)


def test_the_upright_arm() -> None:
    """Lift and first wrist at -90 degrees: straight up, height d1 - a2 - a3 + d5, sideways by d4 + d6."""
    T = forward(UR5E, [0, -QUARTER, 0, -QUARTER, 0, 0])
    assert_allclose(T[:3, 3], [0, -0.1333 - 0.0996, 0.1625 + 0.425 + 0.3922 + 0.0997], atol=1e-9)
    assert_allclose(T[:3, :3], [[-1, 0, 0], [0, 0, -1], [0, -1, 0]], atol=1e-9)


def test_the_bent_elbow_over_the_table() -> None:
    """Upper arm up, forearm ahead, flange down: each link along one axis of base."""
    T = forward(UR5E, [0, -QUARTER, QUARTER, -QUARTER, -QUARTER, 0])
    assert_allclose(T[:3, 3], [-0.3922 - 0.0997, -0.1333, 0.1625 + 0.425 - 0.0996], atol=1e-9)
    assert_allclose(T[:3, :3], [[0, 1, 0], [1, 0, 0], [0, 0, -1]], atol=1e-9)
    turned = forward(UR5E, [QUARTER, -QUARTER, QUARTER, -QUARTER, -QUARTER, 0])
    assert_allclose(turned[:3, 3], [0.1333, -0.4919, 0.4879], atol=1e-9)


@BOTH
def test_link_frames_are_the_product_of_the_table(model: ArmModel) -> None:
    """Rz(q) Tz(d) Tx(a) Rx(alpha) of each row, by the exponential, over batches."""
    q = random_joints(model, 6).reshape(2, 3, 6)
    frames = link_frames(model, q)
    assert frames.shape == (2, 3, 7, 4, 4)
    T = np.broadcast_to(np.eye(4), (2, 3, 4, 4))
    for i, (a, d, alpha) in enumerate(zip(model.a_m, model.d_m, model.alpha_rad, strict=True)):
        assert_allclose(frames[..., i, :, :], T, atol=1e-12)
        turn = np.zeros((2, 3, 6))
        turn[..., 5] = q[..., i]
        twist = np.array([a, 0, 0, alpha, 0, 0])  # Tx and Rx commute: one screw
        T = T @ se3.exp(turn) @ se3.transform(translation=(0, 0, d)) @ se3.exp(twist)
    assert_allclose(forward(model, q), T, atol=1e-12)


# --- Jacobian --------------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("T_flange_tcp", [None, T_FLANGE_TOOL], ids=["flange", "tool"])
def test_jacobian_is_the_derivative_of_forward(
    model: ArmModel, T_flange_tcp: np.ndarray | None
) -> None:
    """Central differences, in the tcp's own axes and in base's."""
    q, step = random_joints(model, 10), 1e-5
    tool = np.eye(4) if T_flange_tcp is None else T_flange_tcp
    ahead, back = (forward(model, q[:, None] + sign * step * np.eye(6)) @ tool for sign in (1, -1))
    numeric = np.swapaxes(se3.log(se3.inverse(back) @ ahead), -1, -2) / (2 * step)
    assert_allclose(jacobian(model, q, T_flange_tcp), numeric, atol=1e-6)
    R = (forward(model, q) @ tool)[:, :3, :3]
    turned = np.concatenate([R @ numeric[:, :3], R @ numeric[:, 3:]], axis=1)
    assert_allclose(jacobian(model, q, T_flange_tcp, frame="base"), turned, atol=1e-6)


# --- inverse ---------------------------------------------------------------------------------------------------------


@BOTH
def test_every_solution_reaches_the_pose_and_one_is_where_it_came_from(model: ArmModel) -> None:
    """Random joint angles; most poses have eight solutions, none has more, all differ and lie within the limits."""
    counts = []
    for q in random_joints(model, 100):
        T = forward(model, q)
        found = inverse(model, T, q).q
        assert_allclose(forward(model, found), np.broadcast_to(T, (len(found), 4, 4)), atol=1e-9)
        assert_allclose(found[0], q, atol=1e-6)
        assert np.all((found >= model.lower_rad) & (found <= model.upper_rad))
        gaps = [np.abs(a - b).max() for a, b in itertools.combinations(found, 2)]
        assert min(gaps, default=1.0) > 1e-6
        distances = np.linalg.norm(found - q, axis=1)
        assert_array_equal(distances, np.sort(distances))
        counts.append(len(found))
    assert max(counts) == 8
    assert np.mean(np.equal(counts, 8)) > 0.5


@BOTH
def test_without_a_reference_the_angles_are_the_smallest(model: ArmModel) -> None:
    """Every joint within half a turn of zero."""
    for q in random_joints(model, 20):
        assert np.abs(inverse(model, forward(model, q)).q).max() <= HALF + 1e-12


def test_narrower_limits_take_solutions_away() -> None:
    """With the first joint held to its front quarter, half of the shoulder branches go."""
    narrow = ArmModel(UR5E.name, UR5E.a_m, UR5E.d_m, lower_rad=(-0.5,) + UR5E.lower_rad[1:], upper_rad=(0.5,) + UR5E.upper_rad[1:])  # fmt: skip
    T = forward(UR5E, READY)
    everywhere, ahead = inverse(UR5E, T, READY).q, inverse(narrow, T, READY).q
    assert len(everywhere) == 8
    assert_array_equal(ahead, everywhere[np.abs(everywhere[:, 0]) <= 0.5])
    assert 0 < len(ahead) < 8


SINGULAR = {
    "wrist straight": (4, 0.0),
    "wrist folded": (4, HALF),
    "arm stretched": (2, 0.0),
    "arm folded": (2, HALF),
}


@BOTH
@pytest.mark.parametrize("case", SINGULAR)
@pytest.mark.parametrize("off", [0.0, 1e-12, 1e-9, 1e-6, 1e-3])
def test_singular_poses_are_reached_too(model: ArmModel, case: str, off: float) -> None:
    """At the singularity and near it, by every solution and to the nanometre; the reference itself is one."""
    joint, angle = SINGULAR[case]
    for q in random_joints(model, 10):
        q[joint] = angle - np.copysign(off, angle - 1)
        T = forward(model, q)
        found = inverse(model, T, q)
        assert_allclose(
            forward(model, found.q), np.broadcast_to(T, (len(found.q), 4, 4)), atol=1e-9
        )
        # Rounding of the pose, 1e-16, moves the joints of a stretched arm by its square root.
        assert np.abs(found.q - q).max(axis=1).min() < 1e-5
        if off == 0:
            assert case != "arm stretched" or np.sum(np.abs(found.q[:, 2]) < 1e-6) == 1
            assert found.wrist_is_free.any() == ("wrist" in case)


def test_a_free_wrist_keeps_the_references_angle() -> None:
    """Any wrist_3 serves, and each gives another member of the family."""
    q = np.array([0.2, -1.8, 2.0, -1.7, 0.0, 0.4])
    T = forward(UR5E, q)
    for wrist_3 in (0.4, 0.3, 0.6):
        found = inverse(UR5E, T, np.append(q[:5], wrist_3))
        free = found.q[found.wrist_is_free]
        assert len(free)
        assert_allclose(free[:, 5], wrist_3, atol=1e-12)
        assert_allclose(forward(UR5E, free), np.broadcast_to(T, (len(free), 4, 4)), atol=1e-9)


def test_two_shoulder_branches_meet_where_the_wrists_centre_is_nearest_to_the_first_axis() -> None:
    """d4 away from it: four solutions in place of eight."""
    q = near_shoulder(0.0)
    T = forward(UR5E, q)
    centre = T[:3, 3] - 0.0996 * T[:3, 2]
    assert np.hypot(*centre[:2]) == pytest.approx(0.1333, abs=1e-12)
    found = inverse(UR5E, T, q).q
    assert_allclose(found[0], q, atol=1e-6)
    assert len(found) <= 4
    assert_allclose(forward(UR5E, found), np.broadcast_to(T, (len(found), 4, 4)), atol=1e-9)


def test_out_of_reach_has_no_solution() -> None:
    """Too far away, and too near to the first axis."""
    for position in ((-1.2, 0.0, 0.3), (0.0, -0.05, 0.7)):
        T = se3.transform(np.diag([1.0, -1.0, -1.0]), position)
        assert inverse(UR5E, T).q.shape == (0, 6)
        with pytest.raises(UnreachableError, match="ur5e's flange cannot reach position"):
            nearest_inverse(UR5E, T, READY)


def test_the_nearest_solution_is_the_one_with_the_least_motion() -> None:
    """A small step of the flange is a small step of the joints, on whichever turn they are."""
    q = READY + np.array([0, 0, 0, 0, 2 * HALF, -2 * HALF])
    T = forward(UR5E, q) @ se3.exp(np.full(6, 1e-3))
    nearest = nearest_inverse(UR5E, T, q)
    assert 0 < np.abs(nearest - q).max() < 0.02
    assert_allclose(forward(UR5E, nearest), T, atol=1e-9)


# --- joint velocities for a twist ------------------------------------------------------------------------------------


@BOTH
def test_away_from_singularities_the_twist_is_the_wanted_one(model: ArmModel) -> None:
    """Exactly, and nothing is limited; following it moves the tcp along its screw."""
    rng = np.random.default_rng(2)
    for twist in random_twists(20):
        q = READY + rng.uniform(-0.3, 0.3, 6)
        motion = differential_ik(model, q, twist, T_FLANGE_TOOL, period_s=PERIOD_S)
        assert motion.limited_by == ()
        assert motion.scale == 1.0
        assert motion.smallest_singular_value > DampingConfig().threshold
        assert_allclose(motion.twist, twist, atol=1e-12)
        before, after = (forward(model, p) @ T_FLANGE_TOOL for p in (q, q + 1e-4 * motion.velocity))
        # the joints move straight, the screw is bent: second order in the step
        assert_allclose(se3.log(se3.inverse(before) @ after), 1e-4 * twist, atol=2e-9)


def near(singularity: str, off: float) -> np.ndarray:
    """Joint angles of the UR5e this far [rad, m] from a singularity, otherwise well placed."""
    if singularity == "shoulder":
        return near_shoulder(off)
    q = READY.copy()
    q[{"wrist": 4, "elbow": 2}[singularity]] = off
    return q


@pytest.mark.parametrize("singularity", ["wrist", "elbow", "shoulder"])
def test_joint_speeds_stay_bounded_at_singularities(singularity: str) -> None:
    """At any distance; what damping and limits leave is told, and at the singularity itself the Jacobian has lost rank."""
    limit = UR5E.max_speed_rad_per_s[0]
    config = DampingConfig()
    for off in (0.0, 1e-12, 1e-6, 1e-3, 1e-2, 0.1):
        for twist in random_twists(10):
            q = near(singularity, off)
            motion = differential_ik(UR5E, q, twist, period_s=PERIOD_S)
            wanted = np.linalg.norm(twist / np.repeat([config.length_m, 1.0], 3))
            assert np.linalg.norm(motion.velocity) <= wanted / config.threshold + 1e-12
            assert np.abs(motion.velocity).max() <= limit
            assert_allclose(motion.twist, jacobian(UR5E, q) @ motion.velocity, atol=1e-12)
            close = motion.smallest_singular_value < config.threshold
            assert ("singularity" in motion.limited_by) == close
            if off == 0:
                assert motion.smallest_singular_value < 1e-12


@pytest.mark.parametrize("singularity", ["wrist", "elbow", "shoulder"])
def test_at_a_singularity_all_that_the_arm_can_still_do_is_done(singularity: str) -> None:
    """A twist that some joint velocity makes is made exactly, undamped and not blamed on the singularity."""
    q = near(singularity, 0.0)
    J = jacobian(UR5E, q)
    for velocity in np.random.default_rng(3).uniform(-0.2, 0.2, (10, 6)):
        motion = differential_ik(UR5E, q, J @ velocity, period_s=PERIOD_S)
        assert_allclose(motion.twist, J @ velocity, atol=1e-9)
        assert motion.limited_by == ()


def test_speed_limits_slow_a_twist_down_along_its_own_direction() -> None:
    """A hundred times too fast: the fastest joint ends on its limit and is named."""
    for twist in random_twists(20):
        wanted = 100 * twist
        motion = differential_ik(UR5E, READY, wanted, period_s=1e-4)
        fastest = int(np.argmax(np.abs(motion.velocity)))
        assert abs(motion.velocity[fastest]) == pytest.approx(np.pi, rel=1e-12)
        assert motion.limited_by == (f"{kinematics.JOINT_NAMES[fastest]} speed",)
        assert 0 < motion.scale < 1
        assert_allclose(motion.twist, motion.scale * wanted, atol=1e-9)


@pytest.mark.parametrize("joint", range(6))
@pytest.mark.parametrize("end", ["upper", "lower"])
def test_position_limits_are_never_passed(joint: int, end: str) -> None:
    """Driven into a limit the arm slows down on its way and stops there; driven back it goes."""
    sign = 1.0 if end == "upper" else -1.0
    q = READY.copy()
    limit = READY[joint] + sign * 0.01
    changed = {f"{end}_rad": tuple(np.where(np.arange(6) == joint, limit, getattr(UR5E, f"{end}_rad")).tolist())}  # fmt: skip
    model = ArmModel(UR5E.name, UR5E.a_m, UR5E.d_m, **changed)
    into = np.where(np.arange(6) == joint, sign * 0.5, 0.0)
    for _ in range(5):
        motion = differential_ik(model, q, jacobian(model, q) @ into, period_s=PERIOD_S)
        q = q + PERIOD_S * motion.velocity
        assert sign * (limit - q[joint]) > -1e-9
    assert q[joint] == pytest.approx(limit, abs=1e-9)
    assert motion.limited_by == (f"{kinematics.JOINT_NAMES[joint]} {end} limit",)
    assert_allclose(motion.velocity, 0, atol=1e-9)
    for free in (-into, np.where(np.arange(6) == joint, 0.0, 0.2)):  # back, and along the limit
        motion = differential_ik(model, q, jacobian(model, q) @ free, period_s=PERIOD_S)
        assert_allclose(motion.velocity, free, atol=1e-9)
        assert motion.limited_by == ()


def test_random_motion_never_leaves_the_limits() -> None:
    """Anywhere within the limits, with twists far beyond an action's."""
    for model in ARMS.values():
        for q, twist in zip(random_joints(model, 100), 30 * random_twists(100), strict=True):
            motion = differential_ik(model, q, twist, T_FLANGE_TOOL, period_s=0.1)
            assert np.all(np.abs(motion.velocity) <= np.array(model.max_speed_rad_per_s) + 1e-12)
            there = q + 0.1 * motion.velocity
            assert np.all(there >= np.array(model.lower_rad) - 1e-9)
            assert np.all(there <= np.array(model.upper_rad) + 1e-9)


def test_no_twist_no_motion() -> None:
    """Not even at a singularity."""
    motion = differential_ik(UR5E, near("wrist", 0.0), np.zeros(6), period_s=PERIOD_S)
    assert_array_equal(motion.velocity, 0)
    assert motion.limited_by == ()


# --- boundary --------------------------------------------------------------------------------------------------------


def test_what_makes_no_sense_is_refused() -> None:
    """With what was wanted, what came and what exists."""
    with pytest.raises(ValueError, match=r"Unknown arm 'ur10'. Available: ur5, ur5e\."):
        get_arm("ur10")
    with pytest.raises(ValueError, match=r"\(\.\.\., 6\), got \(5,\)"):
        forward(UR5E, np.zeros(5))
    with pytest.raises(ValueError, match="Available: tcp, base"):
        jacobian(UR5E, READY, frame="world")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="shape"):
        inverse(UR5E, np.eye(3))
    with pytest.raises(ValueError, match="right-handed"):
        inverse(UR5E, np.diag([1.0, 1.0, -1.0, 1.0]))
    with pytest.raises(ValueError, match="six finite"):
        inverse(UR5E, np.eye(4), np.full(6, np.nan))
    with pytest.raises(ValueError, match="A twist: six finite"):
        differential_ik(UR5E, READY, np.full(6, np.inf), period_s=PERIOD_S)
    with pytest.raises(ValueError, match="period_s must be positive, got 0"):
        differential_ik(UR5E, READY, np.zeros(6), period_s=0)
    with pytest.raises(ValueError, match="threshold must be positive"):
        DampingConfig(threshold=0.0)
    with pytest.raises(ValueError, match="a_m needs six values"):
        ArmModel("short", (0.0,), UR5E.d_m)
