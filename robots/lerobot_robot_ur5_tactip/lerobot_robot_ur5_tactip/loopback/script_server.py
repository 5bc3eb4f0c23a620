"""Port 30003: takes programs, and sends the state in the old format, whether or not the client reads it.

`ur_rtde` never does. Once its receive buffer is full the connection is closed, so a program that is sent later on the same connection is
lost: `reuploadScript` says True and nothing runs.

Source of the format: Universal Robots, "Remote Control via TCP/IP", client interface of 30003 (real-time).
"""

import re
import socket
import struct

from .link import Connection, Link
from .robot import Robot

_SEND_BUFFER_BYTES = 1 << 18
_PROGRAM_END = re.compile(rb"^end[ \t\r]*\n", re.MULTILINE)
_MAX_PROGRAM_BYTES = 1 << 20


class ScriptConnection(Connection):
    """One client of port 30003."""

    def __init__(self, link: Link, robot: Robot) -> None:
        super().__init__(link)
        self._robot = robot
        self._buffer = b""

    def opened(self) -> None:
        """Keep the kernel's buffer at a known size."""
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)

    def received(self, data: bytes) -> None:
        """Collect lines up to the end of a program, an `end` that is not indented."""
        self._buffer += data
        while (end := _PROGRAM_END.search(self._buffer)) is not None:
            program, self._buffer = self._buffer[: end.end()], self._buffer[end.end() :]
            self._robot.upload(program)
        if len(self._buffer) > _MAX_PROGRAM_BYTES:
            self.transport.abort()

    def stream(self) -> None:
        """Send the state after a control step."""
        if self.transport.get_write_buffer_size():
            self._robot.note("script_connection_closed", "the client does not read")
            self.transport.abort()
        else:
            self.send(state_packet(self._robot))


def state_packet(robot: Robot) -> bytes:
    """The real-time state: its size, then doubles in an order that grew with the versions; the newest are left zero."""
    arm, zeros = robot.arm, [0.0] * 6
    q, qd, pose, twist = (a.tolist() for a in (arm.q, arm.qd, arm.tcp_pose, arm.twist))
    values = [robot.time_s, *q, *qd, *arm.qdd.tolist(), *zeros, *zeros]  # targets
    values += [*q, *qd, *zeros, *zeros]  # actual, with currents
    values += [*pose, *twist, *robot.shown_wrench.tolist(), *pose, *twist]
    values += [0.0, *zeros, 0.0, 0.0, float(robot.safety.robot_mode), *zeros]
    values += [float(robot.safety.safety_mode)]
    size = robot.config.generation.stream_bytes
    layout = struct.Struct(f">i{(size - 4) // 8}d")
    values += [0.0] * ((size - 4) // 8 - len(values))
    return layout.pack(size, *values)
