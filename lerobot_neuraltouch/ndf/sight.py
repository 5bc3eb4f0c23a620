"""How much of a contact a cloud shows: points near the places that the pads touch. Frames: base, tcp [m]."""

import numpy as np
import torch
from torch import Tensor

from lerobot_neuraltouch.features import OPENING_MARGIN
from lerobot_neuraltouch.objects.sight import SEEN_RADIUS_M

NUM_SPINS = 8
"""A part that is round about the approach direction may be touched from any side of it."""
USUAL_THICKNESS_M = 0.010
"""Of the part between the pads, where nobody told how far the fingers open."""


def touched_points(points: Tensor, T_base_tcp: Tensor, opening_m: float | None) -> int:
    """Points of a cloud (N, 3) around the better seen of the places that a pad may touch at a pose (4, 4)."""
    thickness = USUAL_THICKNESS_M if opening_m is None else max(opening_m - OPENING_MARGIN, 0.0)
    angles = 2.0 * np.pi * np.arange(NUM_SPINS) / NUM_SPINS
    circle = np.column_stack([np.cos(angles), np.sin(angles), np.zeros(NUM_SPINS)])
    places = torch.from_numpy(0.5 * thickness * circle).to(points)
    places = places @ T_base_tcp[:3, :3].T + T_base_tcp[:3, 3]
    return int((torch.cdist(places, points) < SEEN_RADIUS_M).sum(1).max())
