"""The parts of an observation: their space, and pictures with as many channels as LeRobot expects."""

import gymnasium
import numpy as np
from numpy.typing import NDArray

from lerobot_neuraltouch.features import NUM_CLOUD_POINTS


def three_channels(gray: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Equal channels, shape (..., 3); `np.repeat` takes twice as long."""
    colour = np.empty((*gray.shape, 3), dtype=np.uint8)
    for channel in range(3):
        colour[..., channel] = gray
    return colour


def observation_space(size: int) -> gymnasium.spaces.Dict:
    """Of an environment with touch images of `size` x `size` pixels."""
    box = gymnasium.spaces.Box
    picture = box(0, 255, (size, size, 3), np.uint8)
    return gymnasium.spaces.Dict(
        {
            "pixels": gymnasium.spaces.Dict({"tactile_left": picture, "tactile_right": picture}),
            "agent_pos": box(-np.inf, np.inf, (7,), np.float32),
            "point_cloud": box(-np.inf, np.inf, (NUM_CLOUD_POINTS, 3), np.float32),
            "phase": box(0, 2, (1,), np.float32),
        }
    )
