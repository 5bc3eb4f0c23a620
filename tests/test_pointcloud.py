"""Depth to clouds: hand-worked points, the object is found, faults are refused."""

import numpy as np
import open3d as o3d
import pytest
from numpy.testing import assert_allclose
from scipy.spatial import cKDTree

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.features import NUM_CLOUD_POINTS
from lerobot_neuraltouch.objects.catalogue import make_object
from lerobot_neuraltouch.objects.views import orbit_camera, render_depth, scene_of
from lerobot_neuraltouch.pointcloud import (
    D435,
    CameraIntrinsics,
    DepthNoise,
    deproject,
    object_cloud,
    perturb_depth,
    segment,
    subsample,
)

TINY = CameraIntrinsics(width=4, height=3, fx=2.0, fy=2.0, cx=1.0, cy=1.0)
DOWN = se3.look_at(np.array([0.0, 0.0, 0.4]), np.zeros(3), (0.0, 1.0, 0.0))


def view(category: str, index: int, azimuth: float) -> tuple[np.ndarray, np.ndarray]:
    """Depth with nominal faults of an object on its table, and T_object_camera."""
    model = make_object(category, "train", index)
    T = orbit_camera(model.mesh.bounds.mean(axis=0), 0.4, azimuth, np.deg2rad(45))
    depth = render_depth(model, T, D435, table=True)
    return perturb_depth(depth, DepthNoise(), np.random.default_rng(index)), T


def test_pixels_become_points() -> None:
    """x = (u - cx) / fx z, y = (v - cy) / fy z; pixels of 0, NaN and infinity are left out."""
    depth = np.zeros((3, 4))
    depth[1, 1], depth[2, 3], depth[0, 0], depth[0, 1] = 0.5, 2.0, np.nan, np.inf
    assert_allclose(deproject(depth, TINY), [[0.0, 0.0, 0.5], [2.0, 1.0, 2.0]])


def test_scaled_cameras_see_the_same() -> None:
    """The outer borders of the picture stay where they are."""
    half = D435.scaled(0.5)
    assert (half.width, half.height) == (160, 120)
    assert_allclose((-0.5 - half.cx) / half.fx, (-0.5 - D435.cx) / D435.fx)
    assert_allclose((half.height - 0.5 - half.cy) / half.fy, (239.5 - D435.cy) / D435.fy)


@pytest.mark.parametrize(
    ("category", "index"), [("mug", 0), ("mug", 3), ("bottle", 0), ("bottle", 1)]
)
def test_the_object_is_cut_out(category: str, index: int) -> None:
    """All points within 6 mm (nominal faults) of the object, and 95 % of what is seen has a point within 10 mm."""
    depth, T = view(category, index, azimuth=0.7 * index)
    cloud = object_cloud(depth, D435, T, np.random.default_rng(0))
    assert cloud.shape == (NUM_CLOUD_POINTS, 3)
    assert cloud.dtype == np.float32
    model = make_object(category, "train", index)
    distance = scene_of(model).compute_distance(o3d.core.Tensor(cloud)).numpy()
    assert distance.max() < 0.006
    seen = se3.apply(T, deproject(render_depth(model, T, D435), D435))
    gaps = cKDTree(cloud).query(seen[seen[:, 2] > 0.012])[0]
    assert np.mean(gaps < 0.01) > 0.95


def test_a_wrong_camera_pose_leaves_no_slice_of_table() -> None:
    """10 mm and 2 degrees of calibration error lift parts of the table above its nominal height."""
    depth, T = view("mug", 0, azimuth=2.0)
    for sign in (-1.0, 1.0):
        T_error = se3.exp(sign * np.array([0.0, 0.0, 0.01, 0.03, -0.02, 0.0]))
        cloud = object_cloud(depth, D435, T_error @ T, np.random.default_rng(0))
        back = se3.apply(se3.inverse(T_error), cloud).astype(np.float32)
        scene = scene_of(make_object("mug", "train", 0))
        assert scene.compute_distance(o3d.core.Tensor(back)).numpy().max() < 0.006


def test_an_object_far_from_the_origin_is_found_on_its_table() -> None:
    depth, T = view("bottle", 0, azimuth=0.0)
    T_base_object = se3.exp(np.array([0.4, -0.3, 0.75, 0.0, 0.0, 2.0]))
    cloud = object_cloud(depth, D435, T_base_object @ T, np.random.default_rng(0), 0.75)
    back = se3.apply(se3.inverse(T_base_object), cloud).astype(np.float32)
    scene = scene_of(make_object("bottle", "train", 0))
    assert scene.compute_distance(o3d.core.Tensor(back)).numpy().max() < 0.006


