"""Faults that a test can switch on and off, by name."""

from .config import E_SERIES
from .link import Link
from .robot import Robot
from .rtde_server import takes_commands

FAULTS = {
    "protective_stop": (
        "The arm stops and the program pauses. Nothing to clear: unlock it through the dashboard, not before five seconds have "
        "passed (`unlock_after_s`), then play, which goes on with the motion, or stop the program."
    ),
    "emergency_stop": (
        "The arm stops, the program ends, the power goes off. `clear` releases the button; power and brakes are then "
        "switched on through the dashboard."
    ),
    "frozen_stream": "State packets keep coming on RTDE, but time and values stand still; commands still work.",
    "silent_link": (
        "Nothing comes or goes on any port, yet all connections stay open, as with a cable pulled out. New connections are "
        "taken and never answered."
    ),
    "closed_link": "All connections are closed and new ones refused.",
    "dropped_tcp": "All connections are reset once; new ones are welcome. Nothing to clear.",
    "dropped_control": (
        "The connections that commands come on are reset once; those that only listen stay, new ones are welcome. Nothing to clear."
    ),
    "local_control": (
        "The pendant of an e-Series is taken out of remote control: no program upload, no acts by dashboard."
    ),
    "registers_in_use": (
        "Another adapter owns the general input registers that no client holds, `upper=False` (0-23) or True (24-47): it "
        "meets clients that connect afterwards."
    ),
}
"""What each fault does. Those that need no clearing aside, they last until they are cleared."""


def check_fault(name: str) -> None:
    """Refuse a fault that does not exist.

    Raises:
        ValueError: With the names of those that do.
    """
    if name not in FAULTS:
        raise ValueError(f"Unknown fault '{name}'. Available: {', '.join(sorted(FAULTS))}.")


class Faults:
    """The faults of one controller."""

    def __init__(self, robot: Robot, link: Link) -> None:
        self._robot, self._link = robot, link
        self.active: set[str] = set()
        """Those that are on."""

    async def set(self, name: str, *, upper: bool = False) -> None:
        """Switch one on.

        Raises:
            ValueError: If this controller cannot have it.
        """
        robot, link = self._robot, self._link
        match name:
            case "protective_stop":
                robot.protective_stop("fault")
                return
            case "dropped_tcp":
                link.reset()
                robot.note(name)
                return
            case "dropped_control":
                link.reset(takes_commands)
                robot.note(name)
                return
            case "emergency_stop":
                robot.emergency_stop()
            case "silent_link":
                link.cut()
            case "closed_link":
                link.close()
            case "local_control":
                if robot.config.generation is not E_SERIES:
                    raise ValueError("A CB3 has no remote control to leave.")
                robot.remote_control = False
            case "registers_in_use":
                robot.inputs.occupy(upper=upper)
        self.active.add(name)
        robot.note(name, "on")

    async def clear(self, name: str) -> None:
        """Switch one off; harmless if it is not on."""
        if name not in self.active:
            return
        self.active.remove(name)
        self._robot.note(name, "off")
        match name:
            case "emergency_stop":
                self._robot.safety.release_button()
            case "silent_link":
                self._link.mend()
            case "closed_link":
                await self._link.open()
            case "local_control":
                self._robot.remote_control = True
            case "registers_in_use":
                self._robot.inputs.vacate()
