"""The last step of a touch image: from what the skin feels to gray levels.

A map takes the indentation of each pixel and nothing else. Another kind of picture (markers that move with the skin's shear) would
stand beside `GRAY_MAPS` and be chosen where `gym_neuraltouch.workpiece.Workpiece.picture` makes images: indentation, pose and
shear of both pads are at hand there.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

MAX_DEPTH_M = 0.005
"""Indentation that gives gray level 255 in the linear map [m]: 51 levels per millimetre, clipped above."""


class GrayMap(Protocol):
    """Monotone from no contact (0) to the deepest that it tells apart (255)."""

    def to_gray(self, indentation_m: NDArray[np.floating]) -> NDArray[np.uint8]:
        """Gray levels of an indentation [m], any shape."""
        ...

    def from_gray(self, gray: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Indentation that gives these gray levels, up to their rounding [m]."""
        ...


@dataclass(frozen=True)
class LinearGray:
    """Proportional to the indentation, clipped at `max_depth_m`."""

    max_depth_m: float = MAX_DEPTH_M
    """Indentation that gives gray level 255 [m]."""

    def to_gray(self, indentation_m: NDArray[np.floating]) -> NDArray[np.uint8]:
        """Gray levels of an indentation [m], any shape."""
        deepest = self.max_depth_m
        levels = np.minimum(np.maximum(indentation_m, 0), deepest)  # `np.clip` takes twice as long
        levels *= 255 / deepest
        levels += 0.5
        return levels.astype(np.uint8)

    def from_gray(self, gray: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Indentation that gives these gray levels, up to their rounding [m]."""
        return gray.astype(np.float32) * np.float32(self.max_depth_m / 255)


@dataclass(frozen=True)
class DepthBufferGray:
    """Imitates Tactile Gym's images of the 40 mm TacTip: the change of an OpenGL depth buffer in the middle of the tip.

    There a camera with near plane n and far plane f looks at the undeformed skin from a distance z0; its buffer holds
    b(z) = f / (f - n) (1 - n / z), and what is drawn is b(z0) - b(z0 - indentation), without what lies below a threshold, in units of
    the change that saturates. So it is not linear, light contact is lost, and most of the range is never used: 17 levels at 1 mm,
    94 at 5 mm. Our camera is nearer to its skin; the indentation of every pixel is mapped as if it lay in the middle of that tip.
    """

    near_m: float = 0.01
    far_m: float = 1.0
    """Planes of the imitated camera [m]."""
    skin_distance_m: float = 0.0548
    """From the imitated camera to the undeformed skin [m]."""
    saturation: float = 0.05
    """Change of the buffer that gives gray level 255."""
    threshold: float = 1e-4
    """Smaller changes of the buffer are not drawn."""

    def to_gray(self, indentation_m: NDArray[np.floating]) -> NDArray[np.uint8]:
        """Gray levels of an indentation [m], any shape."""
        depth = np.clip(indentation_m, 0, 0.99 * self.skin_distance_m)
        change = self._slope * (1 / (self.skin_distance_m - depth) - 1 / self.skin_distance_m)
        share = np.where(change < self.threshold, 0, np.minimum(change / self.saturation, 1))
        return (255 * share + 0.5).astype(np.uint8)

    def from_gray(self, gray: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Indentation that gives these gray levels, up to their rounding [m]."""
        change = gray.astype(np.float64) / 255 * self.saturation
        skin = self.skin_distance_m
        return (skin - 1 / (change / self._slope + 1 / skin)).astype(np.float32)

    @property
    def _slope(self) -> float:
        return self.near_m * self.far_m / (self.far_m - self.near_m)


GRAY_MAPS: dict[str, GrayMap] = {"linear": LinearGray(), "tactile_gym": DepthBufferGray()}
"""Maps by name. The shipped policy was trained on `linear`."""


def to_gray(indentation_m: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Map indentation [m] linearly to gray levels: 0 mm is 0, `MAX_DEPTH_M` and more is 255; any shape."""
    return GRAY_MAPS["linear"].to_gray(indentation_m)


def from_gray(gray: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Inverse of `to_gray` up to its rounding of 0.01 mm [m]."""
    return GRAY_MAPS["linear"].from_gray(gray)
