"""Whether a cloud shows a contact. Frames: object [m]."""

import numpy as np

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.objects.contact import ContactFeature

SEEN_RADIUS_M = 0.015
"""Points within this of where a pad touches show the contact."""
SEEN_POINTS = 20
"""A contact is seen if this many points of the cloud lie within SEEN_RADIUS_M of it."""


def is_hidden(cloud: np.ndarray, contact: ContactFeature) -> bool:
    """Whether a cloud (N, 3) in the object frame shows less than SEEN_POINTS around every ideal contact.

    The contact is where a pad touches: half the part's thickness from the tcp along the closing direction.
    """
    places = _touched(contact)
    squared = ((cloud[:, None] - places) ** 2).sum(-1)
    return bool((squared < SEEN_RADIUS_M**2).sum(0).max() < SEEN_POINTS)


def _touched(contact: ContactFeature) -> np.ndarray:
    """Places a pad touches at ideal contacts, object frame [m], (num, 3)."""
    poses = contact.curve(64)
    if contact.free_spin is not None:
        twists = np.zeros((16, 6))
        twists[:, 3 + contact.free_spin] = np.linspace(0.0, 2.0 * np.pi, 16, endpoint=False)
        poses = (poses[:, None] @ se3.exp(twists)).reshape(-1, 4, 4)
    offset = 0.5 * contact.part_thickness_m * poses[:, :3, 1]
    return np.concatenate([poses[:, :3, 3] - offset, poses[:, :3, 3] + offset])
