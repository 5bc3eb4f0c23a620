"""What the tables count, and what they refuse."""

from pathlib import Path
from typing import Any

import pytest

from lerobot_policy_neuraltouch.bench.methods import METHODS
from lerobot_policy_neuraltouch.bench.outcomes import Outcome, success_summary, summary
from lerobot_policy_neuraltouch.bench.picture import draw_table1
from lerobot_policy_neuraltouch.bench.sample_efficiency import features_of, read_curve
from lerobot_policy_neuraltouch.bench.table1 import Table1Config
from lerobot_policy_neuraltouch.bench.table2 import Table2Config


def outcome(error_mm: float, *, success: bool) -> Outcome:
    return Outcome(
        pos_error_m=1e-3 * error_mm,
        cos_error=0.001,
        success=success,
        steps=60,
        max_force_n=2.0,
        coarse_pos_error_m=0.012,
        angle_rad=0.0447,
        expected_pos_error_m=0.0002,
        expected_angle_rad=0.01,
    )


def test_a_row_of_table1_counts_every_episode() -> None:
    row = summary(
        [outcome(0.2, success=True), outcome(0.4, success=True), outcome(3.0, success=False)]
    )
    assert row["pos_mm_mean"] == pytest.approx(1.2) and row["pos_mm_median"] == pytest.approx(0.4)
    assert row["success"] == pytest.approx(2 / 3) and row["episodes"] == 3
    assert row["expected_pos_mm_mean"] == pytest.approx(0.2)


def test_a_row_of_table2_has_wilsons_interval() -> None:
    """57 of 60, by hand: (p + z^2/2n -+ z sqrt(p q / n + z^2 / 4n^2)) / (1 + z^2 / n) = 0.863 .. 0.983."""
    row = success_summary([outcome(1.0, success=number >= 3) for number in range(60)])
    assert row["success"] == pytest.approx(0.95)
    assert (row["ci95_low"], row["ci95_high"]) == pytest.approx((0.863, 0.983), abs=0.001)


@pytest.mark.parametrize(
    ("make", "settings", "message"),
    [
        (Table1Config, {"method": "magic"}, "Unknown method 'magic'. Available: ndf, rl_touch"),
        (Table1Config, {"method": "rl_touch"}, "needs --rl-touch-policy"),
        (
            Table2Config,
            {"task": "RefineMugRim"},
            "Unknown task 'RefineMugRim'. Available: PickPlace",
        ),
        (Table2Config, {"method": "rl_touch"}, "needs --rl-touch-policy"),
        (Table2Config, {"num_episodes": 0}, "must be at least 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(make: Any, settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**settings)


def test_a_learning_curve_is_read_from_beside_the_weights(tmp_path) -> None:
    (tmp_path / "learning_curve.csv").write_text(
        "env_steps,wall_s,mug_rim_pos_mm_mean\n1000,60.5,0.4\n2000,121,0.2\n"
    )
    rows = read_curve(tmp_path)
    assert [row["mug_rim_pos_mm_mean"] for row in rows] == [0.4, 0.2]
    assert features_of(rows[0]) == ["mug_rim"]
    with pytest.raises(ValueError, match="was not made by `neuraltouch train-refiner`"):
        read_curve(tmp_path / "elsewhere")


@pytest.mark.parametrize("method", METHODS)
def test_every_method_can_be_drawn_beside_the_papers(method: str, tmp_path: Path) -> None:
    """Those that the paper has no figures of as well."""
    row = {
        "method": method,
        "feature": "mug_rim",
        "pos_mm_mean": 0.5,
        "cos_mean": 1e-4,
        "episodes": 3,
    }
    assert draw_table1([row], tmp_path / "t.png", start="perturbed").stat().st_size > 1000
