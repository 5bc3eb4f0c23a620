"""Digital and analog outputs, and the speed slider, as clients set them through RTDE."""

from collections.abc import Mapping
from typing import Any

_DIGITAL = {
    # variable: first bit of actual_digital_output_bits
    "standard_digital_output": 0,
    "configurable_digital_output": 8,
    "tool_digital_output": 16,
}


class IoPorts:
    """The control box's outputs. Masks choose which of them a write changes."""

    def __init__(self) -> None:
        self.digital_outputs = 0
        """Bits: 0-7 standard, 8-15 configurable, 16-17 tool."""
        self.analog_outputs = [0.0, 0.0]
        """Share of the range, in [0, 1]."""
        self.analog_types = [0, 0]
        """0 current, 1 voltage."""
        self.speed_fraction = 1.0
        """The speed slider, in [0, 1]."""

    def write(self, values: Mapping[str, Any]) -> None:
        """Apply the outputs among the variables that a client wrote."""
        for name, shift in _DIGITAL.items():
            if name in values and f"{name}_mask" in values:
                mask = int(values[f"{name}_mask"]) << shift
                bits = int(values[name]) << shift
                self.digital_outputs = (self.digital_outputs & ~mask) | (bits & mask)
        if values.get("speed_slider_mask") and "speed_slider_fraction" in values:
            fraction = float(values["speed_slider_fraction"])
            self.speed_fraction = min(max(fraction, 0.0), 1.0)
        for i in range(2):
            if int(values.get("standard_analog_output_mask", 0)) >> i & 1:
                self.analog_outputs[i] = float(values[f"standard_analog_output_{i}"])
                types = int(values.get("standard_analog_output_type", 0))
                self.analog_types[i] = types >> i & 1
