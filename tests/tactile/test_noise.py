"""The noise of touch images."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from lerobot_neuraltouch.tactile import TouchNoise
from lerobot_neuraltouch.tactile.image import disc_mask

SIZE = 64


def test_no_noise_changes_nothing() -> None:
    """All sizes zero: the image comes back, within the disc."""
    gray = np.random.default_rng(0).integers(0, 256, (2, SIZE, SIZE)).astype(np.uint8)
    noise = TouchNoise().sample(np.random.default_rng(1), SIZE)
    assert_array_equal(noise.disturb(gray, np.random.default_rng(2)), gray * disc_mask(SIZE))


def test_nominal_noise_has_its_stated_sizes() -> None:
    """Sigma 2 around a gain within 5 %, half a percent of dead pixels, nothing outside the disc."""
    rng = np.random.default_rng(0)
    gray = np.full((2, SIZE, SIZE), 120, dtype=np.uint8)
    noise = TouchNoise.nominal().sample(rng, SIZE)
    frames = np.stack([noise.disturb(gray, rng) for _ in range(50)]).astype(float)
    assert not frames[:, :, ~disc_mask(SIZE)].any()
    alive = frames[:, 0][:, noise.alive[0]]
    assert alive.mean() == pytest.approx(120 * noise.gain[0], abs=0.1)
    assert alive.std() == pytest.approx(2.0, abs=0.1)
    assert abs(noise.gain - 1).max() <= 0.05
    assert abs(noise.shift_px).max() <= 1.0
    assert np.rad2deg(abs(noise.yaw_rad)).max() <= 1.0
    many = [TouchNoise.nominal().sample(rng, SIZE).alive for _ in range(40)]
    dead = 1 - np.mean(many, axis=0)[:, disc_mask(SIZE)].mean()
    assert dead == pytest.approx(0.005, abs=0.001)


def test_images_without_contact_are_noisy_too_and_frames_differ() -> None:
    """Otherwise a clear finger could be told from a touching one by its silence."""
    rng = np.random.default_rng(0)
    noise = TouchNoise.nominal().sample(rng, SIZE)
    clear = np.zeros((2, SIZE, SIZE), dtype=np.uint8)
    first, second = noise.disturb(clear, rng), noise.disturb(clear, rng)
    assert (first > 0).mean() > 0.2
    assert (first != second).any()
    assert (first[0] != first[1]).any()


def test_noise_repeats_under_one_seed() -> None:
    """Both parts come from the generator that is passed in."""
    gray = np.full((2, SIZE, SIZE), 80, dtype=np.uint8)

    def draw() -> np.ndarray:
        rng = np.random.default_rng(7)
        return TouchNoise.nominal().sample(rng, SIZE).disturb(gray, rng)

    assert_array_equal(draw(), draw())


def test_negative_sizes_are_refused() -> None:
    """Naming the field."""
    with pytest.raises(ValueError, match="sigma_gray"):
        TouchNoise(sigma_gray=-1.0)


def test_a_level_scales_every_size() -> None:
    """Twice the noise is twice each number; level 1 is the same noise, level 0 none."""
    nominal = TouchNoise.nominal()
    assert nominal.scaled(1.0) == nominal
    assert nominal.scaled(0.0) == TouchNoise()
    assert nominal.scaled(2.0).sigma_gray == 4.0
    with pytest.raises(ValueError, match="must not be negative"):
        nominal.scaled(-1.0)
