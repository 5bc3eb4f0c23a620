"""RTDE on the wire, byte by byte as Universal Robots' guide lays it down, and the rules of its variables."""

import struct

import pytest

from lerobot_robot_ur5_tactip.loopback.config import LoopbackConfig
from lerobot_robot_ur5_tactip.loopback.io_ports import IoPorts
from lerobot_robot_ur5_tactip.loopback.registers import Inputs
from lerobot_robot_ur5_tactip.loopback.robot import Robot
from lerobot_robot_ur5_tactip.loopback.rtde_protocol import (
    PacketType,
    Recipe,
    pack,
    split_names,
    unpack_stream,
)
from lerobot_robot_ur5_tactip.loopback.script_server import state_packet
from lerobot_robot_ur5_tactip.loopback.state_variables import STATE_VARIABLES, read_all, types_of

SPEED_RECIPE = Recipe(
    13,
    ("input_int_register_0", *(f"input_double_register_{i}" for i in range(8))),
    ("INT32", *["DOUBLE"] * 8),
)


def test_a_packet_is_its_size_its_type_and_its_payload() -> None:
    assert pack(PacketType.VERSION, b"\x00\x02") == bytes([0, 5, 86, 0, 2])
    assert pack(PacketType.START) == bytes([0, 3, 83])


def test_packets_are_found_however_the_bytes_arrive() -> None:
    sent = [(ord("V"), b"\0\2"), (ord("v"), b""), (ord("U"), b"\1" + bytes(300))]
    stream = b"".join(pack(PacketType(kind), payload) for kind, payload in sent)
    buffer, received = bytearray(), []
    for byte in stream:
        buffer.append(byte)
        received += unpack_stream(buffer)
    assert received == sent and not buffer


def test_a_size_below_that_of_a_header_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 3 bytes, got 2"):
        list(unpack_stream(bytearray(b"\0\2U")))


def test_a_data_packet_by_hand() -> None:
    recipe = Recipe(1, ("timestamp", "robot_mode", "payload_cog"), ("DOUBLE", "INT32", "VECTOR3D"))
    packet = recipe.pack([0.5, 7, 1.0, -2.0, 0.0])
    assert packet == bytes.fromhex(
        "0028" "55" "01" "3fe0000000000000" "00000007"
        "3ff0000000000000" "c000000000000000" "0000000000000000"
    )  # fmt: skip
    assert recipe.unpack(packet[4:]) == {
        "timestamp": 0.5,
        "robot_mode": 7,
        "payload_cog": (1.0, -2.0, 0.0),
    }


@pytest.mark.parametrize(("num_bytes", "num_fields"), [(0, 0), (4, 1), (11, 1), (12, 2), (68, 9), (90, 9)])  # fmt: skip
def test_whole_fields_of_a_packet_of_another_length_are_taken(
    num_bytes: int, num_fields: int
) -> None:
    assert len(SPEED_RECIPE.unpack(bytes(num_bytes))) == num_fields


def test_a_trailing_comma_names_nothing() -> None:
    assert split_names(b"timestamp,actual_q,") == ["timestamp", "actual_q"]


@pytest.mark.parametrize("model", ["ur5", "ur5e"])
def test_every_variable_has_as_many_values_as_its_type(model: str) -> None:
    robot = Robot(LoopbackConfig(model=model))
    for name, variable in STATE_VARIABLES.items():
        Recipe(1, (name,), (variable.type,)).pack(read_all([name], robot))


@pytest.mark.parametrize(
    ("model", "version", "missing"),
    [
        ("ur5e", "5.12.4", {"actual_current_as_torque"}),
        ("ur5e", "5.23.0", set()),
        ("ur5e", "5.8.0", {"actual_current_as_torque", "ft_raw_wrench", "payload"}),
        ("ur5", "3.15.8", {"actual_current_as_torque", "ft_raw_wrench"}),
        ("ur5", "3.8.0", {"actual_current_as_torque", "ft_raw_wrench", "payload", "output_int_register_24"}),
    ],
)  # fmt: skip
def test_variables_came_with_versions(model: str, version: str, missing: set[str]) -> None:
    names = ["actual_current_as_torque", "ft_raw_wrench", "payload", "output_int_register_24", "q"]
    types = types_of(names, LoopbackConfig(model=model, version=version))
    assert {n for n, t in zip(names, types, strict=True) if t == "NOT_FOUND"} == missing | {"q"}


def test_an_input_variable_belongs_to_one_client_until_it_leaves() -> None:
    inputs, first, second = Inputs(), object(), object()
    names = ["input_int_register_0", "speed_slider_mask"]
    assert inputs.reserve(names, first) == ["INT32", "UINT32"]
    assert inputs.reserve(names[:1], first) == ["INT32"]
    assert inputs.reserve(["input_int_register_1", names[0]], second) == ["INT32", "IN_USE"]
    assert inputs.reserve(["input_int_register_1"], first) == ["INT32"]  # not kept by a refusal
    inputs.release(first)
    assert inputs.reserve(names, second) == ["INT32", "UINT32"]


def test_an_adapter_takes_half_of_the_registers_and_gives_them_back() -> None:
    inputs, client = Inputs(), object()
    inputs.occupy(upper=False)
    lower, upper = ["input_double_register_23"], ["input_double_register_24"]
    assert inputs.reserve(lower, client) == ["IN_USE"]
    assert inputs.reserve(upper, client) == ["DOUBLE"]
    inputs.vacate()
    assert inputs.reserve(lower, client) == ["DOUBLE"]


def test_masks_choose_the_outputs_that_change() -> None:
    ports = IoPorts()
    ports.write({"standard_digital_output_mask": 0b110, "standard_digital_output": 0b011})
    ports.write({"tool_digital_output_mask": 0b1, "tool_digital_output": 0b1})
    assert ports.digital_outputs == 1 << 16 | 0b010
    ports.write({"speed_slider_mask": 0, "speed_slider_fraction": 0.3})
    assert ports.speed_fraction == 1.0
    ports.write({"speed_slider_mask": 1, "speed_slider_fraction": 0.3})
    assert ports.speed_fraction == 0.3


@pytest.mark.parametrize(("model", "size"), [("ur5", 1116), ("ur5e", 1220)])
def test_the_old_stream_has_its_size_and_the_joints_behind_the_targets(
    model: str, size: int
) -> None:
    robot = Robot(LoopbackConfig(model=model))
    packet = state_packet(robot)
    assert len(packet) == size and struct.unpack_from(">i", packet) == (size,)
    # time, five vectors of targets, then the actual joint angles: doubles 31 to 36
    assert struct.unpack_from(">6d", packet, 4 + 8 * 31) == robot.config.joints
