"""What one recorded frame holds, and how Gymnasium's observations become it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lerobot_neuraltouch import features

REWARD, DONE, SUCCESS = "next.reward", "next.done", "next.success"
"""LeRobot's names."""

Frame = dict[str, NDArray[Any]]


def dataset_features(image_size: int, *, cloud: bool) -> dict[str, dict[str, Any]]:
    """Columns of a recorded dataset, in LeRobot's notation.

    Args:
        image_size: Height and width of the touch images [pixels].
        cloud: Whether to store the point cloud in each frame (12 KiB; skills need it, training does not).
    """
    image = {
        "dtype": "image",
        "shape": (image_size, image_size, 3),
        "names": ["height", "width", "channels"],
    }
    columns: dict[str, dict[str, Any]] = {
        features.STATE: _vector(features.STATE_NAMES),
        features.TACTILE_LEFT: image,
        features.TACTILE_RIGHT: dict(image),
        features.PHASE: _vector(("phase",)),
        features.EXECUTED_ACTION: _vector(features.ACTION_NAMES),
        features.ACTION: _vector(features.ACTION_NAMES),
        REWARD: _vector(("reward",)),
        DONE: {"dtype": "bool", "shape": (1,), "names": ["done"]},
        SUCCESS: {"dtype": "bool", "shape": (1,), "names": ["success"]},
    }
    if cloud:
        shape = (features.NUM_CLOUD_POINTS, 3)
        columns[features.POINT_CLOUD] = {
            "dtype": "float32",
            "shape": shape,
            "names": ["point", "axis"],
        }
    return columns


def observation_frame(observation: Mapping[str, Any], *, cloud: bool) -> Frame:
    """The columns of a frame that come from an environment's observation."""
    pixels = observation["pixels"]
    frame: Frame = {
        features.STATE: np.asarray(observation["agent_pos"], np.float32),
        features.TACTILE_LEFT: np.asarray(pixels["tactile_left"], np.uint8),
        features.TACTILE_RIGHT: np.asarray(pixels["tactile_right"], np.uint8),
    }
    if cloud:
        frame[features.POINT_CLOUD] = np.asarray(observation["point_cloud"], np.float32)
    return frame


def stack(frames: list[Frame]) -> Frame:
    """Frames of an episode, stacked over time."""
    return {key: np.stack([frame[key] for frame in frames]) for key in frames[0]}


def _vector(names: tuple[str, ...]) -> dict[str, Any]:
    return {"dtype": "float32", "shape": (len(names),), "names": list(names)}
