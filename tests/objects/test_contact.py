"""Contact errors: hand-worked numbers, laws, and a brute-force search."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.spatial.transform import Rotation

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.objects.catalogue import make_object, make_object_with, object_rng
from lerobot_neuraltouch.objects.contact import ContactFeature
from lerobot_neuraltouch.objects.mug import draw_mug

RIM_CONSTRAINED = ("y", "z", "rx", "ry", "rz")


def about(axis: int, angle_deg: float) -> np.ndarray:
    return se3.transform(Rotation.from_rotvec(np.deg2rad(angle_deg) * np.eye(3)[axis]))


def shift(x: float = 0.0, y: float = 0.0, z: float = 0.0) -> np.ndarray:
    return se3.transform(None, (x, y, z))


@pytest.fixture(scope="module")
def rim() -> ContactFeature:
    """Three quarters of a circle of radius 40 mm about z at height 90 mm, opposite the handle at +x."""
    T_front = se3.transform(np.array([[0, 1, 0], [1, 0, 0], [0, 0, -1.0]]), (0.04, 0.0, 0.09))
    knots = np.stack([about(2, turn) @ T_front for turn in np.linspace(45.0, 315.0, 9)])
    return ContactFeature("mug_rim", knots, 0.004, RIM_CONSTRAINED)


@pytest.fixture(scope="module")
def head() -> ContactFeature:
    pose = se3.transform(np.diag([1.0, -1.0, -1.0]), (0.0, 0.0, 0.2))
    return ContactFeature("bottle_head", pose[None], 0.03, ("x", "y", "z", "rx", "ry"))


def test_ideal_poses_have_no_error(rim: ContactFeature, head: ContactFeature) -> None:
    rng = np.random.default_rng(0)
    for feature in (rim, head):
        for _ in range(50):
            error = feature.nearest(feature.sample(rng))
            assert error.pos_error_m < 1e-6  # a parabola through samples 0.2 mm apart
            assert error.cos_error < 1e-9


def test_moving_along_the_rim_is_free_and_reported(rim: ContactFeature) -> None:
    T = rim.poses[4]
    moved = about(2, np.rad2deg(0.003 / 0.04)) @ T  # 3 mm of arc at 40 mm radius
    error = rim.nearest(moved)
    assert error.pos_error_m < 1e-6
    assert error.angle_rad < 1e-5
    assert_allclose(error.along_m - rim.nearest(T).along_m, 0.003, atol=1e-6)


def test_two_millimetres_across_the_wall_count(rim: ContactFeature) -> None:
    error = rim.nearest(rim.poses[3] @ shift(y=0.002))
    assert_allclose(error.pos_error_m, 0.002, atol=1e-7)
    assert error.cos_error < 1e-9
    assert_allclose(
        rim.nearest(rim.poses[3] @ shift(y=0.003, z=0.004)).pos_error_m, 0.005, atol=1e-7
    )


def test_tilts_count(rim: ContactFeature, head: ContactFeature) -> None:
    for feature in (rim, head):
        error = feature.nearest(feature.poses[0 if len(feature.poses) == 1 else 4] @ about(0, 5.0))
        assert_allclose(np.rad2deg(error.angle_rad), 5.0, atol=1e-4)
        assert_allclose(error.cos_error, 1.0 - np.cos(np.deg2rad(5.0)), atol=1e-8)
        assert error.pos_error_m < 1e-7


def test_yaw_at_the_rim_is_shared_with_the_place_along_it(rim: ContactFeature) -> None:
    """Minimise (40 d)^2 + ((yaw - d) / 2 deg)^2 over the turn d: d = yaw k / (1 + k) with k = 1 / (40 * 0.0349)^2."""
    yaw, k = 6.0, 1.0 / (40.0 * np.deg2rad(2.0)) ** 2
    T = rim.poses[4] @ about(2, yaw)
    error = rim.nearest(T)
    left = yaw / (1.0 + k)
    assert_allclose(np.rad2deg(error.angle_rad), left, atol=0.02)  # an arc is not quite straight
    # The origin moved along the tangent, which is free; what remains is the arc's sagitta.
    assert error.pos_error_m < 0.0002


def test_any_spin_about_a_lid_is_as_good(head: ContactFeature) -> None:
    for spin in (-170.0, -20.0, 0.5, 90.0, 180.0):
        error = head.nearest(head.poses[0] @ about(2, spin) @ about(1, 3.0))
        assert_allclose(np.rad2deg(error.angle_rad), 3.0, atol=1e-5)
        assert error.pos_error_m < 1e-9


def test_upside_down_is_the_worst(head: ContactFeature) -> None:
    error = head.nearest(head.poses[0] @ about(0, 180.0))
    assert_allclose(error.cos_error, 2.0, atol=1e-9)


def test_beyond_the_end_of_the_curve_the_end_counts(rim: ContactFeature) -> None:
    error = rim.nearest(about(2, -20.0) @ rim.poses[0])
    assert_allclose(error.T_object_target, rim.poses[0], atol=1e-9)
    assert_allclose(error.along_m, -0.5 * rim.length_m)
    assert_allclose(rim.length_m, 0.04 * np.deg2rad(270.0), rtol=1e-6)
    # 20 degrees beyond: chord (40 sin 20, 40 (1 - cos 20)) mm in the tangent frame, of which only the second counts.
    assert_allclose(error.pos_error_m, 0.04 * (1.0 - np.cos(np.deg2rad(20.0))), atol=1e-9)


def test_exchanged_fingers_count_at_the_rim_but_not_where_allowed(rim: ContactFeature) -> None:
    bar = ContactFeature("bar", rim.poses[:1], 0.01, spin180=True)
    turned = rim.poses[0] @ about(2, 180.0) @ about(0, 2.0)
    assert_allclose(np.rad2deg(bar.nearest(turned).angle_rad), 2.0, atol=1e-6)
    assert rim.nearest(turned).cos_error > 0.5


def test_nearest_agrees_with_brute_force(rim: ContactFeature) -> None:
    """No pose on a grid of 0.01 mm along the rim is better than the one found."""
    rng = np.random.default_rng(1)
    turns = np.deg2rad(np.linspace(45.0, 315.0, 20001)) - np.deg2rad(45.0)
    grid = se3.transform(Rotation.from_rotvec(turns[:, None] * [0.0, 0.0, 1.0])) @ rim.poses[0]

    def cost(targets: np.ndarray, T: np.ndarray) -> np.ndarray:
        relative = se3.inverse(targets) @ T
        distance = np.linalg.norm(targets[..., :3, 3] - T[:3, 3], axis=-1)
        return (distance / 1e-3) ** 2 + (se3.rotation_angle(relative) / np.deg2rad(2.0)) ** 2

    for _ in range(10):
        noise = rng.normal(size=6) * [0.01, 0.01, 0.01, 0.4, 0.4, 0.4]
        T = rim.sample(rng) @ se3.exp(noise)
        found = cost(rim.nearest(T).T_object_target, T)
        best = cost(grid, T).min()
        assert found <= best * (1.0 + 1e-6) + 1e-9


def test_errors_move_with_the_object(rim: ContactFeature) -> None:
    """A feature and a pose moved by the same transform keep their error."""
    rng = np.random.default_rng(2)
    T_move = se3.exp(rng.normal(size=6))
    moved = ContactFeature("mug_rim", T_move @ rim.poses, 0.004, RIM_CONSTRAINED)
    for _ in range(5):
        T = rim.sample(rng) @ se3.exp(rng.normal(size=6) * 0.01)
        here, there = rim.nearest(T), moved.nearest(T_move @ T)
        assert_allclose(there.pos_error_m, here.pos_error_m, atol=1e-7)
        assert_allclose(there.angle_rad, here.angle_rad, atol=1e-5)
        assert_allclose(there.along_m, here.along_m, atol=1e-6)


def test_a_set_of_poses_is_not_a_curve(rim: ContactFeature) -> None:
    points = ContactFeature("handle", rim.poses[[0, 8]], 0.01, connected=False)
    error = points.nearest(rim.poses[1])
    assert_allclose(error.T_object_target, rim.poses[0])
    assert error.along_m == 0.0


def test_targets_lie_where_the_definition_says() -> None:
    """Rim edge 3 mm above the pad centre, wall between the pads, left pad inside; lid centred."""
    mug, bottle = make_object("mug", "test", 0), make_object("bottle", "test", 0)
    height = mug.mesh.bounds[1, 2]
    for T in mug.features["mug_rim"].curve(7):
        outwards = T[:3, 3] * [1.0, 1.0, 0.0]
        assert T[:3, 1] @ outwards > 0.98 * np.linalg.norm(outwards)
        assert T[2, 2] < -0.98
        assert_allclose(height - T[2, 3], 0.003, atol=1e-4)
        assert_allclose(T[:3, 0], np.cross(T[:3, 1], T[:3, 2]), atol=1e-12)
    (T,) = bottle.features["bottle_head"].curve()
    assert_allclose(T[:3, 2], [0.0, 0.0, -1.0])
    assert_allclose(T[:2, 3], 0.0)
    assert 0.0049 < bottle.mesh.bounds[1, 2] - T[2, 3] < 0.00601


def test_refuses_what_makes_no_feature(rim: ContactFeature) -> None:
    with pytest.raises(ValueError, match="Available: x, y, z, rx, ry, rz"):
        ContactFeature("rim", rim.poses, 0.004, ("radial",))
    with pytest.raises(ValueError, match="at most one of rx, ry, rz"):
        ContactFeature("rim", rim.poses, 0.004, ("x", "y", "z", "rx"))
    with pytest.raises(ValueError, match="shape"):
        ContactFeature("rim", rim.poses[0], 0.004)
    with pytest.raises(ValueError, match="not a rotation"):
        ContactFeature("rim", rim.poses * 2.0, 0.004)
    with pytest.raises(ValueError, match="part_thickness_m"):
        ContactFeature("rim", rim.poses, -0.004)


def test_on_a_wall_only_the_band_is_free() -> None:
    """10 mm up and 90 degrees of spin are free; 5 mm beyond the band's end, 2 mm across and 3 degrees of tilt count."""
    T = se3.transform(np.array([[0, 1, 0], [1, 0, 0], [0, 0, -1.0]]), (0.04, 0.0, 0.05))
    knots = np.stack([about(2, turn) @ T for turn in (-60.0, 0.0, 60.0)])
    wall = ContactFeature("mug_wall", knots, 0.004, ("y", "rx", "rz"), slide_m=(-0.02, 0.02))
    free = T @ shift(z=0.01) @ about(1, 90.0)
    assert wall.nearest(free).pos_error_m < 1e-6
    assert wall.nearest(free).angle_rad < 1e-6
    assert_allclose(wall.nearest(T @ shift(z=0.025)).pos_error_m, 0.005, atol=1e-6)
    assert_allclose(
        wall.nearest(T @ shift(z=0.025, y=0.002)).pos_error_m, np.hypot(5, 2) / 1e3, atol=2e-6
    )
    assert_allclose(
        np.rad2deg(wall.nearest(T @ shift(z=0.01) @ about(0, 3.0)).angle_rad), 3.0, atol=0.02
    )
    for _ in range(20):
        assert wall.nearest(wall.sample(np.random.default_rng(0))).pos_error_m < 1e-6


