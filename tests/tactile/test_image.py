"""Touch images against shapes whose contact is known in closed form."""

import numpy as np
import pytest
import trimesh
from numpy.testing import assert_allclose, assert_array_equal

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.tactile import TactileCamera, TacTipFinger
from lerobot_neuraltouch.tactile.image import MAX_DEPTH_M, disc_mask, from_gray, to_gray

FINGER = TacTipFinger()
SIZE = 64


def pixel_slopes() -> np.ndarray:
    """Slopes of the rays through the pixel centres, shape (size, size, 2)."""
    centres = ((np.arange(SIZE) + 0.5) / SIZE * 2 - 1) * FINGER.tan_half_fov
    return np.stack(np.meshgrid(centres, centres), axis=-1)


def skin_depth() -> np.ndarray:
    return FINGER.skin_depth(pixel_slopes().reshape(-1, 2)).reshape(SIZE, SIZE)


def test_a_sphere_is_seen_to_a_fiftieth_of_a_millimetre() -> None:
    """Both pads hold a ball of 15 mm radius, 2 mm deep."""
    radius, depth = 0.015, 0.002
    camera = TactileCamera(trimesh.creation.icosphere(6, radius=radius), FINGER, SIZE)
    seen = camera.indentation(FINGER.pad_poses(2 * (radius - depth)))
    slopes = pixel_slopes()
    # |(s x, s y, s - d)| = radius with the ball's centre d in front of the pinhole
    d = FINGER.camera_distance_m + radius - depth
    a = 1 + np.sum(slopes**2, axis=-1)
    discriminant = d**2 - a * (d**2 - radius**2)
    met = np.where(discriminant > 0, (d - np.sqrt(np.maximum(discriminant, 0))) / a, np.inf)
    expected = np.maximum(skin_depth() - met, 0) * disc_mask(SIZE)
    assert_allclose(seen[0], expected, atol=2e-5)
    assert_allclose(seen[1], expected, atol=2e-5)
    assert expected.max() == pytest.approx(depth, abs=1e-5)


def test_a_tilted_plane_is_seen_to_a_fiftieth_of_a_millimetre() -> None:
    """The flat face of a block, 1.5 mm into the left pad and tilted by 8 degrees about the pad's y axis."""
    depth, tilt = 0.0015, np.deg2rad(8.0)
    block = trimesh.creation.box((0.1, 0.1, 0.02))
    block.apply_translation([0, 0, 0.01])  # its lower face is z = 0, its solid above
    T_pad_object = se3.transform(translation=(0, 0, -depth)) @ se3.exp(
        np.array([0, 0, 0, 0, tilt, 0])
    )
    far = se3.transform(translation=(0, 0, 1.0))
    camera = TactileCamera(block, FINGER, SIZE)
    seen = camera.indentation(np.stack([se3.inverse(T_pad_object), far]))
    # the face: z + depth = -x tan(tilt) in the pad's frame
    met = (FINGER.camera_distance_m - depth) / (1 + pixel_slopes()[..., 0] * np.tan(tilt))
    expected = np.maximum(skin_depth() - met, 0) * disc_mask(SIZE)
    assert_allclose(seen[0], expected, atol=2e-5)
    assert not seen[1].any()


def test_a_clear_finger_sees_nothing_however_near() -> None:
    """At a tenth of a millimetre from a ball the image is still 0, at a tenth inside it is not."""
    camera = TactileCamera(trimesh.creation.icosphere(5, radius=0.015), FINGER, SIZE)
    assert not camera.indentation(FINGER.pad_poses(0.0302)).any()
    assert not camera.indentation(FINGER.pad_poses(0.085)).any()
    assert camera.indentation(FINGER.pad_poses(0.0298)).any(axis=(1, 2)).all()


def test_turning_the_object_by_180_degrees_about_tcp_z_swaps_the_images() -> None:
    """The two fingers are one finger turned."""
    wedge = trimesh.creation.box((0.012, 0.02, 0.009))
    wedge.apply_translation([0.003, 0.001, 0.004])
    camera = TactileCamera(wedge, FINGER, SIZE)
    T_object_tcp = se3.exp(np.array([0, 0, 0, 0.1, 0.05, 0.2]))
    half_turn = se3.exp(np.array([0, 0, 0, 0, 0, np.pi]))
    pads = FINGER.pad_poses(0.017)
    first = camera.indentation(T_object_tcp @ pads)
    # turning the object by 180 degrees is turning the hand by -180 degrees
    second = camera.indentation(T_object_tcp @ se3.inverse(half_turn) @ pads)
    assert first.any(axis=(1, 2)).all()
    assert_allclose(first, second[::-1], atol=1e-6)
    assert not np.allclose(first[0], first[1])


def test_the_fingers_end_is_in_row_0_and_pad_x_runs_along_columns() -> None:
    """A pin under the left pad towards tcp +x and +z lies in the upper right of the left image."""
    pin = trimesh.creation.box((0.002, 0.004, 0.002))
    pin.apply_translation([0.004, 0.0, 0.005])
    left, right = TactileCamera(pin, FINGER, SIZE).indentation(FINGER.pad_poses(0.001))
    rows, columns = np.nonzero(left)
    assert rows.max() < SIZE / 2 < columns.min()
    rows, columns = np.nonzero(right)
    assert rows.max() < SIZE / 2
    assert columns.max() < SIZE / 2


def test_a_mounted_error_moves_the_picture_by_that_many_pixels() -> None:
    """Shifting the left image by (3, -2) pixels moves its contents so; yaw turns it."""
    pin = trimesh.creation.box((0.003, 0.004, 0.003))
    camera = TactileCamera(pin, FINGER, SIZE)
    pads = FINGER.pad_poses(0.002)
    plain = camera.indentation(pads)
    camera.mount(np.zeros(2), np.array([[3.0, -2.0], [0.0, 0.0]]))
    shifted = camera.indentation(pads)
    assert_allclose(shifted[0], np.roll(plain[0], (-2, 3), axis=(0, 1)), atol=1e-7)
    assert_array_equal(shifted[1], plain[1])
    camera.mount(np.array([np.pi / 2, 0.0]), np.zeros((2, 2)))
    assert_allclose(camera.indentation(pads)[0], np.rot90(plain[0], -1), atol=1e-6)


def test_gray_is_linear_up_to_its_largest_depth() -> None:
    """51 levels per millimetre, 255 from 5 mm on, and back."""
    depths = np.array([0.0, 0.001, 0.0025, MAX_DEPTH_M, 0.02])
    assert_array_equal(to_gray(depths), [0, 51, 128, 255, 255])
    fine = np.linspace(0, MAX_DEPTH_M, 1000)
    assert_allclose(from_gray(to_gray(fine)), fine, atol=MAX_DEPTH_M / 255 / 2 + 1e-9)


def test_the_mask_is_the_inscribed_disc() -> None:
    """Its area is a quarter of pi of the square, and it is symmetric."""
    mask = disc_mask(SIZE)
    assert mask.mean() == pytest.approx(np.pi / 4, abs=0.01)
    assert_array_equal(mask, mask[::-1])
    assert_array_equal(mask, mask.T)


def test_images_repeat_exactly() -> None:
    """The same pose gives the same image, bit for bit."""
    camera = TactileCamera(trimesh.creation.icosphere(4, radius=0.015), FINGER, SIZE)
    pads = FINGER.pad_poses(0.027)
    assert_array_equal(camera.indentation(pads), camera.indentation(pads))
