"""At every ideal contact the fingers touch as the feature says, and nothing else of the gripper meets the object."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.features import FEATURES, PRESS_DEPTH, start_opening
from lerobot_neuraltouch.objects.catalogue import make_object, make_object_with, object_rng
from lerobot_neuraltouch.objects.contact import ContactFeature
from lerobot_neuraltouch.objects.model import ObjectModel
from lerobot_neuraltouch.objects.mug import draw_mug
from lerobot_neuraltouch.objects.views import scene_of, to_tensor
from lerobot_neuraltouch.tactile import TactileCamera, TacTipFinger

FINGER = TacTipFinger()
NUM_OBJECTS = 20
STEM_HALF_WIDTH_M, STEM_M = 0.008, (-0.014, -0.090)
"""Behind its tip a finger is this wide, from and to these places along tcp z; there the palm begins."""
PALM_HALF_SIZE_M = (0.030, 0.050)


def objects_with(feature: str, num: int, split: str = "test") -> list[ObjectModel]:
    return [make_object_with(feature, split, index) for index in range(num)]


def reachable_pose(contact: ContactFeature, rng: np.random.Generator) -> np.ndarray:
    """An ideal pose drawn from everything that is free; at a wall the fingers point into the cup, as they have to."""
    if contact.name != "mug_wall":
        return contact.sample(rng)
    poses = contact.curve()
    T = poses[rng.integers(len(poses))]
    return T @ se3.transform(None, (0.0, 0.0, rng.uniform(*contact.slide_m)))


def gripper_points(distance_m: float) -> np.ndarray:
    """Points all over the hard parts of the gripper (tips, stems, palm) in the tcp frame [m], shape (num, 3)."""
    half_x, half_y, half_z = FINGER.core_half_size_m
    inner = distance_m / 2 + FINGER.core_depth_m
    thickness = np.linspace(inner, inner + 2 * half_z, 4)
    tip_z = np.linspace(half_y, -half_y, 9) - FINGER.core_setback_m
    tip = grid(np.linspace(-half_x, half_x, 7), thickness, tip_z)
    stem_x = np.linspace(-STEM_HALF_WIDTH_M, STEM_HALF_WIDTH_M, 5)
    stem = grid(stem_x, thickness, np.linspace(*STEM_M, 20))
    palm = grid(*(np.linspace(-half, half, 11) for half in PALM_HALF_SIZE_M), [STEM_M[1]])
    fingers = np.concatenate([tip, stem])
    return np.concatenate([fingers, fingers * [1.0, -1.0, 1.0], palm])


def grid(x: np.ndarray, y: np.ndarray, z: np.ndarray | list[float]) -> np.ndarray:
    return np.stack(np.meshgrid(x, y, z, indexing="ij"), axis=-1).reshape(-1, 3)


def clearance(model: ObjectModel, points: np.ndarray) -> float:
    return float(scene_of(model).compute_signed_distance(to_tensor(points)).numpy().min())


@pytest.mark.parametrize("feature", [name for name in FEATURES if name != "right_angle_handle"])
def test_both_apexes_lie_the_press_depth_inside_the_surface(feature: str) -> None:
    """A ray along the closing direction from far outside meets the surface 2 mm before the undeformed apex."""
    rng = np.random.default_rng(0)
    for model in objects_with(feature, NUM_OBJECTS):
        contact = model.feature(feature)
        for _ in range(5):
            T = contact.sample(rng)
            inward = np.outer([1.0, -1.0], T[:3, 1])
            apexes = T[:3, 3] - 0.5 * contact.finger_distance_m * inward
            start = apexes - 0.02 * inward
            # Inside a mug the way from 20 mm off is free, as the cup is wider than that.
            hits = scene_of(model).cast_rays(to_tensor(np.hstack([start, inward])))
            assert_allclose(hits["t_hit"].numpy(), 0.02 - PRESS_DEPTH, atol=5e-5)
            # ... square to the pad, but for facets and lids' and bars' roundness.
            facing = np.abs(np.sum(hits["primitive_normals"].numpy() * inward, axis=1))
            assert facing.min() > 0.99


@pytest.mark.parametrize("feature", FEATURES)
def test_both_skins_are_pressed_in_by_the_press_depth(feature: str) -> None:
    """The deepest place of both touch images; at a rounded corner the bars begin beside the apex, where the skin curves away."""
    rng = np.random.default_rng(0)
    slack = 0.0012 if feature == "right_angle_handle" else 0.0001
    for model in objects_with(feature, NUM_OBJECTS):
        contact = model.feature(feature)
        camera = TactileCamera(model.mesh, FINGER, 32)
        T_object_pad = contact.sample(rng) @ FINGER.pad_poses(contact.finger_distance_m)
        deepest = camera.indentation(T_object_pad).max(axis=(1, 2))
        assert np.all(np.abs(deepest - PRESS_DEPTH) < slack)
        assert_allclose(deepest[0], deepest[1], atol=1e-4)


def test_both_bars_are_in_view_at_a_right_angle_handle() -> None:
    """Each pad feels something along both bars, 6 mm from its centre: the halves of z are on either side."""
    for model in objects_with("right_angle_handle", NUM_OBJECTS):
        contact = model.feature("right_angle_handle")
        (T,) = contact.curve()
        camera = TactileCamera(model.mesh, FINGER, 32)
        images = camera.indentation(T @ FINGER.pad_poses(contact.finger_distance_m))
        # z halves the angle between the bars, so they leave the picture's middle to both sides of it.
        columns = np.abs(np.linspace(-0.01, 0.01, 32)) > 0.003
        for image in images:
            felt = image[:, columns] > 2e-4
            assert felt[:, : columns.sum() // 2].any() and felt[:, columns.sum() // 2 :].any()


@pytest.mark.parametrize("split", ["test", "ood"])
@pytest.mark.parametrize("feature", FEATURES)
def test_only_the_skins_meet_the_object(feature: str, split: str) -> None:
    """Tips, stems and palm stay off it at the contact, and open on the straight way out of 60 mm."""
    if (feature, split) == ("right_angle_handle", "ood"):
        pytest.skip("no mug of that split has a right-angle handle")
    rng = np.random.default_rng(0)
    for model in objects_with(feature, 8, split):
        contact = model.feature(feature)
        closed = gripper_points(contact.finger_distance_m)
        opened = gripper_points(start_opening(contact.part_thickness_m))
        for _ in range(3):
            T = reachable_pose(contact, rng)
            assert clearance(model, se3.apply(T, closed)) > 0.001
            for back in np.linspace(0.0, 0.060, 4):
                T_out = T @ se3.transform(None, (0.0, 0.0, -back))
                assert clearance(model, se3.apply(T_out, opened)) > 0.0005


@pytest.mark.parametrize("feature", FEATURES)
def test_the_table_leaves_room_for_the_fingers_somewhere(feature: str) -> None:
    """Of an object on a table, no open finger reaches below it at one of the feature's poses at least. Not at all of them:
    towards the lower end of a loop the fingers come from below.
    """
    for model in objects_with(feature, NUM_OBJECTS):
        contact = model.feature(feature)
        points = gripper_points(start_opening(contact.part_thickness_m))
        lowest = [se3.apply(T, points)[:, 2].min() for T in contact.curve(9)]
        assert max(lowest) > 0.001


def test_a_mug_is_nowhere_thinner_than_wall_or_floor() -> None:
    """Straight through the round edge at the base, from the outer face to the inside of the cup."""
    for index in range(30):
        mug = draw_mug(object_rng("mug", "test", index))
        scene = scene_of(make_object("mug", "test", index))
        heights = np.linspace(0.0005, mug.straight_m + 0.005, 60)
        starts = np.column_stack([np.full(60, -0.1), np.full(60, 0.001), heights])
        rays = np.hstack([starts, np.tile([1.0, 0.0, 0.0], (60, 1))])
        hits = scene.cast_rays(to_tensor(rays))
        inward = -hits["primitive_normals"].numpy()
        starts[:, 0] += hits["t_hit"].numpy()
        through = scene.cast_rays(to_tensor(np.hstack([starts + 1e-5 * inward, inward])))
        assert through["t_hit"].numpy().min() > 0.95 * min(mug.wall_m, mug.floor_m)
