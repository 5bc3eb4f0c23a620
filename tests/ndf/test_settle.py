"""Laying a shown surface onto a seen one brings a displaced pose back; what stands in a gripper's way is counted."""

from typing import Any, cast

import numpy as np
import pytest
import torch
import trimesh

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.ndf.approach import GripperShape, gripper_points, obstruction
from lerobot_neuraltouch.ndf.encoder import Latent
from lerobot_neuraltouch.ndf.network import DescriptorField
from lerobot_neuraltouch.ndf.settle import estimate_normals, make_patch, settle
from lerobot_neuraltouch.objects.catalogue import make_object_with

WEAK = np.diag([1.0] * 3 + [1e-3] * 3)
"""A prior that leaves nearly everything to the surface."""


def seen_and_shown(
    feature: str, seed: int
) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
    """Two clouds of one object with 0.3 mm of noise, their outward normals, and its ideal contact."""
    rng = np.random.default_rng(seed)
    model = make_object_with(feature, "val", seed)
    clouds, normals = [], []
    for number in range(2):
        points, faces = trimesh.sample.sample_surface(model.mesh, 4000, seed=seed + number)[:2]
        clouds.append(np.asarray(points) + 0.0003 * rng.standard_normal((4000, 3)))
        normals.append(model.mesh.face_normals[faces])
    return clouds, normals, model.feature(feature).curve(5)[2 if feature != "bottle_head" else 0]


@pytest.mark.parametrize("feature", ["mug_wall", "mug_rim", "bottle_head"])
def test_a_displaced_pose_comes_back(feature: str) -> None:
    """2 mm and 6 degrees off on the very object that was shown: most of what the contact constrains is made good."""
    clouds, normals, T = seen_and_shown(feature, 1)
    contact = make_object_with(feature, "val", 1).feature(feature)
    away = T @ se3.exp(np.array([0.0, 0.002, 0.0, np.deg2rad(4.0), 0.0, np.deg2rad(-4.0)]))
    before = contact.nearest(away)
    patch = make_patch(clouds[0], normals[0], T)
    after = contact.nearest(settle(away, clouds[1], normals[1], patch, WEAK))
    assert after.angle_rad < 0.5 * before.angle_rad
    assert after.pos_error_m < 0.5 * before.pos_error_m


def test_little_in_sight_moves_nothing() -> None:
    clouds, normals, T = seen_and_shown("mug_wall", 1)
    behind = np.linalg.norm(clouds[1] - T[:3, 3], axis=1) > 0.04
    away = T @ se3.exp(np.full(6, 0.01))
    patch = make_patch(clouds[0], normals[0], T)
    settled = settle(away, clouds[1][behind], normals[1][behind], patch, WEAK)
    np.testing.assert_array_equal(settled, away)


def test_a_sure_prior_holds_the_pose() -> None:
    clouds, normals, T = seen_and_shown("mug_wall", 1)
    away = T @ se3.exp(np.array([0.0, 0.002, 0.0, 0.05, 0.0, 0.0]))
    patch = make_patch(clouds[0], normals[0], T)
    held = settle(away, clouds[1], normals[1], patch, 1e9 * np.eye(6))
    np.testing.assert_allclose(held, away, atol=1e-5)


def test_normals_of_a_plane_are_its_normal() -> None:
    points = np.random.default_rng(0).uniform(-0.05, 0.05, (200, 3)) * [1.0, 1.0, 0.0]
    np.testing.assert_allclose(np.abs(estimate_normals(points)[:, 2]), 1.0, atol=1e-9)


class Empty:
    """A field that knows of no surface."""

    def sdf(self, latent: Latent, points: torch.Tensor) -> torch.Tensor:
        return torch.ones(points.shape[:2])


def test_what_lies_in_the_fingers_way_is_counted() -> None:
    """One hundred points, ten of them where the right finger passes, then none; a table reaches up to the tcp."""
    field = cast(DescriptorField, Empty())
    latent = cast(Any, None)
    shape = GripperShape()
    poses = torch.eye(4)[None]
    away = torch.full((90, 3), 0.3)
    finger = torch.tensor([[0.0, 0.02 + 0.5 * shape.thickness_m, -0.04]]).expand(10, 3)
    between = torch.tensor([[0.0, 0.01, -0.04]]).expand(10, 3)
    blocked = obstruction(field, latent, torch.cat([away, finger]), poses, 0.04)
    assert float(blocked) == pytest.approx(10.0)
    assert float(obstruction(field, latent, torch.cat([away, between]), poses, 0.04)) == 0.0
    assert float(obstruction(field, latent, away, poses, 0.04, table_height_m=0.0)) == 1.0


def test_the_grippers_points_span_its_boxes() -> None:
    shape = GripperShape()
    points = gripper_points(0.04, shape)
    fingers = points[points[:, 2] > -shape.palm_m]
    assert float(fingers[:, 1].abs().min()) > 0.02
    assert float(points[:, 2].max()) == pytest.approx(shape.tip_m)
    assert float(points[:, 2].min()) == pytest.approx(-shape.palm_m)
