"""Port 30004: RTDE. Clients choose what they want to be sent and what they will write, then packets go both ways."""

import struct

from .link import Connection, Link
from .robot import Robot
from .rtde_protocol import (
    IN_USE,
    NOT_FOUND,
    PacketType,
    Recipe,
    pack,
    split_names,
    unpack_stream,
)
from .state_variables import read_all, types_of

PROTOCOL_VERSION = 2


class RtdeConnection(Connection):
    """One client of RTDE."""

    def __init__(self, link: Link, robot: Robot) -> None:
        super().__init__(link)
        self._robot = robot
        self._buffer = bytearray()
        self._inputs: list[Recipe | None] = []
        self._output: Recipe | None = None
        self._every = 1
        self._is_started = False
        self._last_packet = b""

    @property
    def has_inputs(self) -> bool:
        """Whether the client writes variables, not only reads them."""
        return bool(self._inputs)

    def received(self, data: bytes) -> None:
        """Answer whole packets."""
        self._buffer += data
        try:
            for kind, payload in unpack_stream(self._buffer):
                self._handle(kind, payload)
        except (ValueError, struct.error) as error:
            self._robot.note("rtde_nonsense", str(error))
            self.transport.abort()

    def closed(self) -> None:
        """Free the client's input variables."""
        self._robot.inputs.release(self)

    def stream(self, *, frozen: bool) -> None:
        """Send the state after a control step, at the rate that the client asked for; if frozen, the last one again."""
        if not self._is_started or self._output is None or self._robot.num_steps % self._every:
            return
        if not frozen or not self._last_packet:
            self._last_packet = self._output.pack(read_all(self._output.names, self._robot))
        self.send(self._last_packet)

    # --- requests ----------------------------------------------------------------------------------------------------

    def _handle(self, kind: int, payload: bytes) -> None:
        if kind == PacketType.DATA:
            self._take(payload)
        elif kind == PacketType.VERSION:
            self._reply(kind, bytes([struct.unpack(">H", payload)[0] == PROTOCOL_VERSION]))
        elif kind == PacketType.CONTROLLER_VERSION:
            self._reply(kind, struct.pack(">4I", *self._robot.config.version_numbers, 0))
        elif kind == PacketType.SETUP_OUTPUTS:
            self._set_up_outputs(payload)
        elif kind == PacketType.SETUP_INPUTS:
            self._set_up_inputs(payload)
        elif kind == PacketType.START:
            self._is_started = self._output is not None
            self._reply(kind, bytes([self._is_started]))
        elif kind == PacketType.PAUSE:
            self._is_started = False
            self._reply(kind, b"\1")

    def _set_up_outputs(self, payload: bytes) -> None:
        (wanted_hz,) = struct.unpack_from(">d", payload)
        names = split_names(payload[8:])
        types = types_of(names, self._robot.config)
        rate_hz = self._robot.config.generation.rate_hz
        number = 0
        if NOT_FOUND not in types and wanted_hz > 0:
            number, self._output = 1, Recipe(1, tuple(names), tuple(types))
            self._every = max(1, round(rate_hz / wanted_hz))
        self._reply(PacketType.SETUP_OUTPUTS, bytes([number]) + ",".join(types).encode())

    def _set_up_inputs(self, payload: bytes) -> None:
        names = split_names(payload)
        types = self._robot.inputs.reserve(names, self)
        refused = NOT_FOUND in types or IN_USE in types
        number = 0 if refused else len(self._inputs) + 1
        # The client counts its recipes by itself, refused ones included.
        self._inputs.append(None if refused else Recipe(number, tuple(names), tuple(types)))
        self._reply(PacketType.SETUP_INPUTS, bytes([number]) + ",".join(types).encode())

    def _take(self, payload: bytes) -> None:
        number = payload[0] if payload else 0
        recipe = self._inputs[number - 1] if 0 < number <= len(self._inputs) else None
        if recipe is None:
            raise ValueError(f"There is no input recipe {number}.")
        self._robot.write_inputs(recipe.unpack(payload[1:]))

    def _reply(self, kind: int, payload: bytes) -> None:
        self.send(pack(PacketType(kind), payload))


def takes_commands(connection: Connection) -> bool:
    """Whether a connection is one of RTDE whose client has set up inputs."""
    return isinstance(connection, RtdeConnection) and connection.has_inputs
