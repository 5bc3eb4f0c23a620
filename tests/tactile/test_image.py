"""Touch images against shapes whose contact is known in closed form."""

import hashlib

import numpy as np
import pytest
import trimesh
from numpy.testing import assert_allclose, assert_array_equal

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.tactile import FINGERS, TactileCamera, TacTipFinger
from lerobot_neuraltouch.tactile.gray import MAX_DEPTH_M, from_gray, to_gray
from lerobot_neuraltouch.tactile.image import disc_mask

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


def test_the_default_images_are_those_that_the_shipped_policy_was_trained_on() -> None:
    """Bit for bit; in these poses no pixel lies within a thousandth of a level of its rounding."""
    camera = TactileCamera(trimesh.creation.icosphere(4, radius=0.015), FINGER, SIZE)
    beside = se3.transform(translation=(0.001, 0.0, 0.002))
    digests = {
        0.0268: "3330f4630a57220bdf19339d60b3e96c",
        0.0270: "9fac6f980f4789a5b8833013e3bef68e",
    }
    for distance, digest in digests.items():
        gray = camera.gray(camera.indentation(beside @ FINGER.pad_poses(distance)))
        assert hashlib.sha256(gray.tobytes()).hexdigest()[:32] == digest


def test_both_fingers_are_cast_in_one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """One question "does anything block?" and one "where?" for the two together, with each finger's own result."""
    camera = TactileCamera(trimesh.creation.icosphere(4, radius=0.015), FINGER, SIZE)
    pads = FINGER.pad_poses(0.027)
    pads[1, 2, 3] += 0.004
    far = se3.transform(translation=(0, 0, 1.0))
    alone = [
        camera.indentation(np.stack([pads[0], far]))[0],
        camera.indentation(np.stack([far, pads[1]]))[1],
    ]
    calls = []
    scene = camera._scene

    class Spy:
        compute_distance = staticmethod(scene.compute_distance)

        def cast_rays(self, rays: object, **kwargs: object) -> object:
            calls.append("where")
            return scene.cast_rays(rays, **kwargs)

        def test_occlusions(self, rays: object, *args: object, **kwargs: object) -> object:
            calls.append("whether")
            return scene.test_occlusions(rays, *args, **kwargs)

    monkeypatch.setattr(camera, "_scene", Spy())
    together = camera.indentation(pads)
    assert calls == ["whether", "where"]
    assert_array_equal(together, alone)
    assert not np.array_equal(together[0], together[1])


def test_a_picture_is_the_gray_map_of_the_indentation() -> None:
    camera = TactileCamera(trimesh.creation.icosphere(4, radius=0.015), FINGER, SIZE)
    pads = FINGER.pad_poses(0.027)
    assert camera.picture(pads).any()
    assert_array_equal(camera.picture(pads), camera.gray(camera.indentation(pads)))
    pads[:, 2, 3] += 1.0
    assert not camera.picture(pads).any()


def test_whether_the_object_is_near_is_what_its_distance_says_on_any_way() -> None:
    """Pads wander in and out; what is remembered never changes the answer, and saves most questions."""
    ball = trimesh.creation.icosphere(5, radius=0.015)
    camera = TactileCamera(ball, FINGER, SIZE)
    nearness, rng = camera._nearness, np.random.default_rng(0)
    asked = []

    class Spy:
        def compute_distance(self, point: object, **kwargs: object) -> object:
            asked.append(point)
            return camera._scene.compute_distance(point, **kwargs)

    nearness._scene = Spy()  # type: ignore[assignment]
    T, near = se3.transform(translation=(0.025, 0.0, 0.0)), []
    for step in range(400):
        T = T @ se3.exp(rng.normal(0.0, [0.0005] * 3 + [0.02] * 3))
        T[:3, 3] *= (0.025 + 0.015 * np.sin(step / 20)) / np.linalg.norm(T[:3, 3])
        centre = T[:3, 3] + nearness._centre * T[:3, 2]
        gap = abs(np.linalg.norm(centre) - 0.015) - nearness._radius - 0.0005
        near.append(nearness.within(0, T, 0.0005))
        if abs(gap) > 1e-5:  # the mesh lies some micrometres inside the ball
            assert near[-1] == (gap < 0)
    assert 40 < sum(near) < 360
    assert len(asked) < 200


@pytest.mark.parametrize("shape", FINGERS)
def test_a_larger_image_is_the_same_picture(shape: str) -> None:
    """Pixels of 64, averaged from those of 128 and 256, differ by what the object rises within one."""
    finger = FINGERS[shape]
    mesh = trimesh.creation.icosphere(5, radius=0.015)
    pads = finger.pad_poses(0.026)
    small = TactileCamera(mesh, finger, 64).indentation(pads)[0]
    for size in (128, 256):
        large = TactileCamera(mesh, finger, size).indentation(pads)[0]
        n = size // 64
        averaged = large.reshape(64, n, 64, n).mean(axis=(1, 3))
        inside = small > 2e-4
        assert inside.sum() > 300
        assert_allclose(averaged[inside], small[inside], atol=2e-5)


def test_a_pinhole_beside_the_axis_moves_near_parts_further_than_far_ones() -> None:
    """Seen from 0.5 mm to the +x side, a pin moves to -x by its depth's share of pixels, and the other finger's image stays."""
    pin = trimesh.creation.box((0.003, 0.004, 0.003))
    camera = TactileCamera(pin, FINGER, 256)
    pads = FINGER.pad_poses(0.002)
    plain = camera.indentation(pads)
    offset = 0.0005
    camera.mount(np.zeros(2), np.zeros((2, 2)), np.array([[offset, 0.0], [0.0, 0.0]]))
    moved = camera.indentation(pads)
    assert_array_equal(moved[1], plain[1])
    columns = np.arange(256)
    at = [
        float((image > 0).sum(axis=0) @ columns / (image > 0).sum())
        for image in (plain[0], moved[0])
    ]
    # what is seen of the pin is its face, 1 mm inside the skin
    depth = FINGER.camera_distance_m - 0.001
    assert at[1] - at[0] == pytest.approx(-offset / depth / FINGER.tan_half_fov * 128, rel=0.05)


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
