"""The filter on the target's pose: hand-worked gains, and what is remembered while the hand moves."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.rl.belief import BeliefConfig, TargetBelief

REACH = np.repeat([0.005, np.deg2rad(2.5)], 3)
START = se3.from_rotvec_pose(np.array([0.4, 0.1, 0.1, np.pi, 0.0, 0.0]))
SURE = np.repeat([0.0002, np.deg2rad(0.2)], 3)


def plain(**changes: float) -> TargetBelief:
    """Independent estimates, no drift, nothing surprises, sigma as told."""
    settings = {
        "correlation_steps": 1.0, "drift_m": 1e-12, "drift_rad": 1e-12, "sigma_per_error": 1.0,
        "least_sigma_m": 1e-9, "least_sigma_rad": 1e-9, "surprise": 1e12, "prior_m": 1e3, "prior_rad": 1e3,
        "least_news": 1.0,
    }  # fmt: skip
    return TargetBelief(BeliefConfig(**(settings | changes)), REACH)


def along_x(metres: float) -> np.ndarray:
    return np.array([metres, 0.0, 0.0, 0.0, 0.0, 0.0])


def test_two_estimates_are_weighted_by_their_inverse_variances() -> None:
    """1 mm +- 0.2 and 2 mm +- 0.4 weigh 25 to 6.25: 1.2 mm, with variance 1 / 31.25 mm2."""
    belief = plain()
    belief.update(START, along_x(0.001), SURE)
    fused = belief.update(START, along_x(0.002), 2 * SURE)
    assert_allclose(fused, along_x(0.0012), atol=1e-9)
    assert belief.sigma[0] == pytest.approx(1e-3 * np.sqrt(0.032))


def test_neighbouring_estimates_count_for_less() -> None:
    """With a correlation of 4 steps, four estimates of 0.2 mm leave 0.2 mm."""
    belief = plain(correlation_steps=4.0)
    for _ in range(4):
        belief.update(START, along_x(0.001), SURE)
    assert belief.sigma[0] == pytest.approx(0.0002)


def test_a_hand_that_stands_still_feels_little_that_is_new() -> None:
    """Four estimates of one place count like the first and three tenths of one; 0.5 mm or 2.9 deg further on each is one of its own."""
    still, moving, turning = (plain(least_news=0.1) for _ in range(3))
    for step in range(4):
        still.update(START, along_x(0.001), SURE)
        moving.update(START @ se3.exp(along_x(0.0005 * step)), along_x(0.001 - 0.0005 * step), SURE)
        turn = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.05 * step])
        turning.update(START @ se3.exp(turn), along_x(0.0), SURE)
    assert still.sigma[0] == pytest.approx(0.0002 / np.sqrt(1.3))
    assert moving.sigma[0] == pytest.approx(0.0002 / np.sqrt(4.0), rel=1e-3)
    assert turning.sigma[0] == pytest.approx(0.0002 / np.sqrt(4.0), rel=0.05)


def test_what_was_felt_elsewhere_is_remembered_while_the_hand_moves() -> None:
    """Seen once, then 6 mm and 3 deg away where nothing can be told: the target is still where it was."""
    belief, T_base_target = plain(), START @ se3.exp(along_x(0.003))
    belief.update(START, along_x(0.003), SURE)
    away = START @ se3.exp(np.array([-0.003, 0.0, 0.001, 0.0, 0.05, 0.0]))
    vague = np.array([0.05, 0.05, 0.05, 1.0, 1.0, 1.0])
    fused = belief.update(away, np.zeros(6), vague)
    assert_allclose(away @ se3.exp(fused), T_base_target, atol=3e-6)


def test_a_limit_says_at_least_so_far() -> None:
    """The refiner cannot say more than 5 mm: that does not draw a belief of 8 mm nearer, but does one of 2 mm."""
    far = plain()
    far.update(START, along_x(0.004), SURE)
    back = START @ se3.exp(along_x(-0.004))
    assert far.update(back, along_x(0.005), SURE)[0] == pytest.approx(0.008, abs=1e-6)
    near = plain()
    near.update(START, along_x(0.002), SURE)
    assert near.update(START, along_x(0.005), SURE)[0] == pytest.approx(0.0035, abs=1e-6)


def test_old_estimates_fade() -> None:
    """After n vague steps the variance has grown by n drifts."""
    belief = plain(drift_m=0.0001)
    belief.update(START, along_x(0.0), SURE)
    for _ in range(12):
        belief.update(START, along_x(0.0), np.full(6, 10.0))
    assert belief.sigma[0] == pytest.approx(np.sqrt(0.0002**2 + 12 * 0.0001**2), rel=1e-3)


def test_a_surprise_moves_the_belief_less() -> None:
    """Ten standard deviations off, an estimate counts like one whose variance is as many times larger as it is too far off."""
    credulous, sceptical = plain(), plain(surprise=9.0)
    for belief in (credulous, sceptical):
        belief.update(START, along_x(0.0), SURE)
    off = 10 * np.sqrt(2) * SURE[0]
    assert credulous.update(START, along_x(off), SURE)[0] == pytest.approx(off / 2)
    assert sceptical.update(START, along_x(off), SURE)[0] == pytest.approx(
        off / (2 + 91 / 9), rel=0.1
    )


def test_an_estimate_as_vague_as_the_prior_tells_nothing() -> None:
    """A refiner that feels nothing says zero with the prior's error, again and again: no reason to stay where the hand is."""
    belief = plain(prior_m=0.004)
    belief.update(START, along_x(0.002), SURE)
    for _ in range(50):
        fused = belief.update(START, along_x(0.0), np.repeat([0.004, np.deg2rad(0.2)], 3))
    assert fused[0] == pytest.approx(0.002, rel=0.02)


def test_doubt_lets_the_next_estimate_count() -> None:
    belief = plain()
    for _ in range(50):
        belief.update(START, along_x(0.0), SURE)
    belief.doubt(0, 0.01)
    assert belief.update(START, along_x(0.002), SURE)[0] == pytest.approx(0.002, rel=1e-2)


def test_settings_that_mean_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="drift_m must be positive, got 0"):
        BeliefConfig(drift_m=0.0)
    with pytest.raises(ValueError, match="least_news is a share, at most 1, got 2"):
        BeliefConfig(least_news=2.0)
