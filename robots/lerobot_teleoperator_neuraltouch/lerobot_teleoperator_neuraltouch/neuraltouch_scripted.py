"""The scripted teleoperator: `--teleop.type=neuraltouch_scripted`."""

from lerobot.utils.decorators import check_if_already_connected, check_if_not_connected

from lerobot_neuraltouch.announcements import EpisodeAnnouncements

from .config_neuraltouch_scripted import NeuralTouchScriptedConfig
from .script import Script
from .speeds import to_action
from .twist_teleoperator import TwistTeleoperator


class NeuralTouchScripted(TwistTeleoperator):
    """Plays a script, one control step of 0.1 s per `get_action`."""

    config_class = NeuralTouchScriptedConfig
    name = "neuraltouch_scripted"

    def __init__(self, config: NeuralTouchScriptedConfig) -> None:
        super().__init__(config)
        self.config = config
        self._script: Script | None = None
        self._next = 0
        self._announcements = EpisodeAnnouncements()

    @property
    def is_connected(self) -> bool:
        """Whether the script has been read."""
        return self._script is not None

    @check_if_already_connected
    def connect(self, calibrate: bool = True) -> None:
        """Read the script, and begin it."""
        self._script = Script.read(self.config.script)
        self._next = 0
        if self.config.restart:
            self._announcements.listen()

    @check_if_not_connected
    def get_action(self) -> dict[str, float]:
        """The next action; after the last one zero twist, the fingers staying."""
        assert self._script is not None
        actions = self._script.actions
        if self._announcements.take() is not None:
            self._next = 0
        if self.config.repeat:
            self._next %= len(actions)
        is_over = self._next >= len(actions)
        action = actions[min(self._next, len(actions) - 1)]
        self._next += 1
        return to_action(action[:6] * (not is_over), float(action[6]))

    @check_if_not_connected
    def disconnect(self) -> None:
        """Forget the script."""
        self._announcements.stop()
        self._script = None
