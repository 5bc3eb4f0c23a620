"""Motions replayed from a grasp: nothing changes at the same grasp, and what changes at another one."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.spatial.transform import Rotation

from lerobot_neuraltouch import replay, se3

RNG = np.random.default_rng(0)


def poses(num: int) -> np.ndarray:
    return se3.transform(Rotation.random(num, rng=RNG), RNG.uniform(-1.0, 1.0, (num, 3)))


def test_from_its_own_grasp_a_motion_is_what_it_was() -> None:
    grasp, way = poses(1)[0], poses(5)
    again = replay.poses_from(grasp, replay.displacements(way, grasp))
    assert_allclose(again, way, atol=1e-12)


def test_a_motion_turns_and_moves_with_its_grasp_about_the_vertical() -> None:
    grasp, way = poses(1)[0], poses(5)
    T = se3.exp(np.array([0.3, -0.2, 0.1, 0.0, 0.0, 1.1]))
    motion = replay.displacements(way, grasp)
    assert_allclose(replay.displacements(T @ way, T @ grasp), motion, atol=1e-12)
    assert_allclose(replay.poses_from(T @ grasp, motion), T @ way, atol=1e-12)


@pytest.mark.parametrize("lean_rad", [-0.4, 0.0, 0.3])
def test_up_stays_up_and_aside_is_level_however_the_hand_leans(lean_rad: float) -> None:
    """30 mm up and 100 mm along the closing direction of a hand that points down; then of one that leans towards its finger."""
    down = se3.transform(np.diag([1.0, -1.0, -1.0]))
    moved = se3.transform(translation=(0.0, -0.1, 0.03)) @ down
    motion = replay.displacements(moved[None], down)
    assert_allclose(motion[0, :3, 3], (0.0, 0.1, 0.03), atol=1e-12)
    leaning = down @ se3.exp(np.array([0.0, 0.0, 0.0, lean_rad, 0.0, 0.0]))
    (end,) = replay.poses_from(leaning, motion)
    assert_allclose(end[:3, 3], (0.0, -0.1, 0.03), atol=1e-12)
    assert_allclose(end[:3, :3], leaning[:3, :3], atol=1e-12)


def test_exchanged_fingers_are_the_same_grasp_for_a_hand_that_comes_from_the_side() -> None:
    """Along x in base, its left finger once to the right and once to the left; but one that comes from above has no other side."""
    ahead = np.column_stack([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    exchanged = np.diag([-1.0, -1.0, 1.0])
    for R in (ahead, ahead @ exchanged):
        assert_allclose(replay.upright(se3.transform(R))[:3, :3], np.eye(3), atol=1e-12)
    down = np.diag([1.0, -1.0, -1.0])
    assert_allclose(replay.upright(se3.transform(down))[:3, 1], (0.0, -1.0, 0.0))
    assert_allclose(replay.upright(se3.transform(down @ exchanged))[:3, 1], (0.0, 1.0, 0.0))


def test_a_turn_about_the_vertical_is_about_the_tcp() -> None:
    grasp = poses(1)[0]
    turned = grasp.copy()
    turned[:3, :3] = se3.exp(np.array([0, 0, 0, 0, 0, 0.7]))[:3, :3] @ grasp[:3, :3]
    motion = replay.displacements(turned[None], grasp)[0]
    assert_allclose(motion, se3.exp(np.array([0, 0, 0, 0, 0, 0.7])), atol=1e-12)


def test_a_vertical_closing_direction_leaves_the_heading_to_x() -> None:
    R = np.column_stack([[0.6, 0.8, 0.0], [0.0, 0.0, 1.0], [0.8, -0.6, 0.0]])
    frame = replay.upright(se3.transform(R))
    assert_allclose(frame[:3, :3], np.column_stack([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]]))
    assert_allclose(np.linalg.det(frame[:3, :3]), 1.0)
