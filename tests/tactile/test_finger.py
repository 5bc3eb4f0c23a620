"""The fingertip's shape: what physics and renderer share."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import brentq

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.tactile import TacTipFinger

FINGER = TacTipFinger()


def test_the_skin_depth_solves_the_ellipsoid_numerically() -> None:
    """The closed form agrees with a root found along the ray."""
    slopes = np.array([[0.0, 0.0], [0.3, 0.0], [-0.2, 0.5], [0.6, -0.7]])

    def inside(depth: float, slope: np.ndarray) -> float:
        across = np.linalg.norm(slope) * depth / FINGER.skin_radius_m
        along = (depth - FINGER.camera_distance_m) / FINGER.skin_height_m + 1
        return across**2 + along**2 - 1

    expected = [
        brentq(inside, FINGER.camera_distance_m - FINGER.skin_height_m, 0.02, args=(slope,))
        for slope in slopes
    ]
    assert_allclose(FINGER.skin_depth(slopes), expected, atol=1e-9)


def test_the_edge_of_the_disc_is_the_edge_of_the_image() -> None:
    """A ray at half the field of view leaves the skin 10 mm from the axis."""
    slope = FINGER.tan_half_fov
    depth = FINGER.skin_depth(np.array([[slope, 0.0]]))[0]
    assert depth * slope == pytest.approx(FINGER.pad_radius_m, abs=1e-9)
    assert FINGER.camera_distance_m - depth == pytest.approx(FINGER.sagitta(0.010), abs=1e-9)


def test_a_finger_is_at_most_16_mm_thick_and_curved_by_20_mm_at_its_apex() -> None:
    """The numbers of the design."""
    assert FINGER.thickness_m <= 0.016
    assert FINGER.sagitta(0.001) == pytest.approx(0.001**2 / (2 * 0.020), rel=0.01)


def test_pads_face_each_other_and_are_the_same_finger_turned_about_tcp_z() -> None:
    """Left pad at -y looking along +y; the right one is the left one turned by 180 degrees."""
    left, right = FINGER.pad_poses(0.030)
    assert_allclose(left[:3, 3], [0.0, -0.015, 0.0])
    assert_allclose(left[:3, 2], [0.0, 1.0, 0.0])
    assert_allclose(left[:3, 1], [0.0, 0.0, -1.0])
    half_turn = se3.exp(np.array([0, 0, 0, 0, 0, np.pi]))
    assert_allclose(half_turn @ left, right, atol=1e-12)
    assert_allclose(np.linalg.det(left), 1.0)


def test_impossible_fingers_are_refused() -> None:
    """A disc wider than its skin; a camera inside the skin."""
    with pytest.raises(ValueError, match="pad_radius_m"):
        TacTipFinger(pad_radius_m=0.02)
    with pytest.raises(ValueError, match="camera_distance_m"):
        TacTipFinger(camera_distance_m=0.01)