def test_free_spins_are_drawn_as_far_as_a_hand_can_be_turned() -> None:
    """Within 20 degrees of a knot's own spin; a spin of 90 degrees is ideal all the same."""
    T = se3.transform(np.array([[0, 1, 0], [1, 0, 0], [0, 0, -1.0]]), (0.04, 0.0, 0.05))
    wall = ContactFeature("mug_wall", T[None], 0.004, ("y", "rx", "rz"), drawn_spin_rad=0.35)
    rng = np.random.default_rng(0)
    tilts = [np.arccos(-wall.sample(rng)[2, 2]) for _ in range(200)]
    assert 0.3 < max(tilts) <= 0.35
    assert wall.nearest(T @ about(1, 90.0)).angle_rad < 1e-6
    with pytest.raises(ValueError, match="drawn_spin_rad must lie in"):
        ContactFeature("mug_wall", T[None], 0.004, ("y", "rx", "rz"), drawn_spin_rad=4.0)


def test_a_hexagon_may_be_gripped_by_any_two_flats() -> None:
    """Turned by 60 degrees nothing is wrong; by 20 and by 40 degrees the angle left is 20."""
    bolts = (make_object("bolt", "val", index) for index in range(20))
    head = next(bolt for bolt in bolts if bolt.style == "hex").feature("bolt_head")
    T = head.poses[0]
    for turn, left in ((60.0, 0.0), (-120.0, 0.0), (180.0, 0.0), (20.0, 20.0), (40.0, 20.0)):
        error = head.nearest(T @ about(2, turn))
        assert_allclose(np.rad2deg(error.angle_rad), left, atol=1e-4)
        assert error.pos_error_m < 1e-9


