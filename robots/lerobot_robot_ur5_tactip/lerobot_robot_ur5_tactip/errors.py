"""What can go wrong with the arm. Each of these has stopped it already when it is raised."""


class UR5TacTipError(RuntimeError):
    """The arm was stopped; its message says why and what to do. Nothing here is ever retried or cleared by code."""


class LinkError(UR5TacTipError):
    """The controller cannot be reached, refuses, or its state no longer advances."""


class NotReadyError(UR5TacTipError):
    """The controller is reachable, but not in a condition in which it may be moved."""


class ProtectiveStopError(UR5TacTipError):
    """The controller is in protective stop. Only a person may end it: `neuraltouch recover`."""


class EmergencyStopError(UR5TacTipError):
    """Emergency stop, safeguard stop, safety violation or fault: to be cleared at the robot, never here."""


class ProgramStoppedError(UR5TacTipError):
    """The controller's program ended: its watchdog fired, or somebody stopped it."""


class ForceLimitError(UR5TacTipError):
    """Force or torque at the tool exceeded its limit."""


class TouchOverloadError(UR5TacTipError):
    """A tactile picture differs more from its contact-free reference than its limit."""


class CameraStalledError(UR5TacTipError):
    """A camera delivers no new pictures."""


class GripperError(UR5TacTipError):
    """The gripper is lost, not activated or in fault."""


class LoopError(UR5TacTipError):
    """The thread that commands the arm ended or hangs."""
