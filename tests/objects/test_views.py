"""Depth pictures: hand-worked numbers and agreement with the mesh."""

import numpy as np
import open3d as o3d
import pytest
import trimesh
from numpy.testing import assert_allclose

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.objects.catalogue import make_object
from lerobot_neuraltouch.objects.draw import draw_object
from lerobot_neuraltouch.objects.views import make_scene, orbit_camera, render_depth, scene_of
from lerobot_neuraltouch.pointcloud import D435, CameraIntrinsics, deproject

SMALL = CameraIntrinsics(width=33, height=25, fx=30.0, fy=30.0, cx=16.0, cy=12.0)


def test_depth_is_measured_along_the_optical_axis() -> None:
    """A camera 0.5 m above the table sees it at 0.5 m in every pixel, and the top of a 0.1 m box at 0.4 m."""
    box = trimesh.creation.box(bounds=[[-0.05, -0.05, 0.0], [0.05, 0.05, 0.1]])
    T = orbit_camera(np.zeros(3), 0.5, 0.3, np.pi / 2)
    depth = render_depth(make_scene(box), T, SMALL, table=True)
    assert depth.dtype == np.float32
    assert depth.shape == (25, 33)
    assert_allclose(depth[12, 16], 0.4, atol=1e-6)
    assert_allclose(depth[[0, 0, -1, -1], [0, -1, 0, -1]], 0.5, atol=1e-6)
    alone = render_depth(make_scene(box), T, SMALL)
    assert_allclose(alone[12, 16], 0.4, atol=1e-6)
    assert alone[0, 0] == 0.0


def test_the_table_hides_nothing_from_above_and_all_from_below() -> None:
    mug = make_object("mug", "train", 0)
    centre = mug.mesh.bounds.mean(axis=0)
    above = orbit_camera(centre, 0.4, 1.0, 0.6)
    below = orbit_camera(centre, 0.4, 1.0, -0.6)
    free, standing = (render_depth(mug, above, D435, table=table) for table in (False, True))
    assert_allclose(standing[free > 0], free[free > 0])
    assert_allclose(
        deproject(np.where(free > 0, 0, standing), D435) @ above[2, :3] + above[2, 3], 0, atol=1e-6
    )
    hidden = render_depth(mug, below, D435, table=True)
    points = se3.apply(below, deproject(hidden, D435))
    assert points[:, 2].max() < 1e-5


@pytest.mark.parametrize("elevation", [-1.2, 0.0, 0.5, np.pi / 2])
def test_seen_points_lie_on_the_mesh(elevation: float) -> None:
    bottle = make_object("bottle", "train", 0)
    T = orbit_camera(bottle.mesh.bounds.mean(axis=0), 0.45, 2.0, elevation)
    points = se3.apply(T, deproject(render_depth(bottle, T, D435), D435))
    assert len(points) > 1000
    query = o3d.core.Tensor(points.astype(np.float32))
    assert scene_of(bottle).compute_distance(query).numpy().max() < 1e-5


def test_a_scene_is_built_once_per_object() -> None:
    mug = make_object("mug", "train", 0)
    assert scene_of(mug) is scene_of(mug)


def test_pictures_show_the_object_and_its_contact() -> None:
    picture = draw_object(make_object("bottle", "train", 0), size=64)
    assert picture.shape == (64, 64, 3)
    assert 0.0 <= picture.min() <= picture.max() <= 1.0
    assert np.mean(picture < 0.99) > 0.03
    colourful = np.ptp(picture, axis=-1) > 0.3
    assert np.count_nonzero(colourful) > 5
