"""Robot mode and safety mode: what stops the arm and what it takes to move again."""

from enum import IntEnum


class RobotMode(IntEnum):
    """State of the arm's power and brakes (RTDE's robot_mode)."""

    POWER_OFF = 3
    POWER_ON = 4
    IDLE = 5
    BACKDRIVE = 6
    RUNNING = 7


class SafetyMode(IntEnum):
    """State of the safety system (RTDE's safety_mode)."""

    NORMAL = 1
    PROTECTIVE_STOP = 3
    ROBOT_EMERGENCY_STOP = 7


_STATUS_BITS = {
    # normal 0, protective stop 2, robot emergency stop 6, emergency stop 7, stopped for safety 10
    SafetyMode.NORMAL: 1 << 0,
    SafetyMode.PROTECTIVE_STOP: 1 << 2 | 1 << 10,
    SafetyMode.ROBOT_EMERGENCY_STOP: 1 << 6 | 1 << 7 | 1 << 10,
}


class Safety:
    """The safety system. Stops are entered at once; the way back is the teach pendant's."""

    def __init__(self, unlock_after_s: float) -> None:
        self.robot_mode = RobotMode.RUNNING
        self.safety_mode = SafetyMode.NORMAL
        self._unlock_after_s = unlock_after_s
        self._stopped_at_s = 0.0

    @property
    def may_move(self) -> bool:
        """Whether the arm is powered, its brakes are free and nothing stops it."""
        return self.robot_mode is RobotMode.RUNNING and self.safety_mode is SafetyMode.NORMAL

    @property
    def status_bits(self) -> int:
        """RTDE's safety_status_bits."""
        return _STATUS_BITS[self.safety_mode]

    def protective_stop(self, now_s: float) -> None:
        """Stop, with power on. An emergency stop is not weakened."""
        if self.safety_mode is not SafetyMode.ROBOT_EMERGENCY_STOP:
            self.safety_mode, self._stopped_at_s = SafetyMode.PROTECTIVE_STOP, now_s

    def unlock(self, now_s: float) -> bool:
        """End a protective stop; False while it is too early."""
        if self.safety_mode is not SafetyMode.PROTECTIVE_STOP:
            return True
        if now_s - self._stopped_at_s < self._unlock_after_s:
            return False
        self.safety_mode = SafetyMode.NORMAL
        return True

    def emergency_stop(self) -> None:
        """The button is pressed: stop, and switch the power off."""
        self.safety_mode, self.robot_mode = SafetyMode.ROBOT_EMERGENCY_STOP, RobotMode.POWER_OFF

    def release_button(self) -> None:
        """The button is pulled out; the power stays off."""
        if self.safety_mode is SafetyMode.ROBOT_EMERGENCY_STOP:
            self.safety_mode = SafetyMode.NORMAL

    def power_on(self) -> None:
        """Power with brakes closed, unless a stop forbids it."""
        if self.safety_mode is SafetyMode.NORMAL and self.robot_mode is RobotMode.POWER_OFF:
            self.robot_mode = RobotMode.IDLE

    def power_off(self) -> None:
        """No power."""
        self.robot_mode = RobotMode.POWER_OFF

    def release_brakes(self) -> None:
        """Free the brakes; from power off too, as the pendant does."""
        if self.safety_mode is SafetyMode.NORMAL:
            self.robot_mode = RobotMode.RUNNING