def test_a_loop_is_free_along_its_bar_only() -> None:
    """Nothing is wrong within 8 mm of arc; across the bar it is; fingers may change sides. As at a rim, what leads on along
    the bar beyond the ends does not count, but the bar's bend does, and `along_m` says where the end is.
    """
    handle = make_object_with("horizontal_handle", "val", 0).feature("horizontal_handle")
    assert_allclose(handle.length_m, 0.016, atol=1e-4)
    end = handle.poses[-1]
    assert handle.nearest(end @ about(2, 180.0)).pos_error_m < 1e-6
    assert handle.nearest(end @ about(2, 180.0)).angle_rad < 1e-4
    assert_allclose(abs(handle.nearest(end).along_m), 0.008, atol=1e-4)
    for axis, counted in (("x", 0.0), ("y", 0.002), ("z", 0.002)):
        assert_allclose(
            handle.nearest(end @ shift(**{axis: 0.002})).pos_error_m, counted, atol=3e-4
        )
    assert handle.nearest(end @ about(1, 4.0)).angle_rad > 0.0


def test_the_goal_leaves_what_counts_to_go(rim: ContactFeature) -> None:
    """Along free directions it stays beside the tcp; across, and beyond the band of a wall, the way is left."""
    tcp = about(2, 20.0) @ rim.poses[4] @ shift(y=0.002) @ about(0, 3.0)
    error = rim.nearest(tcp)
    left = se3.inverse(error.T_object_goal) @ tcp
    assert_allclose(np.linalg.norm(left[:3, 3]), error.pos_error_m, atol=1e-9)
    assert_allclose(se3.rotation_angle(left), error.angle_rad, atol=1e-9)
    wall = ContactFeature("mug_wall", rim.poses, 0.004, ("y", "rx", "rz"), slide_m=(-0.02, 0.02))
    for height, beyond in ((0.01, 0.0), (0.025, 0.005), (-0.03, 0.01)):
        tcp = rim.poses[4] @ shift(y=0.001, z=height) @ about(1, 40.0)
        error = wall.nearest(tcp)
        left = se3.inverse(error.T_object_goal) @ tcp
        assert_allclose(error.pos_error_m, np.hypot(0.001, beyond), atol=1e-6)
        assert_allclose(np.linalg.norm(left[:3, 3]), error.pos_error_m, atol=1e-9)


