"""The variables that RTDE can send, their types, and where their values come from."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from .config import LoopbackConfig
from .registers import NUM_LOWER, NUM_REGISTERS
from .robot import RUNTIME_STATES, Robot
from .rtde_protocol import NOT_FOUND

_ALWAYS = ((5, 0), (3, 0))
_MAIN_VOLTAGE, _JOINT_CELSIUS, _JOINT_RUNNING = 48.0, 30.0, 253


@dataclass(frozen=True)
class StateVariable:
    """One variable."""

    type: str
    """Its type on the wire."""
    read: Callable[[Robot], Any]
    """Its value now: a number, or an iterable of as many as the type has."""
    since: tuple[tuple[int, int], tuple[int, int] | None] = _ALWAYS
    """First version of the e-Series and of CB3 (None: never) that has it."""


def _zeros(_: Robot) -> list[float]:
    return [0.0] * 6


def _status_bits(robot: Robot) -> int:
    """Power on 0, program running 1, power button 3."""
    powered = robot.safety.robot_mode > 3
    return powered | (robot.program_state == "playing") << 1 | powered << 3


def _variables() -> dict[str, StateVariable]:
    six, double = "VECTOR6D", "DOUBLE"
    table = {
        "timestamp": StateVariable(double, lambda r: r.time_s),
        "robot_mode": StateVariable("INT32", lambda r: r.safety.robot_mode),
        "safety_mode": StateVariable("INT32", lambda r: r.safety.safety_mode),
        "runtime_state": StateVariable("UINT32", lambda r: RUNTIME_STATES[r.program_state]),
        "robot_status_bits": StateVariable("UINT32", _status_bits),
        "safety_status_bits": StateVariable("UINT32", lambda r: r.safety.status_bits),
        "joint_mode": StateVariable("VECTOR6INT32", lambda _: [_JOINT_RUNNING] * 6),
        "joint_temperatures": StateVariable(six, lambda _: [_JOINT_CELSIUS] * 6),
        "actual_joint_voltage": StateVariable(six, lambda _: [_MAIN_VOLTAGE] * 6),
        "actual_main_voltage": StateVariable(double, lambda _: _MAIN_VOLTAGE),
        "actual_robot_voltage": StateVariable(double, lambda _: _MAIN_VOLTAGE),
        "speed_scaling": StateVariable(double, lambda r: r.ports.speed_fraction),
        "target_speed_fraction": StateVariable(double, lambda r: r.ports.speed_fraction),
        "actual_digital_output_bits": StateVariable("UINT64", lambda r: r.ports.digital_outputs),
        "actual_digital_input_bits": StateVariable("UINT64", lambda _: 0),
        "standard_analog_output0": StateVariable(double, lambda r: r.ports.analog_outputs[0]),
        "standard_analog_output1": StateVariable(double, lambda r: r.ports.analog_outputs[1]),
        "actual_TCP_force": StateVariable(six, lambda r: r.shown_wrench.tolist()),
        "ft_raw_wrench": StateVariable(six, lambda r: r.shown_wrench.tolist(), ((5, 9), None)),
        "payload": StateVariable(double, lambda r: r.payload_kg, ((5, 11), (3, 15))),
        "payload_cog": StateVariable("VECTOR3D", lambda r: r.payload_cog_m, ((5, 11), (3, 15))),
        "payload_inertia": StateVariable(six, _zeros, ((5, 11), (3, 15))),
        "tcp_offset": StateVariable(six, lambda r: r.tcp_offset.tolist(), ((5, 6), (3, 11))),
        "actual_current_as_torque": StateVariable(six, _zeros, ((5, 23), None)),
        "actual_tool_accelerometer": StateVariable("VECTOR3D", lambda _: [0.0, 0.0, 9.81]),
        "output_bit_registers0_to_31": StateVariable("UINT32", lambda _: 0),
        "output_bit_registers32_to_63": StateVariable("UINT32", lambda _: 0),
    }
    for prefix in ("actual", "target"):
        table[f"{prefix}_q"] = StateVariable(six, lambda r: r.arm.q.tolist())
        table[f"{prefix}_qd"] = StateVariable(six, lambda r: r.arm.qd.tolist())
        table[f"{prefix}_TCP_pose"] = StateVariable(six, lambda r: r.arm.tcp_pose.tolist())
        table[f"{prefix}_TCP_speed"] = StateVariable(six, lambda r: r.arm.twist.tolist())
        table[f"{prefix}_current"] = StateVariable(six, _zeros)
    table["target_qdd"] = StateVariable(six, lambda r: r.arm.qdd.tolist())
    table |= dict.fromkeys(("target_moment", "joint_control_output"), StateVariable(six, _zeros))
    still = StateVariable(double, lambda _: 0.0)
    table |= dict.fromkeys(
        (
            "actual_execution_time", "actual_momentum", "actual_robot_current",
            "standard_analog_input0", "standard_analog_input1",
        ), still,
    )  # fmt: skip
    return table | _registers()


def _registers() -> dict[str, StateVariable]:
    table = {}
    for i in range(NUM_REGISTERS):
        since = _ALWAYS if i < NUM_LOWER else ((5, 3), (3, 9))
        table[f"output_int_register_{i}"] = StateVariable(
            "INT32", lambda r, i=i: r.outputs.ints[i], since
        )
        table[f"output_double_register_{i}"] = StateVariable(
            "DOUBLE", lambda r, i=i: r.outputs.doubles[i], since
        )
    return table


STATE_VARIABLES = _variables()


def types_of(names: Iterable[str], config: LoopbackConfig) -> list[str]:
    """Type of each variable, NOT_FOUND for those that the controller's version does not have."""
    found = {
        name: variable.type
        for name, variable in STATE_VARIABLES.items()
        if config.is_at_least(*variable.since)
    }
    return [found.get(name, NOT_FOUND) for name in names]


def read_all(names: Iterable[str], robot: Robot) -> list[float]:
    """Values of variables now, one behind the other."""
    values: list[float] = []
    for name in names:
        value = STATE_VARIABLES[name].read(robot)
        if isinstance(value, Iterable):
            values.extend(value)
        else:
            values.append(value)
    return values
