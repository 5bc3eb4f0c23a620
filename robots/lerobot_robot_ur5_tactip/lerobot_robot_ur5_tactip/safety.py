"""What the controller's safety system says, in words with remedies. Nothing here clears anything."""

from .arm import ROBOT_MODE_RUNNING, ArmState, SafetyBit
from .errors import EmergencyStopError, NotReadyError, ProtectiveStopError


def check_safety(state: ArmState) -> None:
    """Refuse a controller that is stopped for safety or not running.

    Raises:
        EmergencyStopError, ProtectiveStopError, NotReadyError: With the remedy.
    """
    for bits, error, text in _SAFETY:
        if state.safety_bits & bits:
            raise error(text)
    if state.robot_mode != ROBOT_MODE_RUNNING:
        raise NotReadyError(
            f"The arm is not running (robot mode {state.robot_mode}, wanted {ROBOT_MODE_RUNNING}): switch it on and release the "
            "brakes at the pendant."
        )


_SAFETY = (
    (
        SafetyBit.SYSTEM_EMERGENCY_STOP | SafetyBit.ROBOT_EMERGENCY_STOP | SafetyBit.EMERGENCY_STOP,
        EmergencyStopError,
        "Emergency stop. Remove its cause, release the button and start the arm at the pendant, then connect again.",
    ),
    (
        SafetyBit.VIOLATION | SafetyBit.FAULT,
        EmergencyStopError,
        "Safety violation or fault. Read the pendant's log and restart the safety system there, then connect again.",
    ),
    (
        SafetyBit.PROTECTIVE_STOP,
        ProtectiveStopError,
        "Protective stop. Look at the arm and at the pendant's message, remove the cause, then run `neuraltouch recover`.",
    ),
    (
        SafetyBit.SAFEGUARD_STOP | SafetyBit.STOPPED_FOR_SAFETY,
        EmergencyStopError,
        "Safeguard stop. Leave the guarded area and reset the safeguard as your cell demands, then connect again.",
    ),
    (
        SafetyBit.RECOVERY,
        NotReadyError,
        "The arm is in recovery mode, beyond one of its safety limits: move it back at the pendant, then connect again.",
    ),
)
"""Most serious first: several bits are set at once."""
