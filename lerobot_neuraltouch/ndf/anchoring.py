"""Draw a found pose to where the encoder sees the anchors of the shown part.

A descriptor mixes a place with the size of the part around it: a thicker or longer bar looks like another place on it.
The anchors that the points vote for (`sizes.ANCHORS`) are places alone. So an anchor near the shown grasp gives the
found pose's position once more, trusted the less the farther it was and the less sure the encoder is of it. Frames:
base, and the tcp of the demonstration and of the found pose [m].
"""

import numpy as np
import torch
from torch import Tensor

from lerobot_neuraltouch.ndf.encoder import Latent
from lerobot_neuraltouch.ndf.sizes import SCALE

DESCRIPTOR_M = 0.008
"""Standard deviation of a position by descriptors, per axis; this and the next two from validation shapes."""
LEAST_M = 0.001
"""The same of an anchor that the encoder is sure of."""
SIZE_SHARE = 0.3
"""How much the distance from a grasp to an anchor differs between objects, as a share of itself."""
NEAR_M = 0.025
"""Anchors farther than this from the shown grasp do not count."""
PER_AXIS = 0.63
"""Standard deviation per axis of a normal error over its mean length."""


def anchors_of(latent: Latent, num: int) -> Tensor:
    """The first `num` of `sizes.ANCHORS` of encoded objects, (B, num, 3) [m]."""
    half = 0.5 * latent.z[:, :1]
    offsets = torch.cat([half, -half, latent.z[:, 1 : num - 1]], dim=1)
    return latent.centre[:, None] + offsets / SCALE


def anchored(
    T_base_tcp: np.ndarray, anchors: np.ndarray, doubt_m: np.ndarray, shown: np.ndarray
) -> np.ndarray:
    """The pose at the likeliest position, given the pose as found and the anchors; the same where none is near, (4, 4).

    Args:
        T_base_tcp: The found pose, (4, 4).
        anchors: Of the seen object, (A, 3) in base.
        doubt_m: How far each of them is expected to be off, (A,).
        shown: The same anchors of the shown object in the tcp frame of the shown grasp, (A, 3).
    """
    distance = np.linalg.norm(shown, axis=1)
    variance = (PER_AXIS * doubt_m) ** 2 + LEAST_M**2 + (SIZE_SHARE * distance) ** 2
    weight = np.where(distance < NEAR_M, 1.0 / variance, 0.0)
    positions = anchors - shown @ T_base_tcp[:3, :3].T
    own = DESCRIPTOR_M**-2
    result = T_base_tcp.copy()
    result[:3, 3] = (own * T_base_tcp[:3, 3] + weight @ positions) / (own + weight.sum())
    return result
