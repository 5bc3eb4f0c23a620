"""The search's derivatives are exact, its steps go down, and it finds poses that are known."""

import itertools

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.ndf import lm
from lerobot_neuraltouch.ndf.descriptor import move, query_points
from lerobot_neuraltouch.ndf.jacobian import descriptors_and_jacobians
from lerobot_neuraltouch.ndf.network import DescriptorField
from lerobot_neuraltouch.ndf.pose_search import (
    PoseSearchConfig,
    make_demonstration,
    search_pose,
)
from lerobot_neuraltouch.ndf.starts import align_latents

QUERIES = query_points(16)
GRASP = se3.transform(None, (0.03, 0.0, 0.05))
MOTION = se3.exp(np.array([0.1, 0.2, -0.3, 0.4, 1.5, -0.6]))


def test_jacobians_equal_autograd(field: DescriptorField, cloud: torch.Tensor) -> None:
    baked = field.decoder.bake(field.encode(cloud[None]))
    points = cloud[:5] + 0.01
    value, jacobian = descriptors_and_jacobians(field, baked, points)

    def describe(p: torch.Tensor) -> torch.Tensor:
        return field.decoder.hidden(baked, p[None])[0] @ field.metric

    expected = torch.autograd.functional.jacobian(describe, points)  # (5, D, 5, 3)
    expected = torch.stack([expected[i, :, i] for i in range(5)]).permute(2, 0, 1)  # type: ignore[index]
    torch.testing.assert_close(value, describe(points))
    torch.testing.assert_close(
        jacobian, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max())
    )


@pytest.mark.parametrize("robust", [0.0, 1.0])
def test_gradient_equals_autograd(
    field: DescriptorField, cloud: torch.Tensor, robust: float
) -> None:
    torch.manual_seed(1)
    baked = field.decoder.bake(field.encode(cloud[None]))
    T = lm.exp(0.3 * torch.randn(3, 6))
    targets = torch.randn(3, 16, field.config.descriptor)
    config = PoseSearchConfig(robust=robust)
    energy, gradient, _ = lm.normal_equations(field, baked, T, targets, QUERIES, config)

    def energy_at(twist: torch.Tensor) -> torch.Tensor:
        generator = torch.cat([lm.skew(twist[:, 3:]), twist[:, :3, None]], dim=-1)
        generator = torch.cat([generator, torch.zeros(3, 1, 4)], dim=1)
        points = move(T @ torch.linalg.matrix_exp(generator), QUERIES)
        hidden = field.decoder.hidden(baked, points.reshape(1, -1, 3)) @ field.metric
        squared = (hidden.reshape(targets.shape) - targets).square().mean(-1)
        if robust:
            squared = 2.0 * robust**2 * ((1.0 + squared / robust**2).sqrt() - 1.0)
        return squared.mean(-1)

    twist = torch.zeros(3, 6, requires_grad=True)
    expected_energy = energy_at(twist)
    (expected,) = torch.autograd.grad(expected_energy.sum(), twist)
    torch.testing.assert_close(energy, expected_energy.detach())
    torch.testing.assert_close(
        gradient, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max())
    )


def test_steps_never_raise_the_energy(field: DescriptorField, cloud: torch.Tensor) -> None:
    torch.manual_seed(2)
    demo = make_demonstration(field, cloud, GRASP, QUERIES)
    baked = field.decoder.bake(field.encode(cloud[None]))
    T = torch.from_numpy(GRASP).float() @ lm.exp(0.2 * torch.randn(8, 6))
    targets = demo.descriptors.expand(8, -1, -1)
    starts = lm.Starts(T, targets, torch.zeros(8, dtype=torch.long), torch.full((8,), float("inf")))
    config = PoseSearchConfig(tolerance_m=0.0, tolerance_rad=0.0)
    energies = []
    for _ in range(6):
        lm.optimise(field, baked, starts, QUERIES, 1, config)
        energies.append(starts.energy.clone())
    for before, after in itertools.pairwise(energies):
        assert bool((after <= before + 1e-7).all())
    assert float(energies[-1].mean()) < 0.5 * float(energies[0].mean())


def test_found_pose_moves_with_the_object(field: DescriptorField, cloud: torch.Tensor) -> None:
    """Descriptors are SE(3)-invariant, so the grasp of a moved cloud is the moved grasp."""
    demo = make_demonstration(field, cloud, GRASP, QUERIES)
    moved = se3.apply(MOTION, cloud.numpy())
    result = search_pose(field, moved, [demo], PoseSearchConfig(settle=False))
    assert_allclose(result.T, MOTION @ GRASP, atol=5e-4)  # [m]; the search stops at 0.1 mm
    assert_allclose(np.linalg.det(result.T[:3, :3]), 1.0, atol=1e-9)
    assert result.energy < 1e-4


def test_search_repeats_under_one_seed(field: DescriptorField, cloud: torch.Tensor) -> None:
    demo = make_demonstration(field, cloud, GRASP, QUERIES)
    found = [
        search_pose(field, cloud * 1.1, [demo, demo], generator=torch.Generator().manual_seed(3))
        for _ in range(2)
    ]
    assert_allclose(found[0].T, found[1].T, atol=0.0)
    assert 0.0 <= found[0].confidence <= 1.0


def test_latents_of_a_moved_cloud_give_the_motion(
    field: DescriptorField, cloud: torch.Tensor
) -> None:
    here = field.encode(cloud[None])
    there = field.encode(torch.from_numpy(se3.apply(MOTION, cloud.numpy())).float()[None])
    T = align_latents(here.z[0], here.centre[0], there.z[0], there.centre[0])
    assert_allclose(T.numpy(), MOTION, atol=1e-3)


@pytest.mark.parametrize(
    "bad, message",
    [
        (np.zeros((0, 3)), "at least"),
        (np.zeros((100, 2)), "shape"),
        (np.full((100, 3), np.nan), "NaN"),
    ],
)
def test_malformed_clouds_are_refused(
    field: DescriptorField, cloud: torch.Tensor, bad: np.ndarray, message: str
) -> None:
    demo = make_demonstration(field, cloud, GRASP, QUERIES)
    with pytest.raises(ValueError, match=message):
        search_pose(field, bad, [demo])
    with pytest.raises(ValueError, match=message):
        make_demonstration(field, bad, GRASP, QUERIES)


def test_a_search_needs_a_demonstration(field: DescriptorField, cloud: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="demonstration"):
        search_pose(field, cloud, [])


def test_query_points_are_fixed_and_spread() -> None:
    points = query_points(64, 0.03)
    assert torch.equal(points, query_points(64, 0.03))
    assert float(points.abs().max()) <= 0.0601
    assert float(torch.linalg.matrix_rank(points - points.mean(0))) == 3
    with pytest.raises(ValueError, match="at least 3"):
        query_points(2)
