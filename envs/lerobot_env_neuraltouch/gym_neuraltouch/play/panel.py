"""One picture of everything: the scene, both touch images and the numbers."""

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lerobot_neuraltouch.features import CONTROL_HZ

Picture = NDArray[np.uint8]

TOUCH_PIXELS = 240
TEXT_PIXELS = 40
_INK, _PAPER = (30, 30, 30), 245
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def compose(scene: Picture, touch: Mapping[str, Picture], text: str) -> Picture:
    """Put scene, touch images and one line of text together.

    Args:
        scene: From the environment's `render`, uint8 (480, 640, 3).
        touch: `pixels` of its observation: `tactile_left` and `tactile_right`.
        text: Below them.

    Returns:
        uint8 (520, 880, 3).
    """
    size = (640, 2 * TOUCH_PIXELS)
    resized = cv2.resize(scene, size, interpolation=cv2.INTER_AREA)
    column = np.vstack([_touch(touch, side) for side in ("left", "right")])
    above = np.hstack([resized, column])
    below = np.full((TEXT_PIXELS, above.shape[1], 3), _PAPER, dtype=np.uint8)
    cv2.putText(below, text, (10, 26), _FONT, 0.48, _INK, 1, cv2.LINE_AA)
    return np.vstack([above, below]).astype(np.uint8, copy=False)


def _touch(touch: Mapping[str, Picture], side: str) -> np.ndarray:
    size = (TOUCH_PIXELS, TOUCH_PIXELS)
    image = cv2.resize(touch[f"tactile_{side}"], size, interpolation=cv2.INTER_NEAREST)
    cv2.putText(image, side, (8, 20), _FONT, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
    return image


def describe(info: Mapping[str, Any], steps: int) -> str:
    """One line about the present step: time, errors, presses, forces and finger distance."""
    truth = info["privileged"]
    angle = np.rad2deg(np.arccos(1.0 - info["cos_error"]))
    (left, right), (push_left, push_right) = 1e3 * truth["pad_press_m"], truth["force_n"]
    return (
        f"{steps / CONTROL_HZ:5.1f} s  error {1e3 * info['pos_error_m']:5.2f} mm {angle:5.2f} deg  "
        f"press {left:z4.2f} {right:z4.2f} mm  force {push_left:5.2f} {push_right:5.2f} N  "
        f"fingers {1e3 * truth['finger_distance_m']:6.2f} mm"
    )
