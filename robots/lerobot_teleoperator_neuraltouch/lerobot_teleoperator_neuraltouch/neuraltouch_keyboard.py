"""The keyboard teleoperator: `--teleop.type=neuraltouch_keyboard`."""

import logging
import time

import numpy as np
from lerobot.utils.decorators import check_if_already_connected, check_if_not_connected

from .config_neuraltouch_keyboard import NeuralTouchKeyboardConfig
from .speeds import HandGuide
from .terminal import TerminalKeys
from .twist_teleoperator import TwistTeleoperator

logger = logging.getLogger(__name__)

MOVES = {
    "w": (0, 1), "s": (0, -1), "d": (1, 1), "a": (1, -1), "e": (2, 1), "c": (2, -1),
    "k": (3, 1), "i": (3, -1), "l": (4, 1), "j": (4, -1), "o": (5, 1), "u": (5, -1),
    "x": (6, 1), "z": (6, -1),
}  # fmt: skip
"""Key: component of the wish, and its sign."""
SLOW, FAST = "1", "2"
HELP = (
    "hold a key to move, let go to stop: w/s up/down and a/d left/right in the wrist picture (tcp x, y), e/c on/back along the "
    "approach (z); k/i, l/j, o/u turn about x, y, z; z/x close/open the fingers; 1 slow, 2 fast"
)


class NeuralTouchKeyboard(TwistTeleoperator):
    """Hold a key to move along or about one axis of the tcp. No key within `hold_s`: zero twist, the fingers stay.

    Keys that are not ours go on to LeRobot's own listener: n, r, q and the arrows while recording.
    """

    config_class = NeuralTouchKeyboardConfig
    name = "neuraltouch_keyboard"

    def __init__(self, config: NeuralTouchKeyboardConfig) -> None:
        super().__init__(config)
        self.config = config
        self._guide = HandGuide(config)
        self._keys: TerminalKeys | None = None
        self._held, self._held_since = "", -np.inf

    @property
    def is_connected(self) -> bool:
        """Whether keys are being read."""
        return self._keys is not None

    @check_if_already_connected
    def connect(self, calibrate: bool = True) -> None:
        """Take over the terminal's keys.

        Raises:
            ConnectionError: If the command does not run in a terminal.
        """
        keys = TerminalKeys(own=frozenset([*MOVES, SLOW, FAST]))
        keys.open()
        self._guide = HandGuide(self.config)
        self._held, self._held_since = "", -np.inf
        self._keys = keys
        logger.info("Keyboard: %s.", HELP)

    @check_if_not_connected
    def get_action(self) -> dict[str, float]:
        """The action of the key that is held."""
        assert self._keys is not None
        for key, pressed_at in self._keys.take():
            if key in (SLOW, FAST):
                self._guide.fast = key == FAST
            else:
                self._held, self._held_since = key, pressed_at
        wish = np.zeros(7)
        if time.monotonic() - self._held_since <= self.config.hold_s:
            axis, sign = MOVES[self._held]
            wish[axis] = sign
        return self._guide.action(wish)

    @check_if_not_connected
    def disconnect(self) -> None:
        """Give the terminal back as it was."""
        keys, self._keys = self._keys, None
        assert keys is not None
        keys.close()
