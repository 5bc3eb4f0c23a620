"""Settings of the keyboard teleoperator."""

from dataclasses import dataclass

from lerobot.teleoperators.config import TeleoperatorConfig

from .speeds import HandGuidedConfig


@TeleoperatorConfig.register_subclass("neuraltouch_keyboard")
@dataclass(kw_only=True)
class NeuralTouchKeyboardConfig(HandGuidedConfig):
    """Steer with the keys of the terminal that the command runs in; neither a screen nor pynput is needed."""

    hold_s: float = 0.25
    """A key counts as held this long after its last repeat [s]; then everything stands still. A terminal tells of keys that repeat,
    not of keys that are let go, and waits up to half a second before the first repeat."""

    def __post_init__(self) -> None:
        """Refuse values that make no sense.

        Raises:
            ValueError: With the limit.
        """
        super().__post_init__()
        if not 0.05 <= self.hold_s <= 1.0:
            raise ValueError(f"hold_s must lie in [0.05, 1], got {self.hold_s}.")
