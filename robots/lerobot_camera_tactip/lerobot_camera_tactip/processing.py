"""From what a TacTip's camera captures to the picture that is recorded: gray, crop, resize, threshold, mask, in this order."""

import cv2
import numpy as np
from numpy.typing import NDArray

from .config_tactip import TacTipCameraConfig

Picture = NDArray[np.uint8]


def process(captured: Picture, config: TacTipCameraConfig) -> Picture:
    """Make the picture that the camera delivers.

    Args:
        captured: RGB, shape (capture_height, capture_width, 3).
        config: The steps.

    Returns:
        RGB, shape (height, width, 3).

    Raises:
        ValueError: If the crop reaches beyond the captured picture.
    """
    picture = _crop(captured, config.crop)
    if config.process != "raw":
        picture = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    if picture.shape[:2] != (config.height, config.width):
        picture = cv2.resize(picture, (config.width, config.height), interpolation=cv2.INTER_AREA)
    if config.process == "threshold":
        picture = cv2.adaptiveThreshold(
            picture,
            255,
            cv2.ADAPTIVE_THRESH_MEAN_C,
            cv2.THRESH_BINARY,
            config.threshold_block,
            config.threshold_offset,
        )
    if picture.ndim == 2:
        picture = np.repeat(picture[:, :, None], 3, axis=2)
    if config.mask_radius is not None:
        picture = picture * disc(config.height, config.width, config.mask_radius)[:, :, None]
    return np.ascontiguousarray(picture, dtype=np.uint8)


def disc(height: int, width: int, radius: float) -> NDArray[np.bool_]:
    """Pixels whose centres lie within `radius` halves of the shorter side around the middle, shape (height, width)."""
    y, x = np.mgrid[:height, :width]
    squared = (x - (width - 1) / 2) ** 2 + (y - (height - 1) / 2) ** 2
    return squared <= (radius * min(height, width) / 2) ** 2


def mean_change(picture: Picture, reference: Picture) -> float:
    """Mean absolute difference of two pictures of one shape [gray levels]."""
    return float(cv2.absdiff(picture, reference).mean())


def _crop(picture: Picture, box: list[int] | None) -> Picture:
    if box is None:
        return picture
    x0, y0, x1, y1 = box
    height, width = picture.shape[:2]
    if x1 > width or y1 > height:
        raise ValueError(f"crop = {box} reaches beyond the captured picture of {width} x {height}.")
    return picture[y0:y1, x0:x1]
