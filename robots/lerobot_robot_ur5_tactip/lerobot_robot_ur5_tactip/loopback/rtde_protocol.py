"""RTDE version 2 on the wire: packets, types and recipes. All numbers are big-endian.

Source: Universal Robots, "Real-Time Data Exchange (RTDE) Guide".
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Any


class PacketType(IntEnum):
    """Second field of a packet's header."""

    VERSION = ord("V")
    CONTROLLER_VERSION = ord("v")
    SETUP_OUTPUTS = ord("O")
    SETUP_INPUTS = ord("I")
    START = ord("S")
    PAUSE = ord("P")
    DATA = ord("U")
    TEXT = ord("M")


HEADER = struct.Struct(">HB")
"""Size of the packet including this header, and its type."""

FORMATS = {
    "BOOL": "?",
    "UINT8": "B",
    "UINT32": "I",
    "UINT64": "Q",
    "INT32": "i",
    "DOUBLE": "d",
    "VECTOR3D": "3d",
    "VECTOR6D": "6d",
    "VECTOR6INT32": "6i",
    "VECTOR6UINT32": "6I",
}
"""How `struct` packs each type."""
VECTORS = frozenset(name for name in FORMATS if name.startswith("VECTOR"))
NOT_FOUND, IN_USE = "NOT_FOUND", "IN_USE"


def pack(kind: PacketType, payload: bytes = b"") -> bytes:
    """One packet."""
    return HEADER.pack(HEADER.size + len(payload), kind) + payload


def unpack_stream(buffer: bytearray) -> Iterator[tuple[int, bytes]]:
    """Take whole packets off the front of what has come: type and payload of each.

    Raises:
        ValueError: If a header announces less than itself.
    """
    while len(buffer) >= HEADER.size:
        size, kind = HEADER.unpack_from(buffer)
        if size < HEADER.size:
            raise ValueError(f"A packet of RTDE has at least {HEADER.size} bytes, got {size}.")
        if len(buffer) < size:
            return
        payload = bytes(buffer[HEADER.size : size])
        del buffer[:size]
        yield kind, payload


def split_names(payload: bytes) -> list[str]:
    """Names of a set-up request; some clients end the list with a comma."""
    return [name for name in payload.decode("ascii").split(",") if name]


@dataclass(frozen=True)
class Recipe:
    """The fields of a data packet, in order."""

    number: int
    """Number of the recipe, the first byte of its packets."""
    names: tuple[str, ...]
    """Variables."""
    types: tuple[str, ...]
    """Their types."""

    @cached_property
    def layout(self) -> struct.Struct:
        """All fields behind the recipe's number."""
        return struct.Struct(">" + "".join(FORMATS[kind] for kind in self.types))

    def pack(self, values: Sequence[float]) -> bytes:
        """A data packet of the flattened values."""
        return pack(PacketType.DATA, bytes([self.number]) + self.layout.pack(*values))

    def unpack(self, payload: bytes) -> dict[str, Any]:
        """Values by name from a payload without the recipe's number.

        `ur_rtde` sends some packets with more or fewer fields than it announced; whole fields that are there are taken.
        """
        values: dict[str, Any] = {}
        offset = 0
        for name, kind in zip(self.names, self.types, strict=True):
            field = struct.Struct(">" + FORMATS[kind])
            if offset + field.size > len(payload):
                break
            numbers = field.unpack_from(payload, offset)
            values[name] = numbers if kind in VECTORS else numbers[0]
            offset += field.size
        return values
