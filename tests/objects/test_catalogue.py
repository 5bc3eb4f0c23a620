"""Generated objects are sound solids, repeat under their number, and their physics pieces are where the surface is."""

import numpy as np
import open3d as o3d
import pytest
import trimesh
from numpy.testing import assert_allclose

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.features import FEATURES, MAX_FINGER_DISTANCE, TASKS, start_opening
from lerobot_neuraltouch.ndf.approach import GripperShape, gripper_points
from lerobot_neuraltouch.objects.bolt import draw_bolt
from lerobot_neuraltouch.objects.bottle import HELD_OUT_SHOULDER, draw_bottle
from lerobot_neuraltouch.objects.catalogue import (
    CATEGORIES,
    SPLITS,
    make_object,
    make_object_with,
    object_rng,
)
from lerobot_neuraltouch.objects.handle import HELD_OUT_STYLE
from lerobot_neuraltouch.objects.model import ObjectModel
from lerobot_neuraltouch.objects.mug import NUM_WALL_PIECES, draw_mug, make_mug
from lerobot_neuraltouch.objects.views import make_scene

GENUS = {"mug": 1, "bottle": 0, "bolt": 0}
DRAW = {"mug": draw_mug, "bottle": draw_bottle, "bolt": draw_bolt}
PROBES = [
    ("mug", 0),
    ("mug", 4),
    ("mug", 7),
    ("bottle", 0),
    ("bottle", 2),
    ("bolt", 0),
    ("bolt", 1),
]
"""Both handle styles, a round base, two shoulders, a round and a hexagonal head of the train stream."""


def signed_distance(mesh: trimesh.Trimesh, points: np.ndarray) -> np.ndarray:
    query = o3d.core.Tensor(points.astype(np.float32))
    return make_scene(mesh).compute_signed_distance(query).numpy()


@pytest.mark.parametrize(("category", "index"), PROBES)
def test_meshes_are_sound_solids(category: str, index: int) -> None:
    """Watertight, wound outwards, of the right genus; standing on z = 0 with the axis on z; few triangles."""
    mesh = make_object(category, "train", index).mesh
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.volume > 0.0
    assert mesh.euler_number == 2 - 2 * GENUS[category]
    assert mesh.body_count == 1
    assert len(mesh.faces) < 20_000
    assert_allclose(mesh.bounds[0, 2], 0.0, atol=1e-9)
    # Facets lie evenly about the round surface; the handle is only towards +x.
    assert_allclose(mesh.bounds[0, 1], -mesh.bounds[1, 1], atol=1e-6)


@pytest.mark.parametrize(("category", "index"), PROBES)
def test_pieces_cover_the_solid_and_little_more(category: str, index: int) -> None:
    """Surface points within 0.1 mm of the union of the pieces (handles: 0.6 mm), pieces within 0.15 mm of the solid."""
    model = make_object(category, "train", index)
    rng = np.random.default_rng(0)
    surface = trimesh.sample.sample_surface(model.mesh, 1500, seed=0)[0]
    outside = np.min([signed_distance(piece, surface) for piece in model.pieces], axis=0)
    handle = (surface[:, 0] > 0.0) & (np.abs(surface[:, 1]) < 0.009) & (category == "mug")
    assert outside[~handle].max() < 0.0001
    assert outside[handle].max(initial=0.0) < 0.0006
    corners = np.concatenate([piece.vertices for piece in model.pieces])
    mixed = np.concatenate(
        [rng.dirichlet(np.ones(len(piece.vertices)), 40) @ piece.vertices for piece in model.pieces]
    )
    excess = signed_distance(model.mesh, np.concatenate([corners, mixed]))
    assert excess.max() < 0.00015
    assert all(piece.is_convex and piece.is_watertight for piece in model.pieces)


def test_a_mug_has_enough_wall_pieces() -> None:
    """Fewer than 36 pieces per ring would let the pads feel the wall more than 0.15 mm off."""
    assert len(make_object("mug", "train", 0).pieces) >= 36 + 2


