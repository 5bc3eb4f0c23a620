"""The Robotiq's socket: its grammar, its activation and its strokes."""

import socket

import pytest

from lerobot_robot_ur5_tactip.loopback import LoopbackController
from lerobot_robot_ur5_tactip.loopback.config import GRIPPER_PORT
from lerobot_robot_ur5_tactip.loopback.gripper_server import Gripper, answer


def run(gripper: Gripper, seconds: float) -> None:
    for _ in range(round(seconds / 0.002)):
        gripper.step(0.002)


@pytest.fixture
def active() -> Gripper:
    gripper = Gripper()
    answer(gripper, "SET ACT 1")
    run(gripper, 1.0)
    assert gripper.get("STA") == 3
    return gripper


def test_a_get_is_answered_with_a_line_and_a_set_without() -> None:
    gripper = Gripper()
    assert answer(gripper, "GET STA") == b"STA 0\n"
    assert answer(gripper, "SET POS 128 SPE 64 FOR 10 GTO 1") == b"ack"
    assert answer(gripper, "GET PRE") == b"PRE 128\n"
    assert answer(gripper, "GET SPE") == b"SPE 64\n"
    assert answer(gripper, "GET NOTHING") == b"?\n"
    assert answer(gripper, "SET POS 300") == b"nack"


def test_it_moves_only_when_it_is_active_and_told_to_go(active: Gripper) -> None:
    passive = Gripper()
    for gripper in (passive, active):
        answer(gripper, "SET POS 200 SPE 255")
        run(gripper, 1.0)
        assert gripper.get("POS") == 3
        answer(gripper, "SET GTO 1")
        run(gripper, 1.0)
    assert (passive.get("POS"), active.get("POS")) == (3, 200)
    assert active.get("OBJ") == 3


@pytest.mark.parametrize(("speed", "seconds"), [(255, 85 / 150), (0, 85 / 20)])
def test_a_full_stroke_takes_85_mm_at_the_speed(
    active: Gripper, speed: int, seconds: float
) -> None:
    answer(active, f"SET POS 255 SPE {speed} GTO 1")
    run(active, seconds - 0.05)
    assert active.get("OBJ") == 0 and active.get("POS") < 230
    run(active, 0.1)
    assert active.get("OBJ") == 3 and active.get("POS") == 230


def test_an_object_between_the_fingers_stops_them_on_the_way_in_only(active: Gripper) -> None:
    active.blocked_at = 150
    answer(active, "SET POS 255 SPE 255 GTO 1")
    run(active, 1.0)
    assert (active.get("POS"), active.get("OBJ")) == (150, 2)
    answer(active, "SET POS 0")
    run(active, 1.0)
    assert (active.get("POS"), active.get("OBJ")) == (3, 3)


@pytest.mark.parametrize("model", ["ur5e"])
def test_it_answers_on_its_port_if_it_is_there(arm: LoopbackController) -> None:
    host = arm.config.host
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, GRIPPER_PORT))
    assert arm.state.gripper_position is None
    arm.reset(gripper=True)
    with socket.create_connection((host, GRIPPER_PORT)) as client:
        client.settimeout(30)
        client.sendall(b"GET POS\nSET ACT 1\n")
        reply = b""
        while not reply.endswith(b"ack"):
            reply += client.recv(64)
    assert reply == b"POS 3\nack" and arm.state.gripper_position == 3
