"""Settings of the scripted teleoperator."""

from dataclasses import dataclass
from pathlib import Path

from lerobot.teleoperators.config import TeleoperatorConfig

from .script import Script


@TeleoperatorConfig.register_subclass("neuraltouch_scripted")
@dataclass(kw_only=True)
class NeuralTouchScriptedConfig(TeleoperatorConfig):
    """Play a list of timed twists, for demonstrations and tests."""

    script: Path
    """YAML or JSON list of steps, e.g. `- {seconds: 2.0, tcp_vz.vel: 0.010, gripper.pos: 0.060}`; see docs/recording.md."""
    repeat: bool = False
    """Begin anew at the end; without it, stand still from then on."""
    restart: bool = True
    """Begin anew whenever LeRobot says "Recording episode"."""

    def __post_init__(self) -> None:
        """Read the script once, to refuse a bad one at once.

        Raises:
            ValueError: If it is no such list; the message says where.
            FileNotFoundError: If there is no such file.
        """
        Script.read(self.script)