def test_the_biggest_thing_is_the_object() -> None:
    rng = np.random.default_rng(0)
    big = rng.uniform(-0.03, 0.03, (3000, 3)) + [0.0, 0.0, 0.06]
    small = rng.uniform(-0.01, 0.01, (300, 3)) + [0.2, 0.0, 0.03]
    found = segment(np.concatenate([small, big]))
    assert len(found) > 2800
    assert found[:, 0].max() < 0.04


def test_subsampling_repeats_points_only_if_it_must() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(50, 3))
    assert len(np.unique(subsample(points, 40, rng), axis=0)) == 40
    more = subsample(points, 70, rng)
    assert more.shape == (70, 3)
    assert len(np.unique(more, axis=0)) == 50


def test_the_same_seed_draws_the_same_cloud() -> None:
    depth, T = view("mug", 1, azimuth=0.3)
    first, second = (object_cloud(depth, D435, T, np.random.default_rng(5)) for _ in range(2))
    assert_allclose(first, second, atol=0)


def test_noise_grows_with_distance_and_spares_invalid_pixels() -> None:
    """Sigma is 1 mm at 0.4 m and 4 mm at 0.8 m; a perfect camera changes nothing."""
    rng = np.random.default_rng(0)
    smooth = DepthNoise(outliers=0.0)
    for distance, sigma in ((0.4, 0.001), (0.8, 0.004)):
        depth = np.full((200, 200), distance, dtype=np.float32)
        noisy = perturb_depth(depth, smooth, rng)
        assert noisy.dtype == np.float32
        assert_allclose(noisy.std(), sigma, rtol=0.03)
        assert_allclose(noisy.mean(), distance, atol=5 * sigma / 200)
        assert_allclose(perturb_depth(depth, DepthNoise.off(), rng), depth)
    depth[:, :100] = 0.0
    assert np.all(perturb_depth(depth, DepthNoise(), rng)[:, :100] == 0.0)


def test_edges_and_outliers_come_in_the_shares_asked_for() -> None:
    rng = np.random.default_rng(0)
    depth = np.full((400, 400), 0.4, dtype=np.float32)
    depth[:, 200:] = 0.5
    noisy = perturb_depth(depth, DepthNoise(outliers=0.0, sigma_m=0.0), rng)
    at_edge = noisy[:, 199:201]
    assert np.all(noisy[:, :199] == 0.4)
    assert_allclose(np.mean(at_edge == 0.0), 0.3, atol=0.08)
    flying = (at_edge > 0.401) & (at_edge < 0.499)
    assert_allclose(np.mean(flying), 0.1 * 0.7, atol=0.04)
    wrong = perturb_depth(np.full((400, 400), 0.4), DepthNoise(sigma_m=0.0), rng)
    assert_allclose(np.mean(np.abs(wrong - 0.4) > 1e-6), 0.02, atol=0.003)


def test_what_is_no_view_of_an_object_is_refused() -> None:
    rng = np.random.default_rng(0)
    empty = np.zeros((D435.height, D435.width))
    with pytest.raises(ValueError, match=r"\(height, width\) = \(240, 320\)"):
        object_cloud(empty.T, D435, DOWN, rng)
    with pytest.raises(ValueError, match="no valid pixel"):
        object_cloud(empty, D435, DOWN, rng)
    with pytest.raises(ValueError, match="no valid pixel"):
        object_cloud(np.full_like(empty, np.nan), D435, DOWN, rng)
    with pytest.raises(ValueError, match="No object stands on the table"):
        object_cloud(np.full_like(empty, 0.4), D435, DOWN, rng)
    noisy = perturb_depth(np.full_like(empty, 0.4), DepthNoise(), rng)
    with pytest.raises(ValueError, match="No object stands on the table"):
        object_cloud(noisy, D435, DOWN, rng)
    with pytest.raises(ValueError, match="NaN"):
        segment(np.full((5, 3), np.nan))
    with pytest.raises(ValueError, match=r"num_points > 0; got \(0, 3\)"):
        segment(np.empty((0, 3)))
    with pytest.raises(ValueError, match="empty"):
        subsample(np.empty((0, 3)), 4, rng)


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="edge_dropout"):
        DepthNoise(edge_dropout=1.5)
    with pytest.raises(ValueError, match="sigma_m"):
        DepthNoise(sigma_m=-1.0)
    with pytest.raises(ValueError, match="must be positive"):
        CameraIntrinsics(width=0, height=3, fx=1.0, fy=1.0, cx=0.0, cy=0.0)
