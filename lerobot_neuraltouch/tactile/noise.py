"""Noise of the touch images: what differs between sensors (drawn per episode) and between frames."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from .image import TactileCamera, disc_mask


@dataclass(frozen=True, kw_only=True)
class TouchNoise:
    """Size of each disturbance; uniform within +- the value unless said otherwise. All zero: no noise."""

    sigma_gray: float = 0.0
    """Standard deviation of the noise of each pixel in each frame [gray levels]."""
    gain: float = 0.0
    """Relative error of the gray map, drawn per episode and finger."""
    shift_px: float = 0.0
    """Shift of the image along columns and rows, drawn per episode and finger [pixels of a 64 x 64 image]."""
    yaw_rad: float = 0.0
    """Error of the camera's mounting about the normal, drawn per episode and finger [rad]."""
    dead_fraction: float = 0.0
    """Share of pixels that stay at 0 for an episode, drawn per finger."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value >= 0:
                raise ValueError(f"{name} must not be negative, got {value}.")

    @classmethod
    def nominal(cls) -> "TouchNoise":
        """The benchmarks' default."""
        return cls(
            sigma_gray=2.0,
            gain=0.05,
            shift_px=1.0,
            yaw_rad=float(np.deg2rad(1.0)),
            dead_fraction=0.005,
        )

    def scaled(self, level: float) -> "TouchNoise":
        """All disturbances larger by a factor.

        Raises:
            ValueError: If the factor is negative.
        """
        return TouchNoise(**{name: level * value for name, value in vars(self).items()})

    def sample(self, rng: np.random.Generator, size: int = 64) -> "EpisodeTouchNoise":
        """Draw the part that stays fixed for an episode, for images of `size` x `size` pixels."""
        return EpisodeTouchNoise(
            yaw_rad=rng.uniform(-self.yaw_rad, self.yaw_rad, 2),
            shift_px=rng.uniform(-self.shift_px, self.shift_px, (2, 2)) * (size / 64),
            gain=rng.uniform(1 - self.gain, 1 + self.gain, 2).astype(np.float32),
            alive=(rng.random((2, size, size)) >= self.dead_fraction) & disc_mask(size),
            sigma_gray=self.sigma_gray,
        )


@dataclass(frozen=True)
class EpisodeTouchNoise:
    """One draw of `TouchNoise`: mount the cameras with it once, then disturb each pair of images."""

    yaw_rad: NDArray[np.float64]
    """Yaw of the left and right camera [rad], shape (2,)."""
    shift_px: NDArray[np.float64]
    """Shift of the left and right image, (columns, rows) [pixels], shape (2, 2)."""
    gain: NDArray[np.float32]
    """Factor of the left and right gray map, shape (2,)."""
    alive: NDArray[np.bool_]
    """Pixels inside the disc that are not dead, shape (2, size, size)."""
    sigma_gray: float
    """Noise of each pixel in each frame [gray levels]."""

    def mount(self, camera: TactileCamera, offset_m: NDArray[np.floating] | None = None) -> None:
        """Give the cameras this draw's mounting errors, and an offset of their pinholes [m], shape (2, 2)."""
        camera.mount(self.yaw_rad, self.shift_px, offset_m)

    def disturb(self, gray: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        """Disturb a pair of images, shape (2, size, size); images without contact become noisy too."""
        levels = gray * self.gain[:, None, None]
        if self.sigma_gray > 0:
            bank = _noise_bank()
            start = int(rng.integers(bank.size - gray.size))
            levels += self.sigma_gray * bank[start : start + gray.size].reshape(gray.shape)
        levels += 0.5
        np.minimum(np.maximum(levels, 0, out=levels), 255, out=levels)
        return levels.astype(np.uint8) * self.alive


@cache
def _noise_bank() -> NDArray[np.float32]:
    """Standard normal numbers, drawn once: a frame takes a random stretch, ten times faster than drawing anew."""
    return np.random.default_rng(0).standard_normal(1 << 20, dtype=np.float32)
