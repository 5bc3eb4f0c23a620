"""Who drives: the common interface of keyboard and script."""

from collections.abc import Mapping
from enum import Enum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Command(Enum):
    """What a pilot may want instead of an action."""

    NEW_EPISODE = "new episode"
    QUIT = "quit"


class Pilot(Protocol):
    """Chooses what happens in each control step."""

    def begin(self, finger_distance_m: float) -> None:
        """An episode begins with the pads this far apart [m]."""
        ...

    def act(self, info: Mapping[str, Any], finger_distance_m: float) -> Array | Command:
        """The next action, shape (7,), or a command.

        Args:
            info: Of the environment's last step or reset.
            finger_distance_m: Actual distance of the undeformed pads [m].
        """
        ...
