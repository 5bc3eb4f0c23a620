"""Group laws of rigid transforms, over batches, near the identity and far from it."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from lerobot_neuraltouch import se3

BATCHES = [(), (1,), (5,), (2, 3)]


def random_twists(batch: tuple[int, ...], scale: float = 1.0) -> np.ndarray:
    return scale * np.random.default_rng(0).normal(size=(*batch, 6))


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e-7])
def test_log_undoes_exp(batch: tuple[int, ...], scale: float) -> None:
    twist = random_twists(batch, scale)
    T = se3.exp(twist)
    assert T.shape == (*batch, 4, 4)
    assert_allclose(se3.log(T), twist, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("batch", BATCHES)
def test_inverse_undoes(batch: tuple[int, ...]) -> None:
    T = se3.exp(random_twists(batch))
    identity = np.broadcast_to(np.eye(4), T.shape)
    assert_allclose(se3.inverse(T) @ T, identity, atol=1e-12)
    assert_allclose(T @ se3.inverse(T), identity, atol=1e-12)
    assert_allclose(se3.inverse(T), se3.exp(-random_twists(batch)), atol=1e-12)


def test_nothing_moves_by_no_twist() -> None:
    assert_allclose(se3.exp(np.zeros(6)), np.eye(4), atol=0)
    assert_allclose(se3.log(np.eye(4)), np.zeros(6), atol=1e-15)


def test_a_quarter_turn_with_a_step() -> None:
    """Rolling half a circle of radius 1 about z while facing along it: from x to -x, 2 metres to the left."""
    T = se3.exp(np.array([np.pi, 0.0, 0.0, 0.0, 0.0, np.pi]))
    assert_allclose(T[:3, 3], [0.0, 2.0, 0.0], atol=1e-12)
    assert_allclose(T[:3, 0], [-1.0, 0.0, 0.0], atol=1e-12)


def test_steps_along_one_twist_add_up() -> None:
    twist = random_twists(())
    assert_allclose(se3.exp(0.3 * twist) @ se3.exp(0.7 * twist), se3.exp(twist), atol=1e-12)


@pytest.mark.parametrize("batch", BATCHES)
def test_points_follow_composition(batch: tuple[int, ...]) -> None:
    first, second = se3.exp(random_twists(batch)), se3.exp(random_twists(batch, 0.5))
    points = np.random.default_rng(1).normal(size=(*batch, 7, 3))
    there = se3.apply(first, se3.apply(second, points))
    assert there.shape == points.shape
    assert_allclose(there, se3.apply(first @ second, points), atol=1e-12)
    assert_allclose(se3.apply(se3.inverse(second), se3.apply(second, points)), points, atol=1e-12)


@pytest.mark.parametrize("batch", BATCHES)
def test_rotation_vector_poses_round_trip(batch: tuple[int, ...]) -> None:
    T = se3.exp(random_twists(batch))
    pose = se3.to_rotvec_pose(T)
    assert pose.shape == (*batch, 6)
    assert_allclose(se3.from_rotvec_pose(pose), T, atol=1e-12)
    assert_allclose(np.linalg.norm(pose[..., 3:], axis=-1), se3.rotation_angle(T), atol=1e-12)


def test_angles_near_zero_and_near_pi() -> None:
    for angle in (0.0, 1e-9, 1e-4, np.pi - 1e-4, np.pi):
        T = se3.exp(np.array([0.1, 0.2, 0.3, angle, 0.0, 0.0]))
        assert_allclose(se3.rotation_angle(T), angle, atol=1e-8)


def test_random_rotations_are_rotations_without_a_preferred_direction() -> None:
    rng = np.random.default_rng(0)
    matrices = np.stack([se3.random_rotation(rng).as_matrix() for _ in range(400)])
    assert_allclose(np.linalg.det(matrices), 1.0)
    # Each entry of a uniform rotation has mean 0 and variance 1 / 3; five standard errors.
    assert np.abs(matrices.mean(axis=0)).max() < 5.0 / np.sqrt(3 * 400)


def test_look_at_sees_its_target_ahead_and_upright() -> None:
    T = se3.look_at(np.array([1.0, 0.0, 1.0]), np.zeros(3))
    assert_allclose(se3.apply(se3.inverse(T), np.zeros((1, 3)))[0], [0, 0, np.sqrt(2)], atol=1e-12)
    assert T[2, 1] < 0.0  # y of the picture points down
    assert_allclose(T[2, 0], 0.0, atol=1e-12)
    with pytest.raises(ValueError, match="look_at"):
        se3.look_at(np.zeros(3), np.zeros(3))
    with pytest.raises(ValueError, match="line of sight"):
        se3.look_at(np.array([0.0, 0.0, 1.0]), np.zeros(3))
