"""RTDE's input variables and output registers: what clients write and what programs write."""

from collections.abc import Iterable, Mapping
from typing import Any

from .rtde_protocol import IN_USE, NOT_FOUND

NUM_REGISTERS, NUM_LOWER = 48, 24
"""General registers of each kind; the first half belongs to fieldbus adapters when one is on."""


def _input_types() -> dict[str, str]:
    types = {
        "speed_slider_mask": "UINT32",
        "speed_slider_fraction": "DOUBLE",
        "standard_digital_output_mask": "UINT8",
        "configurable_digital_output_mask": "UINT8",
        "standard_digital_output": "UINT8",
        "configurable_digital_output": "UINT8",
        "tool_digital_output_mask": "UINT8",
        "tool_digital_output": "UINT8",
        "standard_analog_output_mask": "UINT8",
        "standard_analog_output_type": "UINT8",
        "standard_analog_output_0": "DOUBLE",
        "standard_analog_output_1": "DOUBLE",
        "external_force_torque": "VECTOR6D",
        "input_bit_registers0_to_31": "UINT32",
        "input_bit_registers32_to_63": "UINT32",
    }
    types |= {f"input_bit_register_{i}": "BOOL" for i in range(64, 128)}
    types |= {f"input_int_register_{i}": "INT32" for i in range(NUM_REGISTERS)}
    types |= {f"input_double_register_{i}": "DOUBLE" for i in range(NUM_REGISTERS)}
    return types


INPUT_TYPES = _input_types()
"""Types of all variables that clients may write."""


class Inputs:
    """Variables that clients write, each reserved for one client until it leaves. They keep their last values."""

    def __init__(self) -> None:
        self.ints = [0] * NUM_REGISTERS
        self.doubles = [0.0] * NUM_REGISTERS
        self.written_at: dict[str, float] = {}
        """Last time each general register was written [s], by the clock of the writer's caller."""
        self._owners: dict[str, object] = {}
        self._adapter: object = object()

    def reserve(self, names: Iterable[str], owner: object) -> list[str]:
        """Types of variables, now reserved for a client; NOT_FOUND or IN_USE in place of a type refuses all of them."""
        names = list(names)
        types = [self._type_for(name, owner) for name in names]
        if not {NOT_FOUND, IN_USE} & set(types):
            self._owners.update(dict.fromkeys(names, owner))
        return types

    def release(self, owner: object) -> None:
        """Free all variables of a client."""
        self._owners = {name: held for name, held in self._owners.items() if held is not owner}

    def occupy(self, *, upper: bool) -> None:
        """Reserve half of the general registers for a fieldbus adapter; clients that hold some keep them."""
        numbers = range(NUM_LOWER, NUM_REGISTERS) if upper else range(NUM_LOWER)
        for number in numbers:
            for kind in ("int", "double"):
                self._owners.setdefault(f"input_{kind}_register_{number}", self._adapter)

    def vacate(self) -> None:
        """Free what `occupy` reserved."""
        self.release(self._adapter)

    def is_reserved_by_client(self, name: str) -> bool:
        """Whether a client holds a variable."""
        return self._owners.get(name, self._adapter) is not self._adapter

    def write(self, values: Mapping[str, Any], now_s: float) -> None:
        """Take over what a client wrote into general registers."""
        for name, value in values.items():
            prefix, _, number = name.rpartition("_")
            if prefix == "input_int_register":
                self.ints[int(number)] = int(value)
            elif prefix == "input_double_register":
                self.doubles[int(number)] = float(value)
            else:
                continue
            self.written_at[name] = now_s

    def _type_for(self, name: str, owner: object) -> str:
        if name not in INPUT_TYPES:
            return NOT_FOUND
        return INPUT_TYPES[name] if self._owners.get(name, owner) is owner else IN_USE


class Outputs:
    """General registers that programs write and clients read."""

    def __init__(self) -> None:
        self.ints = [0] * NUM_REGISTERS
        self.doubles = [0.0] * NUM_REGISTERS
