"""The gamepad teleoperator: `--teleop.type=neuraltouch_gamepad`."""

import logging

import numpy as np
from lerobot.utils.decorators import check_if_already_connected, check_if_not_connected
from numpy.typing import NDArray

from .config_neuraltouch_gamepad import NeuralTouchGamepadConfig
from .gamepad import Gamepad, PadState
from .speeds import HandGuide
from .twist_teleoperator import TwistTeleoperator

logger = logging.getLogger(__name__)

HELP = (
    "hold the left shoulder button to move at all, the right one to move fast; left stick: x (up) and y (right); right and left "
    "trigger: on and back along the approach; right stick: turn about z (right) and y (up); D-pad left/right: turn about x; A/B: "
    "close/open the fingers"
)


def wish_of(state: PadState, dead_band: float) -> NDArray[np.float64]:
    """What the pad asks for, shape (7,), each in [-1, 1]; zero unless the dead-man button is held."""
    if not state.enabled:
        return np.zeros(7)
    (left_x, left_y), (right_x, right_y) = state.left, state.right
    back, forth = state.triggers
    sticks = np.array([left_y, left_x, forth - back, state.dpad, right_y, right_x, state.fingers])
    beyond = np.maximum(np.abs(sticks) - dead_band, 0.0) / (1.0 - dead_band)
    return np.sign(sticks) * beyond


class NeuralTouchGamepad(TwistTeleoperator):
    """Sticks, triggers and D-pad set the twist, as long as the dead-man button is held; A and B move the fingers."""

    config_class = NeuralTouchGamepadConfig
    name = "neuraltouch_gamepad"

    def __init__(self, config: NeuralTouchGamepadConfig) -> None:
        super().__init__(config)
        self.config = config
        self._guide = HandGuide(config)
        self._pad: Gamepad | None = None

    @property
    def is_connected(self) -> bool:
        """Whether a gamepad is open."""
        return self._pad is not None

    @check_if_already_connected
    def connect(self, calibrate: bool = True) -> None:
        """Open the gamepad.

        Raises:
            ImportError: If pygame is not installed.
            ConnectionError: If there is no such gamepad.
        """
        self._pad = Gamepad(self.config.index)
        self._guide = HandGuide(self.config)
        logger.info("Gamepad '%s': %s.", self._pad.name, HELP)

    @check_if_not_connected
    def get_action(self) -> dict[str, float]:
        """The action of the pad's present state.

        Raises:
            ConnectionError: If the gamepad was unplugged.
        """
        assert self._pad is not None
        state = self._pad.read()
        self._guide.fast = state.fast
        return self._guide.action(wish_of(state, self.config.dead_band))

    @check_if_not_connected
    def disconnect(self) -> None:
        """Close the gamepad."""
        pad, self._pad = self._pad, None
        assert pad is not None
        pad.close()
