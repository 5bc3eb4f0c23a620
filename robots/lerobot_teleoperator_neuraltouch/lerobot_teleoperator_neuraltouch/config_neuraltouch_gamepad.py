"""Settings of the gamepad teleoperator."""

from dataclasses import dataclass

from lerobot.teleoperators.config import TeleoperatorConfig

from .speeds import HandGuidedConfig


@TeleoperatorConfig.register_subclass("neuraltouch_gamepad")
@dataclass(kw_only=True)
class NeuralTouchGamepadConfig(HandGuidedConfig):
    """Steer with a gamepad, by pygame (`pip install 'lerobot_teleoperator_neuraltouch[gamepad]'`)."""

    index: int = 0
    """Which of the gamepads found."""
    dead_band: float = 0.12
    """A stick nearer to its middle than this counts as let go, in [0, 1)."""

    def __post_init__(self) -> None:
        """Refuse values that make no sense.

        Raises:
            ValueError: With the limit.
        """
        super().__post_init__()
        if not 0.0 <= self.dead_band < 1.0:
            raise ValueError(f"dead_band must lie in [0, 1), got {self.dead_band}.")
