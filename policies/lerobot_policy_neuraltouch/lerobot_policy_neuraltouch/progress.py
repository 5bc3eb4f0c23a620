"""Whether the hand gets where the fine phase sends it.

A finger that stands on top of the part, or behind an edge, is held up by more than its skin. The touch images do not show that: what
tells is that the hand is sent somewhere and does not arrive, or that the fingers are closing and come no closer.
"""

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from lerobot_neuraltouch.features import CONTROL_HZ
from lerobot_policy_neuraltouch.motion import Array, Feel

WINDOW = 6
"""Control steps that are looked at."""
_SENT_M = 0.004
"""Being sent less far than this in them tells nothing: a skin gives way by half of it before it slides [m]."""
_ARRIVED = 0.3
"""Less than this share of the way is no progress."""
_STILL_M = 0.001
"""Less motion than this of hand and fingers is none [m]."""
_HELD_M = 0.0005
"""Fingers that close in the air move by more than this per control step [m]."""
APPROACH = np.array([0.0, 0.0, 1.0])
"""Direction of the tcp frame in which grasps are approached."""


@dataclass
class Progress:
    """Looks back over the last `WINDOW` control steps of one fine phase."""

    _feels: deque[Feel] = field(default_factory=lambda: deque(maxlen=WINDOW), init=False)
    _sent: deque[Array] = field(default_factory=lambda: deque(maxlen=WINDOW), init=False)
    """Displacements that were asked for, in base [m]."""

    def step(self, feel: Feel, twist: Array) -> None:
        """Note what is felt now, and the twist (6,) in the tcp frame that is commanded upon it."""
        self._feels.append(feel)
        self._sent.append(feel.T_base_tcp[:3, :3] @ twist[:3] / CONTROL_HZ)

    def held_up(self, feel: Feel) -> Array | None:
        """The direction in the tcp frame (3,) in which the hand should go on once the fingers are open; None while it gets on."""
        if len(self._sent) < WINDOW:
            return None
        sent = np.sum(self._sent, axis=0)
        start = self._feels[-WINDOW]
        gone = feel.T_base_tcp[:3, 3] - start.T_base_tcp[:3, 3]
        length = float(np.linalg.norm(sent))
        if length > _SENT_M and gone @ sent < _ARRIVED * length**2:
            return feel.T_base_tcp[:3, :3].T @ sent / length
        closer = abs(feel.finger_distance - start.finger_distance)
        seeking = not any(past.both for past in [*self._feels, feel])
        if seeking and max(closer, float(np.linalg.norm(gone))) < _STILL_M:
            return APPROACH
        return None

    def fingers_held(self, feel: Feel) -> bool:
        """Whether the fingers have just been as good as still."""
        return (
            bool(self._feels)
            and abs(feel.finger_distance - self._feels[-1].finger_distance) < _HELD_M
        )
