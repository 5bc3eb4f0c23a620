"""What LeRobot wants of each of our teleoperators, apart from reading a device."""

from typing import Any

from lerobot.teleoperators.teleoperator import Teleoperator

from lerobot_neuraltouch import features


class TwistTeleoperator(Teleoperator):
    """A teleoperator whose actions are those of `features.ACTION_NAMES`, SI; nothing to calibrate, no feedback."""

    @property
    def action_features(self) -> dict[str, type]:
        """Names and types of what `get_action` returns."""
        return dict.fromkeys(features.ACTION_NAMES, float)

    @property
    def feedback_features(self) -> dict[str, type]:
        """None."""
        return {}

    @property
    def is_calibrated(self) -> bool:
        """Nothing to calibrate."""
        return True

    def calibrate(self) -> None:
        """Nothing to calibrate."""

    def configure(self) -> None:
        """Nothing to configure."""

    def send_feedback(self, feedback: dict[str, Any]) -> None:
        """No feedback."""
