"""Found poses are drawn to the anchors; points near the pads are counted."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.ndf.anchoring import DESCRIPTOR_M, LEAST_M, anchored, anchors_of
from lerobot_neuraltouch.ndf.encoder import Latent
from lerobot_neuraltouch.ndf.sight import touched_points

MOTION = se3.exp(np.array([0.1, 0.2, -0.3, 0.4, 1.5, -0.6]))


def test_anchors_lie_about_the_centre() -> None:
    """An axis of 1 dm about a centre 0.2 m high: top 0.25 m, base 0.15 m; a handle 0.5 dm out."""
    z = torch.tensor([[[0.0, 0.0, 1.0], [0.5, 0.0, 0.0], [0.4, 0.0, 0.3]]])
    latent = Latent(z, torch.tensor([[0.0, 0.0, 0.2]]))
    expected = [[0.0, 0.0, 0.25], [0.0, 0.0, 0.15], [0.05, 0.0, 0.2], [0.04, 0.0, 0.23]]
    assert_allclose(anchors_of(latent, 4)[0], expected, atol=1e-6)
    assert_allclose(anchors_of(latent, 3)[0], expected[:3], atol=1e-6)


def test_a_sure_anchor_at_the_grasp_takes_the_pose_along() -> None:
    """Weighted by the variances of descriptors and anchor; the rotation stays."""
    here, there = np.zeros((1, 3)), np.array([[0.0, 0.0, 0.005]])
    found = anchored(MOTION, se3.apply(MOTION, there), np.zeros(1), here)
    share = LEAST_M**-2 / (LEAST_M**-2 + DESCRIPTOR_M**-2)
    assert_allclose(se3.inverse(MOTION) @ found, se3.transform(None, share * there[0]), atol=1e-12)


def test_a_doubtful_anchor_moves_less_and_a_far_one_nothing() -> None:
    anchor = se3.apply(MOTION, np.array([[0.005, 0.0, 0.0]]))
    moved = [
        np.linalg.norm(anchored(MOTION, anchor, np.array([doubt]), shown)[:3, 3] - MOTION[:3, 3])
        for doubt, shown in (
            (0.001, np.zeros((1, 3))),
            (0.05, np.zeros((1, 3))),
            (0.001, np.array([[0.0, 0.06, 0.0]])),
        )
    ]
    assert moved[0] > 0.004 and 0.0 < moved[1] < 0.0005 and moved[2] == 0.0


def test_found_poses_move_with_the_anchors() -> None:
    """Moving pose and anchors by T moves the result by T."""
    rng = np.random.default_rng(0)
    anchors, shown = rng.normal(0.0, 0.02, (2, 4, 3))
    pose, doubt = se3.exp(rng.standard_normal(6)), np.full(4, 0.003)
    still = anchored(pose, anchors, doubt, shown)
    moved = anchored(MOTION @ pose, se3.apply(MOTION, anchors), doubt, shown)
    assert_allclose(moved, MOTION @ still, atol=1e-12)


@pytest.mark.parametrize("opening, count", [(0.06, 5), (0.12, 0), (None, 5)])
def test_points_at_the_pads_are_counted(opening: float | None, count: int) -> None:
    """Five points 10 mm beside the tcp: pads on a part 20 mm thick touch there, pads on one of 80 mm do not."""
    points = torch.tensor([[0.0, 0.01, 0.0]]).repeat(5, 1)
    assert touched_points(points, torch.eye(4), opening) == count