def test_the_wall_keeps_away_from_rim_floor_and_their_roundings() -> None:
    """All over the band both pads lie on straight wall, 3 mm from its ends; and the palm stays above the rim."""
    for index in range(30):
        mug = draw_mug(object_rng("mug", "val", index))
        wall = make_object("mug", "val", index).feature("mug_wall")
        for end in wall.slide_m:
            height = (wall.poses[0] @ shift(z=end))[2, 3]
            reach = 0.013 * np.cos(mug.taper_rad)
            assert height + reach <= mug.height_m + 1e-4
            assert height - reach >= max(mug.straight_m, mug.floor_m) - 1e-4
            assert mug.height_m - height <= 0.0851


def test_a_contact_beside_is_ideal_where_it_lies(rim: ContactFeature) -> None:
    """2 mm deeper and 10 deg tilted: its poses have no error, the rim's own have just that one."""
    offset = np.array([0.0, 0.0, 0.002, 0.0, np.deg2rad(10.0), 0.0])
    beside = rim.moved(offset)
    rng = np.random.default_rng(0)
    for T in (rim.sample(rng) for _ in range(20)):
        there = beside.nearest(T @ se3.exp(offset))
        assert there.pos_error_m < 1e-6 and there.angle_rad < 1e-4
        here = beside.nearest(T)
        assert_allclose(here.angle_rad, np.deg2rad(10.0), atol=1e-3)
        assert_allclose(here.pos_error_m, 0.002, atol=5e-5)
    assert beside.constrained == rim.constrained


def test_a_free_spin_stays_free_where_its_axis_stays(head: ContactFeature) -> None:
    deeper = head.moved(np.array([0.0, 0.0, 0.003, 0.0, 0.0, 0.0]))
    assert deeper.free_spin == 2
    assert_allclose(deeper.nearest(head.poses[0] @ about(2, 70.0)).pos_error_m, 0.003, atol=1e-9)


def test_of_a_tilted_spin_a_circle_is_left(head: ContactFeature) -> None:
    """20 deg of tilt, any turn about the bottle's axis, fingers either way; the hand's own spin counts from now on."""
    tilt = np.array([0.0, 0.0, 0.002, 0.0, np.deg2rad(20.0), 0.0])
    tilted = head.moved(tilt)
    for turn in (-170.0, -31.0, 4.0, 95.0):
        T = head.poses[0] @ about(2, turn) @ se3.exp(tilt)
        for ideal in (T, T @ about(2, 180.0)):
            error = tilted.nearest(ideal)
            assert error.pos_error_m < 1e-6 and error.angle_rad < 1e-3
        # A spin of the hand about its own, tilted axis is no turn about the bottle's: what is left is its tilt's share.
        assert tilted.nearest(T @ about(2, 10.0)).angle_rad > np.deg2rad(2.0)
    assert tilted.free_spin is None


def test_an_offset_is_a_twist_and_a_spin_along_a_curve_has_to_stay() -> None:
    mug = make_object_with("mug_wall", "train", 0)
    with pytest.raises(ValueError, match="may spin about y all along a curve"):
        mug.feature("mug_wall").moved(0.001 * np.eye(6)[0])
    with pytest.raises(ValueError, match="finite twist"):
        mug.feature("mug_rim").moved(np.zeros(3))
