"""The fingertip's shape: what physics and renderer share."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import brentq

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.tactile import FINGERS, TacTipFinger

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


def test_a_flat_skin_is_a_plane_at_the_camera_s_distance() -> None:
    """Of the same pad, so its field of view is that of a disc of 10 mm seen from 14 mm."""
    flat = FINGERS["flat"]
    slopes = np.array([[0.0, 0.0], [0.3, 0.1], [0.5, -0.5]])
    assert_allclose(flat.skin_depth(slopes), 0.014)
    assert flat.sagitta(0.010) == 0
    assert flat.tan_half_fov == pytest.approx(10 / 14)
    assert flat.thickness_m == FINGERS["dome"].thickness_m


def test_a_ray_from_a_pinhole_beside_the_axis_ends_on_the_ellipsoid() -> None:
    """Put into the ellipsoid's equation, for pinholes up to 2 mm off."""
    slopes = np.array([[0.0, 0.0], [0.3, 0.0], [-0.2, 0.4]])
    offset = np.array([0.0015, -0.001])
    depth = FINGER.skin_depth(slopes, offset)
    across = np.linalg.norm(offset + depth[:, None] * slopes, axis=-1) / FINGER.skin_radius_m
    along = (depth - FINGER.camera_distance_m) / FINGER.skin_height_m + 1
    assert_allclose(across**2 + along**2, 1, atol=1e-12)
    assert np.all(depth > FINGER.camera_distance_m - FINGER.skin_height_m)


def test_dome_radius_and_travel_are_free_to_choose() -> None:
    """A dome of 30 mm is curved by 30 mm at its apex, and what follows from it follows."""
    blunt = TacTipFinger(dome_radius_m=0.030)
    assert blunt.sagitta(0.001) == pytest.approx(0.001**2 / (2 * 0.030), rel=0.01)
    assert blunt.fov_rad < FINGER.fov_rad


@pytest.mark.parametrize("name", FINGERS)
def test_the_spring_for_a_tip_is_the_inverse_of_the_tip_s_stiffness(name: str) -> None:
    """Two springs in a row: softer than the sprung skin alone."""
    finger = FINGERS[name]
    assert finger.tip_stiffness_n_per_m < finger.normal_stiffness_n_per_m
    for tip in (250.0, 1000.0):
        stiff = TacTipFinger(shape=finger.shape, normal_stiffness_n_per_m=finger.spring_for(tip))
        assert stiff.tip_stiffness_n_per_m == pytest.approx(tip)


def test_impossible_fingers_are_refused() -> None:
    """A disc wider than its skin; a camera inside the skin."""
    with pytest.raises(ValueError, match="pad_radius_m"):
        TacTipFinger(pad_radius_m=0.02)
    with pytest.raises(ValueError, match="camera_distance_m"):
        TacTipFinger(camera_distance_m=0.01)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"shape": "cone"}, "Unknown shape 'cone'. Available: dome, flat"),
        ({"dome_radius_m": 0.005}, "dome_radius_m must be at least skin_radius_m"),
        ({"camera_distance_m": float("nan")}, "camera_distance_m must be a number"),
        ({"max_travel_m": 0.008}, "max_travel_m must lie between 0 and the skin's thickness"),
        ({"shear_stiffness_n_per_m": 2000.0}, "at most 1600 N/m"),
        ({"pad_mass_kg": 0.001}, "at most 160 N/m"),
    ],
)
def test_impossible_numbers_are_refused_with_what_is_possible(numbers: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TacTipFinger(**numbers)
    with pytest.raises(ValueError, match="can feel like 0 to 1229 N/m"):
        TacTipFinger().spring_for(1500.0)
