"""Port 29999: the dashboard, one command a line, one answer a line.

Source: Universal Robots, "Dashboard Server e-Series, port 29999" and "Dashboard Server CB-Series, port 29999".
"""

from collections.abc import Callable

from .config import E_SERIES
from .link import Connection, Link
from .robot import CLIENT_PROGRAM, Robot

BANNER = "Connected: Universal Robots Dashboard Server"
SERIAL_NUMBER = "20260000001"
_REMOTE_ONLY = frozenset(
    {"play", "stop", "pause", "power on", "power off", "brake release", "unlock protective stop",
     "load", "restart safety", "close safety popup"}
)  # fmt: skip
"""Commands that act, which a pendant in local control refuses."""


class DashboardConnection(Connection):
    """One client of the dashboard."""

    def __init__(self, link: Link, robot: Robot) -> None:
        super().__init__(link)
        self._robot = robot
        self._buffer = b""

    def opened(self) -> None:
        """Greet."""
        self._say(BANNER)

    def received(self, data: bytes) -> None:
        """Answer whole lines."""
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            command = line.decode("ascii", "replace").strip()
            self._say(answer(self._robot, command))
            if command.lower() == "quit":
                self.transport.close()

    def _say(self, line: str) -> None:
        self.send(line.encode() + b"\n")


def answer(robot: Robot, command: str) -> str:
    """Do what a line of the dashboard says and return the answer."""
    words = command.lower()
    robot.note_command("dashboard", detail=command)
    if not robot.remote_control and any(words.startswith(name) for name in _REMOTE_ONLY):
        return f"Command is not allowed in local control: {command}"
    if words in _ANSWERS:
        return _ANSWERS[words](robot)
    for start, reply in _WITH_ARGUMENT.items():
        if words.startswith(start):
            return reply(command[len(start) :].strip())
    return f'could not understand: "{command}"'


def _play(robot: Robot) -> str:
    return "Starting program" if robot.play() else "Failed to execute: play"


def _stop(robot: Robot) -> str:
    robot.stop_program("dashboard")
    return "Stopped"


def _pause(robot: Robot) -> str:
    return "Pausing program" if robot.pause_program() else "Failed to execute: pause"


def _power_on(robot: Robot) -> str:
    robot.safety.power_on()
    return "Powering on"


def _power_off(robot: Robot) -> str:
    robot.stop_program("power off")
    robot.safety.power_off()
    return "Powering off"


def _release_brakes(robot: Robot) -> str:
    robot.safety.release_brakes()
    return "Brake releasing"


def _unlock(robot: Robot) -> str:
    if robot.unlock():
        return "Protective stop releasing"
    return (
        "Cannot unlock protective stop until 5s after occurrence. "
        "Always inspect cause of protective stop before unlocking"
    )


def _version(robot: Robot) -> str:
    major, minor, bugfix = robot.config.version_numbers
    return f"URSoftware {major}.{minor}.{bugfix}.0 (loopback controller)"


def _only_since(since: tuple[int, int], reply: Callable[[Robot], str]) -> Callable[[Robot], str]:
    """An answer that exists on e-Series from a version on."""
    return lambda robot: (
        reply(robot) if robot.config.is_at_least(since, None) else "could not understand"
    )


_ANSWERS: dict[str, Callable[[Robot], str]] = {
    "play": _play,
    "stop": _stop,
    "pause": _pause,
    "quit": lambda _: "Disconnected",
    "shutdown": lambda _: "Shutting down",
    "running": lambda r: f"Program running: {str(r.program_state == 'playing').lower()}",
    "robotmode": lambda r: f"Robotmode: {r.safety.robot_mode.name}",
    "safetymode": lambda r: f"Safetymode: {r.safety.safety_mode.name}",
    "safetystatus": lambda r: f"Safetystatus: {r.safety.safety_mode.name}",
    "programstate": lambda r: f"{r.program_state.upper()} {CLIENT_PROGRAM}",
    "polyscopeversion": _version,
    "get serial number": _only_since((5, 6), lambda _: SERIAL_NUMBER),
    "is in remote control": _only_since((5, 6), lambda r: str(r.remote_control).lower()),
    "get robot model": lambda r: "UR5" if r.config.generation is not E_SERIES else "UR5e",
    "get loaded program": lambda _: "No program loaded",
    "isprogramsaved": lambda _: f"true {CLIENT_PROGRAM}",
    "close popup": lambda _: "closing popup",
    "close safety popup": lambda _: "closing safety popup",
    "restart safety": lambda _: "Restarting safety",
    "power on": _power_on,
    "power off": _power_off,
    "brake release": _release_brakes,
    "unlock protective stop": _unlock,
}
_WITH_ARGUMENT: dict[str, Callable[[str], str]] = {
    "load ": lambda name: f"File not found: {name}",
    "popup ": lambda _: "showing popup",
    "addtolog ": lambda _: "Added log message",
    "setuserrole ": lambda role: f"Setting user role: {role}",
}