def test_the_wall_is_felt_where_it_is() -> None:
    """On the rim's radius, the middle of the wall pieces' two faces is off the true one by less than 0.08 mm."""
    mug = draw_mug(object_rng("mug", "train", 3))
    model = make_mug(mug, "mug")
    height = 0.7 * mug.height_m
    angles = np.random.default_rng(0).uniform(np.deg2rad(60.0), np.deg2rad(300.0), 400)
    heights = np.full_like(angles, height)
    scene = o3d.t.geometry.RaycastingScene()
    merged = trimesh.util.concatenate(model.pieces[:NUM_WALL_PIECES])
    scene.add_triangles(
        o3d.core.Tensor(merged.vertices.astype(np.float32)),
        o3d.core.Tensor(merged.faces.astype(np.uint32)),
    )
    out = np.column_stack([np.cos(angles), np.sin(angles), 0 * angles])

    def cast(origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
        rays = np.concatenate([origins, directions], axis=1).astype(np.float32)
        return scene.cast_rays(o3d.core.Tensor(rays))["t_hit"].numpy()

    inner = cast(np.column_stack([0 * angles, 0 * angles, heights]), out)
    outer = 0.2 - cast(0.2 * out + heights[:, None] * [0, 0, 1.0], -out)
    assert_allclose(inner, mug.inner_radius(height), atol=0.00008)
    assert_allclose(outer, mug.outer_radius(height), atol=0.00003)
    assert abs(np.mean(inner) - mug.inner_radius(height)) < 0.00003


def test_rim_circle_and_mesh_agree() -> None:
    """The ideal rim contact lies in the middle of the mesh's wall to 0.03 mm, all along the rim."""
    model = make_object("mug", "test", 1)
    rim = model.features["mug_rim"]
    poses = rim.curve(60)
    for side in (-0.5, 0.5):
        faces = poses[:, :3, 3] + side * rim.part_thickness_m * poses[:, :3, 1]
        assert np.abs(signed_distance(model.mesh, faces)).max() < 0.00003
    tops = poses[:, :3, 3] - 0.003 * poses[:, :3, 2]
    assert (
        np.abs(signed_distance(model.mesh, tops)).max() < 0.0001
    )  # leaning walls: the edge is round


def test_lid_and_mesh_agree() -> None:
    model = make_object("bottle", "test", 1)
    head = model.features["bottle_head"]
    for _ in range(20):
        T = head.sample(np.random.default_rng(0))
        sides = T[:3, 3] + 0.5 * head.part_thickness_m * np.outer([-1, 1], T[:3, 1])
        assert np.abs(signed_distance(model.mesh, sides)).max() < 0.00002


@pytest.mark.parametrize("feature", ["handle_bar", "lid_from_side"])
def test_held_out_contacts_and_meshes_agree(feature: str) -> None:
    """Both pads' middles lie on the part's sides; what is approached lies ahead, across the direction that the hand comes from."""
    for index in range(12):
        model = make_object_with(feature, "test", index)
        contact = model.feature(feature)
        for _ in range(4):
            T = contact.sample(np.random.default_rng(index))
            sides = T[:3, 3] + 0.5 * contact.part_thickness_m * np.outer([-1, 1], T[:3, 1])
            assert np.abs(signed_distance(model.mesh, sides)).max() < 0.0001
            outside = T[:3, 3] - 0.03 * T[:3, 2]
            assert signed_distance(model.mesh, outside[None])[0] > 0.003
            assert T[:3, 2] @ T[:3, 3] < 1e-9  # towards the middle of the object
            assert abs(T[2, 2]) < 0.5


def test_fingers_fit_everywhere() -> None:
    """Room for a 16 mm finger inside the mug, and for both fingers beside the lid down to 18 mm below its top."""
    for index in range(100):
        mug = draw_mug(object_rng("mug", "train", index))
        assert 2.0 * mug.inner_radius(mug.height_m) > 0.058
        assert mug.inner_radius(mug.height_m - 0.015) > 0.028
        assert mug.outer_radius(0.0) > 0.02
        assert 2.0 * mug.rim_round_m < mug.wall_m
        handle = mug.handle
        lowest = handle.middle_m - handle.span_m / 2 - handle.thickness_m / 2 - handle.droop_m
        highest = handle.middle_m + handle.span_m / 2 + handle.thickness_m / 2
        assert lowest > 0.002
        assert highest < mug.height_m - 0.002
        bottle = draw_bottle(object_rng("bottle", "train", index))
        assert 0.026 <= 2.0 * bottle.lid_radius_m <= 0.045 < MAX_FINGER_DISTANCE
        assert bottle.lid_m + bottle.neck_m >= 0.0235
        assert bottle.neck_radius_m < bottle.lid_radius_m < bottle.body_radius_m
        assert bottle.height_m - bottle.lid_m - bottle.neck_m - bottle.shoulder_m > 0.02


def test_streams_repeat_and_differ() -> None:
    """The same number gives the same shape, and no shape of one split comes up in another."""
    for category in CATEGORIES:
        shapes = {
            split: [DRAW[category](object_rng(category, split, i)) for i in range(60)]
            for split in SPLITS
        }
        assert shapes["test"][7] == DRAW[category](object_rng(category, "test", 7))
        drawn = [repr(shape) for split in SPLITS for shape in shapes[split]]
        assert len(set(drawn)) == len(SPLITS) * 60


def test_held_out_styles_are_nowhere_else() -> None:
    """All mugs and bottles of the split `ood` have the held-out handle or shoulder, and none of the other splits."""
    for split in SPLITS:
        held_out = split == "ood"
        for index in range(60):
            mug = draw_mug(object_rng("mug", split, index), held_out)
            bottle = draw_bottle(object_rng("bottle", split, index), held_out)
            assert (mug.handle.style == HELD_OUT_STYLE) == held_out
            assert (bottle.shoulder == HELD_OUT_SHOULDER) == held_out
    assert make_object("mug", "ood", 0).style == HELD_OUT_STYLE
    assert make_object("bottle", "ood", 0).style == HELD_OUT_SHOULDER


@pytest.mark.parametrize("feature", FEATURES)
def test_pads_touch_both_sides_at_every_ideal_contact(feature: str) -> None:
    """Half a part's thickness to either side of the tcp is the surface, with its normal along the closing direction."""
    rng = np.random.default_rng(0)
    for index in range(4):
        model = make_object_with(feature, "val", index)
        contact = model.feature(feature)
        for _ in range(8):
            T = contact.sample(rng)
            sides = T[:3, 3] + 0.5 * contact.part_thickness_m * np.outer([-1, 1], T[:3, 1])
            # Where bars meet in a rounded corner, the crossing of their centre lines lies outside the bend.
            slack = 0.0015 if feature == "right_angle_handle" else 0.0003
            assert np.abs(signed_distance(model.mesh, sides)).max() < slack
            outward = sides + 0.003 * np.outer([-1, 1], T[:3, 1])
            assert_allclose(signed_distance(model.mesh, outward), 0.003, atol=slack + 0.0001)


@pytest.mark.parametrize("feature", FEATURES)
def test_open_fingers_come_to_every_contact(feature: str) -> None:
    """Fingers and palm, on the straight way in at the skill's opening, stay off the object."""
    gripper = GripperShape()
    rng = np.random.default_rng(1)
    for index in range(6):
        model = make_object_with(feature, "val", index)
        contact = model.feature(feature)
        points = gripper_points(start_opening(contact.part_thickness_m), gripper).numpy()
        for _ in range(4):
            T = contact.sample(rng)
            if (
                feature == "mug_wall"
            ):  # any spin about the wall's normal is ideal, not all can be come to
                T = contact.nearest(contact.curve(3)[1]).T_object_target
            assert signed_distance(model.mesh, se3.apply(T, points)).min() > 0.0


def test_handles_are_found_by_number() -> None:
    """The n-th mug with a right-angle handle is the n-th such mug of the stream."""
    styles = [draw_mug(object_rng("mug", "val", i)).handle.style for i in range(30)]
    numbers = [i for i, style in enumerate(styles) if style == "right_angle"]
    for n, number in enumerate(numbers[:6]):
        assert make_object_with("right_angle_handle", "val", n) is make_object("mug", "val", number)
    with pytest.raises(ValueError, match="right_angle_handle"):
        make_object_with("right_angle_handle", "ood", 0)
    with pytest.raises(ValueError, match="Available: mug_rim"):
        make_object_with("spout", "val", 0)


def test_a_right_angles_corner_is_its_contact() -> None:
    for index in range(5):
        model = make_object_with("right_angle_handle", "train", index)
        contact = model.features["right_angle_handle"].curve(1)[0, :3, 3]
        np.testing.assert_allclose(model.landmarks["corner"], contact, atol=1e-9)


def test_landmarks_lie_where_they_should() -> None:
    """The handle's point lies in its bar or, where the bar leans, close to it; the top on the mesh's height."""
    for index in range(8):
        model = make_object("mug", "train", index)
        marks = model.landmarks
        assert marks["top"][2] == pytest.approx(model.mesh.bounds[1, 2], abs=1e-6)
        assert model.mesh.bounds[1, 0] - 0.008 < marks["handle"][0] < model.mesh.bounds[1, 0]
        assert signed_distance(model.mesh, marks["handle"][None])[0] < 0.002
        assert marks["corner"][2] > marks["handle"][2]


def test_top_radii_are_those_of_the_contacts() -> None:
    """Mean distance of the ideal rim poses from the axis (3 mm below the edge), half the lid, half the head."""
    for index in range(6):
        mug = make_object_with("mug_rim", "val", index)
        rim = mug.feature("mug_rim").curve()[:, :2, 3]
        assert mug.top_radius_m == pytest.approx(np.linalg.norm(rim, axis=1).mean(), abs=5e-4)
        for feature in ("bottle_head", "bolt_head"):
            model = make_object_with(feature, "val", index)
            assert 2.0 * model.top_radius_m == model.feature(feature).part_thickness_m
            assert model.landmarks["top"][2] == pytest.approx(model.mesh.bounds[1, 2], abs=1e-6)
            assert not model.landmarks["base"].any()


def test_a_third_of_the_mugs_is_round_at_the_base() -> None:
    """Up to nearly 20 mm, inside and outside, never as high as the handle, with room to stand on."""
    mugs = [draw_mug(object_rng("mug", "train", index)) for index in range(300)]
    rounded = [mug for mug in mugs if mug.base_round_m > 0.006]
    assert 0.25 < len(rounded) / len(mugs) < 0.42
    assert max(mug.base_round_m for mug in rounded) > 0.015
    for mug in mugs:
        handle = mug.handle
        assert mug.base_round_m <= handle.middle_m - (handle.span_m + handle.thickness_m) / 2
        assert mug.base_round_m <= 0.45 * mug.outer_radius(0.0) + 1e-9


def test_splits_have_the_same_ranges() -> None:
    """Means of a drawn size over 200 shapes agree between the splits within 5 standard errors."""
    sizes = {
        split: [draw_mug(object_rng("mug", split, i)).height_m for i in range(200)]
        for split in SPLITS
    }
    error = 0.045 / np.sqrt(12 * 200)
    assert abs(np.mean(sizes["train"]) - np.mean(sizes["test"])) < 5 * np.sqrt(2) * error
    assert abs(np.mean(sizes["train"]) - np.mean(sizes["val"])) < 5 * np.sqrt(2) * error


def test_objects_have_the_features_of_the_tasks() -> None:
    for task in TASKS.values():
        model = make_object_with(task.feature, "val", 0)
        assert model.name.startswith(f"{task.category}-val-")
        assert model.feature(task.feature).name == task.feature
        assert 0.02 < model.mass_kg <= 0.6


def test_unknown_names_list_what_exists() -> None:
    with pytest.raises(ValueError, match="Unknown category 'cup'. Available: mug, bottle"):
        make_object("cup", "train", 0)
    with pytest.raises(ValueError, match="Unknown split 'dev'. Available: train, val, test"):
        make_object("mug", "dev", 0)
    with pytest.raises(ValueError, match="at least 0"):
        make_object("mug", "train", -1)
    model: ObjectModel = make_object("mug", "train", 0)
    with pytest.raises(ValueError, match="no feature 'lid'. Available: handle_bar, mug_rim"):
        model.feature("lid")
