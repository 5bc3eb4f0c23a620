"""The stochastic actor: its density is that of the squashed Gaussian it draws from."""

import torch
from torch.distributions import Normal, TanhTransform, TransformedDistribution

from lerobot_neuraltouch.rl.estimate import Estimate
from lerobot_neuraltouch.rl.gaussian import GaussianHead
from lerobot_neuraltouch.rl.refiner import RefinerOutput

BATCH, HIDDEN = 5, 8


def output(mean: float, batch: int = BATCH) -> RefinerOutput:
    means = torch.full((batch, 7), mean)
    nothing = Estimate(torch.zeros(batch, 6), torch.zeros(batch, 6))
    return RefinerOutput(torch.tanh(means), means, torch.randn(batch, HIDDEN), nothing)


def test_the_density_is_that_of_a_normal_distribution_squashed() -> None:
    torch.manual_seed(0)
    head = GaussianHead(HIDDEN, initial_std=0.3)
    torch.nn.init.normal_(head.log_std.weight, std=0.1)
    for mean in (0.0, 0.8, -1.5):
        given = output(mean)
        action, log_density = head(given)
        std = head.log_std(given.hidden).exp()
        known = TransformedDistribution(Normal(given.mean, std), [TanhTransform()])
        torch.testing.assert_close(
            log_density, known.log_prob(action).sum(-1), rtol=1e-3, atol=1e-3
        )


def test_far_out_the_density_stays_finite() -> None:
    head = GaussianHead(HIDDEN)
    action, log_density = head(output(30.0))
    assert torch.isfinite(log_density).all() and (action.abs() <= 1).all()


def test_draws_spread_as_asked_and_carry_gradients() -> None:
    torch.manual_seed(0)
    head = GaussianHead(HIDDEN, initial_std=0.02)
    action, _ = head(output(0.0, batch=4000))
    assert abs(float(action.detach().std()) - 0.02) < 0.001
    action.pow(2).sum().backward()
    assert head.log_std.bias.grad is not None and bool((head.log_std.bias.grad > 0).all())
