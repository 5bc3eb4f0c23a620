"""A teleoperator that always pushes the same way, faster than allowed: `--teleop.type=steady`."""

from dataclasses import dataclass
from typing import Any

from lerobot.teleoperators import Teleoperator, TeleoperatorConfig

from lerobot_neuraltouch.features import ACTION_NAMES


@TeleoperatorConfig.register_subclass("steady")
@dataclass(kw_only=True)
class SteadyTeleopConfig(TeleoperatorConfig):
    speed_m_s: float = 0.05


class SteadyTeleop(Teleoperator):
    config_class = SteadyTeleopConfig
    name = "steady"

    def __init__(self, config: SteadyTeleopConfig) -> None:
        super().__init__(config)
        self.config, self._is_connected = config, False

    @property
    def action_features(self) -> dict[str, type]:
        return dict.fromkeys(ACTION_NAMES, float)

    @property
    def feedback_features(self) -> dict[str, type]:
        return {}

    @property
    def is_connected(self) -> bool:
        return self._is_connected

    @property
    def is_calibrated(self) -> bool:
        return True

    def connect(self, calibrate: bool = True) -> None:
        self._is_connected = True

    def calibrate(self) -> None: ...

    def configure(self) -> None: ...

    def get_action(self) -> dict[str, Any]:
        twist = [0.0, 0.0, self.config.speed_m_s, 0.0, 0.0, 0.0]
        return dict(zip(ACTION_NAMES, [*twist, 0.03], strict=True))

    def send_feedback(self, feedback: dict[str, Any]) -> None: ...

    def disconnect(self) -> None:
        self._is_connected = False
