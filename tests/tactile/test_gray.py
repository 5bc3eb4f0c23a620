"""The gray maps: what each imitates, and that depths can be read back."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lerobot_neuraltouch.tactile import GRAY_MAPS

MAPS = pytest.mark.parametrize("name", GRAY_MAPS)


def test_the_depth_buffer_map_has_tactile_gym_s_levels_in_the_middle_of_its_tip() -> None:
    """Levels worked out from that simulator's planes, distance and saturation, independently of this code."""
    depths_mm = np.array([0.5, 1.0, 2.0, 3.5, 5.0, 6.5])
    assert_array_equal(GRAY_MAPS["tactile_gym"].to_gray(1e-3 * depths_mm), [9, 17, 36, 64, 94, 127])


def test_the_depth_buffer_map_loses_contact_below_30_micrometres() -> None:
    """And saturates at 11.7 mm."""
    to_gray = GRAY_MAPS["tactile_gym"].to_gray
    change = 1e-4 / (0.01 * 1.0 / 0.99)
    threshold = 0.0548 - 1 / (1 / 0.0548 + change)
    assert threshold == pytest.approx(30e-6, rel=0.02)
    assert_array_equal(to_gray(np.array([0.98, 1.02]) * threshold), [0, 1])
    assert_array_equal(
        to_gray(np.array([0.0116, 0.0118, 0.05, 1.0])) == 255, [False, True, True, True]
    )


def test_the_linear_map_has_51_levels_per_millimetre() -> None:
    assert_array_equal(GRAY_MAPS["linear"].to_gray(np.array([0, 1e-3, 4e-3])), [0, 51, 204])


@MAPS
def test_maps_are_monotone_and_read_back_to_half_a_level(name: str) -> None:
    """Where they neither cut off nor saturate."""
    chosen = GRAY_MAPS[name]
    depths = np.linspace(1e-4, 4.9e-3, 500)
    gray = chosen.to_gray(depths)
    assert np.all(np.diff(gray.astype(int)) >= 0)
    back = chosen.from_gray(gray)
    levels_per_m = np.gradient(chosen.from_gray(np.arange(256, dtype=np.uint8)).astype(float))
    assert_allclose(back, depths, atol=0.5 * levels_per_m.max() + 1e-7)


@MAPS
def test_no_contact_is_black_and_negative_depths_are_no_contact(name: str) -> None:
    assert_array_equal(GRAY_MAPS[name].to_gray(np.array([0.0, -0.001])), 0)
    assert_array_equal(GRAY_MAPS[name].from_gray(np.zeros(2, dtype=np.uint8)), 0)
