"""The estimate of the way to the target: its compression, its expected error, and labels that say "at least"."""

import numpy as np
import pytest
import torch

from lerobot_neuraltouch.rl.estimate import REACH, UNIT, Estimate, compress, estimate_loss


def way(x_m: float, ry_deg: float = 0.0) -> torch.Tensor:
    return torch.tensor([[x_m, 0.0, 0.0, 0.0, np.deg2rad(ry_deg), 0.0]], dtype=torch.float64)


@pytest.mark.parametrize("x_m", [-0.021, -0.0003, 0.0, 0.0047, 0.0249])
def test_what_is_compressed_comes_back(x_m: float) -> None:
    known = way(x_m, ry_deg=-7.0)
    estimate = Estimate(compress(known), torch.zeros(1, 6))
    torch.testing.assert_close(estimate.way(), known)


def test_near_by_it_is_proportional_and_far_off_logarithmic() -> None:
    """0.1 mm in units of 5 mm is 0.02; from 20 to 25 mm it is asinh(5) - asinh(4) = 0.2177, instead of 1."""
    assert float(compress(way(0.0001))[0, 0]) == pytest.approx(0.02, rel=1e-3)
    far = compress(way(0.025)) - compress(way(0.020))
    assert float(far[0, 0]) == pytest.approx(0.2177, abs=1e-4)


def test_ways_beyond_the_reach_are_the_reach() -> None:
    farthest = Estimate(compress(way(0.3)), torch.zeros(1, 6)).way()
    assert float(farthest[0, 0]) == pytest.approx(REACH[0])


def test_the_expected_error_grows_with_the_way_as_the_compression_does() -> None:
    """An error of 0.1 in the compressed scale is 0.5 mm at the target, and 5 mm * cosh(asinh(3)) * 0.1 = 1.58 mm at 15 mm."""
    log_error = torch.full((1, 6), float(np.log(0.1)), dtype=torch.float64)
    near, far = (Estimate(compress(way(x)), log_error).error()[0] for x in (0.0, 0.015))
    np.testing.assert_allclose(near, 0.1 * UNIT)
    assert float(far[0]) == pytest.approx(0.1 * 0.005 * np.sqrt(10.0))


def test_going_further_than_a_least_way_is_no_error() -> None:
    label = torch.tensor([[1.0, -1.0, 0.5, 0.0, 0.0, 0.0]])
    at_least = torch.tensor([[True, True, True, False, False, False]])
    longer = Estimate(torch.tensor([[1.7, -1.2, 0.6, 0.0, 0.0, 0.0]]), torch.zeros(1, 6))
    shorter = Estimate(torch.tensor([[0.7, 1.2, 0.4, 0.0, 0.0, 0.0]]), torch.zeros(1, 6))
    assert estimate_loss(longer, label, 0.2, at_least=at_least)[1].abs().max() == 0.0
    torch.testing.assert_close(
        estimate_loss(shorter, label, 0.2, at_least=at_least)[1][0, :3],
        torch.tensor([0.3, 2.2, 0.1]),
    )
    assert (
        estimate_loss(longer, label, 0.2)[0]
        > estimate_loss(longer, label, 0.2, at_least=at_least)[0]
    )


def test_the_best_expected_error_is_the_mean_absolute_one() -> None:
    """Two thirds of the residuals are 0.1, one third 0.4: a mean of 0.2."""
    label = torch.zeros(3, 6)
    told = torch.tensor([0.1, 0.1, 0.4])[:, None].expand(3, 6)

    def loss(error: float) -> float:
        log_error = torch.full((3, 6), float(np.log(error)))
        return float(estimate_loss(Estimate(told, log_error), label, 0.2)[0].mean())

    assert loss(0.2) < min(loss(0.18), loss(0.22))


def test_the_expected_error_does_not_bend_the_estimate() -> None:
    compressed = torch.zeros(1, 6, requires_grad=True)
    log_error = torch.zeros(1, 6, requires_grad=True)
    label = torch.full((1, 6), 0.1)
    loud, quiet = (
        torch.autograd.grad(
            estimate_loss(Estimate(compressed, log_error + shift), label, 0.2)[0].sum(), compressed
        )[0]
        for shift in (-2.0, 1.0)
    )
    torch.testing.assert_close(loud, quiet)
