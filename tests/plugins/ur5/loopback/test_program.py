"""The uploaded program's register protocol, played without a network, step by step."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from lerobot_robot_ur5_tactip.loopback.config import LoopbackConfig
from lerobot_robot_ur5_tactip.loopback.robot import Robot

UPLOADED = b"def rtde_control():\n  x = # int register offset\n%d\n  while True:\n  end\nend\n"
STOP, SPEEDL, MOVEJ, MOVEL, SERVOJ, SPEED_STOP, STOPJ, WATCHDOG = 255, 10, 1, 3, 11, 15, 34, 35


class Client:
    """Writes registers as ur_rtde does; its clock moves with the control steps."""

    def __init__(self, model: str = "ur5e", offset: int = 0, **settings: str) -> None:
        self.robot = Robot(LoopbackConfig(model=model, **settings))
        self.robot.now_s = lambda: self.robot.time_s  # type: ignore[method-assign]
        self.offset = offset
        self.robot.upload(UPLOADED % offset)
        self.step()

    def write(self, command: int, doubles: tuple[float, ...] = (), flag: int | None = None) -> None:
        values: dict[str, float] = {f"input_int_register_{self.offset}": command}
        values |= {
            f"input_double_register_{i + self.offset}": value for i, value in enumerate(doubles)
        }
        if flag is not None:
            values[f"input_int_register_{1 + self.offset}"] = flag
        self.robot.write_inputs(values)

    def step(self, num: int = 1) -> None:
        for _ in range(num):
            self.robot.step()

    def output(self, register: int) -> int:
        return self.robot.outputs.ints[register + self.offset]

    def finish(self) -> int:
        """Steps until the program says done; then clear the command as the client does."""
        for num in range(100_000):
            if self.output(0) == 2:
                self.write(0)
                self.step()
                return num
            self.step()
        raise AssertionError("The command never ended.")

    def events(self, kind: str) -> list[str]:
        return [r.detail for r in self.robot.log.records if (r.source, r.kind) == ("event", kind)]


def joints_off(client: Client, first: float) -> tuple[float, ...]:
    q = client.robot.arm.q.copy()
    q[0] += first
    return tuple(q)


@pytest.mark.parametrize("offset", [0, 24])
def test_a_command_is_done_once_and_ready_again_when_it_is_cleared(offset: int) -> None:
    client = Client(offset=offset)
    assert client.output(0) == 1
    client.write(MOVEJ, (*joints_off(client, 0.1), 1.0, 2.0), flag=0)
    client.step(2)
    assert client.robot.arm.motion_name == "movej"
    while client.output(0) != 2:
        client.step()
    place = client.robot.arm.q.copy()
    client.step(50)  # the command is still there, and is not executed again
    assert client.output(0) == 2 and client.robot.arm.is_still
    client.write(0)
    client.step()
    assert client.output(0) == 1
    assert_allclose(client.robot.arm.q, place)


def test_a_stream_leaves_the_program_ready_and_goes_on_without_its_client() -> None:
    client = Client()
    client.write(SPEEDL, (0.02, 0, 0, 0, 0, 0, 0.5, 0.0))
    client.step(300)
    assert client.output(0) == 1
    assert_allclose(client.robot.arm.twist[:3], [0.02, 0, 0], atol=1e-9)


def test_the_time_of_a_speed_command_does_not_end_it() -> None:
    client = Client()
    client.write(SPEEDL, (0.02, 0, 0, 0, 0, 0, 0.5, 0.1))
    client.step(150)
    assert_allclose(client.robot.arm.twist[0], 0.02, atol=1e-9)


def test_an_asynchronous_move_is_done_at_once_and_tells_its_progress() -> None:
    client = Client()
    before = client.output(2)
    client.write(MOVEJ, (*joints_off(client, 0.3), 1.0, 2.0), flag=1)
    assert client.finish() <= 1
    running = client.output(2)
    assert running >> 15 & 1 and (running >> 24) == (before >> 24) + 1
    client.step(500)
    assert not client.output(2) >> 15 & 1 and client.robot.arm.is_still


def test_stops_are_joint_stops_until_one_was_asynchronous() -> None:
    """As the uploaded program has it: what the client calls, stopL or stopJ, makes no difference."""
    client = Client()
    kinds = []
    for flag in (0, 1, 0):
        client.write(MOVEJ, (*joints_off(client, 0.5), 1.0, 2.0), flag=1)
        client.finish()
        client.step(100)
        client.write(STOPJ, (2.0,), flag=flag)
        client.step(2)
        kinds.append(client.robot.arm.motion_name)
        client.finish()
        client.step(500)
    assert kinds == ["stopj", "stopl", "stopl"]


def test_two_threads_that_move_the_arm_end_the_program() -> None:
    client = Client()
    client.write(SPEEDL, (0.02, 0, 0, 0, 0, 0, 0.5, 0.0))
    client.step(100)
    client.write(MOVEJ, (*joints_off(client, 0.1), 1.0, 2.0), flag=0)
    client.step(200)
    assert client.robot.program_state == "stopped" and client.robot.arm.is_still
    assert client.events("program_stopped") == [
        "error: thread 'speed' is already controlling the arm"
    ]


def test_a_pose_out_of_reach_ends_the_program() -> None:
    client = Client()
    client.write(MOVEL, (2.0, 0, 0, 0, 0, 0, 0.1, 0.1), flag=0)
    client.step(2)
    assert client.robot.program_state == "stopped"
    assert "cannot reach" in client.events("program_stopped")[0]


def test_a_watchdog_trips_after_its_period_of_silence_and_the_arm_stops() -> None:
    """5 Hz: 0.2 s. At 0.1 m/s the joints, slower than 0.5 rad/s, are stopped within 0.05 s at 10 rad/s^2."""
    client = Client()
    client.write(WATCHDOG, (5.0,))
    client.finish()
    for _ in range(10):  # 10 Hz for a second
        client.write(SPEEDL, (0.1 * math.cos(client.robot.time_s * 4), 0, 0, 0, 0, 0, 1.0, 0.0))
        client.step(50)
    assert client.robot.program_state == "playing"
    last = client.robot.time_s - 50 * 0.002
    while client.robot.program_state == "playing":
        client.step()
    assert abs(client.robot.time_s - last - 0.2) < 3 * 0.002
    client.step(25)
    assert client.robot.arm.is_still and client.robot.watchdog is None
    assert len(client.events("watchdog_tripped")) == 1


def test_any_write_of_the_command_register_feeds_the_watchdog() -> None:
    client = Client()
    client.write(WATCHDOG, (5.0,))
    client.finish()
    for _ in range(20):
        client.write(0)  # what kickWatchdog sends
        client.step(90)
    assert client.robot.program_state == "playing"


def test_a_blocking_move_starves_the_watchdog() -> None:
    client = Client()
    client.write(WATCHDOG, (5.0,))
    client.finish()
    client.write(MOVEJ, (*joints_off(client, 0.8), 1.0, 2.0), flag=0)
    client.step(500)
    assert client.robot.program_state == "stopped" and client.robot.arm.is_still


def test_a_watchdog_of_zero_hertz_trips_at_once() -> None:
    client = Client()
    client.write(WATCHDOG, (0.0,))
    client.step(3)
    assert client.robot.program_state == "stopped"


def test_a_watchdog_may_trip_as_a_protective_stop() -> None:
    client = Client(watchdog_action="protective_stop")
    client.write(WATCHDOG, (5.0,))
    client.finish()
    client.step(200)
    assert client.robot.safety.safety_mode.name == "PROTECTIVE_STOP"
    assert client.robot.program_state == "paused"


def test_after_a_protective_stop_play_goes_on_with_the_motion() -> None:
    """The hazard that UR warns of: stop the program first."""
    client = Client()
    client.write(SPEEDL, (0.02, 0, 0, 0, 0, 0, 0.5, 0.0))
    client.step(100)
    client.robot.protective_stop("test")
    client.step(100)
    assert client.robot.arm.is_still and not client.robot.play()
    assert not client.robot.unlock()
    client.step(2500)
    assert client.robot.unlock()
    client.step(10)
    assert client.robot.arm.is_still
    assert client.robot.play()
    client.step(100)
    assert_allclose(client.robot.arm.twist[0], 0.02, atol=1e-9)


@pytest.mark.parametrize(("seconds", "unlocked"), [(4.99, False), (5.01, True)])
def test_a_protective_stop_is_unlocked_after_five_seconds(seconds: float, unlocked: bool) -> None:
    client = Client(model="ur5")
    client.robot.protective_stop("test")
    client.step(round(seconds / 0.008))
    assert client.robot.unlock() is unlocked


def test_leaving_the_arms_limits_is_a_protective_stop() -> None:
    client = Client()
    client.robot.place([0, -1.5, 3.1, -1.5, -1.5, 0])
    client.write(9, (0, 0, 0.5, 0, 0, 0, 5.0, 0.0))  # speedj
    client.step(300)
    assert client.robot.safety.safety_mode.name == "PROTECTIVE_STOP"
    assert client.events("protective_stop") == ["joint limit"] and client.robot.arm.is_still


def test_an_emergency_stop_ends_the_program_and_the_way_back_is_power_and_brakes() -> None:
    client = Client()
    client.write(SPEEDL, (0.1, 0, 0, 0, 0, 0, 1.0, 0.0))
    client.step(100)
    client.robot.emergency_stop()
    client.step(50)
    assert client.robot.arm.is_still and client.robot.program_state == "stopped"
    client.robot.upload(UPLOADED % 0)
    assert client.robot.program_state == "stopped"
    client.robot.safety.release_button()
    client.robot.safety.power_on()
    assert client.robot.safety.robot_mode.name == "IDLE"
    client.robot.safety.release_brakes()
    client.robot.upload(UPLOADED % 0)
    assert client.robot.program_state == "playing"


def test_a_zero_centre_of_gravity_keeps_the_old_one_on_e_series_only() -> None:
    for model, expected in (("ur5e", (0.0, 0.0, 0.05)), ("ur5", (0.0, 0.0, 0.0))):
        client = Client(model=model)
        for payload in ((1.0, 0.0, 0.0, 0.05), (1.5, 0.0, 0.0, 0.0)):
            client.write(17, payload)
            client.finish()
        assert (client.robot.payload_kg, client.robot.payload_cog_m) == (1.5, expected)


def test_every_command_and_every_step_is_in_the_log() -> None:
    client = Client()
    client.robot.log.records.clear()
    for i in range(5):
        client.write(SPEEDL, (0.01 * i, 0, 0, 0, 0, 0.02, 0.5, 0.0))
    client.step(10)
    records = list(client.robot.log.records)
    commands = [r for r in records if r.source == "command"]
    assert [r.kind for r in commands] == ["speedl"] * 5
    assert_allclose([r.twist[0] for r in commands], 0.01 * np.arange(5))
    assert_allclose([r.twist[5] for r in commands], 0.02)
    steps = [r for r in records if r.source == "step"]
    assert len(steps) == 10 and steps[-1].speed > 0 and steps[-1].kind == "speedl"
    assert_allclose(np.diff([r.time_s for r in steps]), 0.002)


def test_commands_to_a_stopped_program_are_logged_but_move_nothing() -> None:
    client = Client()
    client.robot.stop_program("test")
    client.write(SPEEDL, (0.1, 0, 0, 0, 0, 0, 0.5, 0.0))
    client.step(50)
    assert client.robot.log.records[-51].detail == "program stopped"
    assert client.robot.arm.is_still


def test_unsupported_commands_are_told_once() -> None:
    client = Client()
    client.write(6, ())
    client.step(10)
    assert client.events("unsupported_command") == ["force_mode"]
    client.write(18, ())
    client.finish()
    assert client.events("unsupported_command") == ["force_mode", "teach_mode"]


def test_the_stop_command_ends_the_program() -> None:
    client = Client()
    client.write(STOP)
    client.step()
    assert client.robot.program_state == "stopped"


def test_another_program_than_the_clients_ends_by_itself() -> None:
    client = Client()
    client.robot.upload(b"def hello():\n  popup()\nend\n")
    client.step(2)
    assert client.robot.program_state == "stopped"
    assert client.events("program_started") == ["rtde_control", "hello"]


def test_records_are_selected_by_source_and_time() -> None:
    client = Client()
    client.write(SPEEDL, (0.01, 0, 0, 0, 0, 0, 0.5, 0.0))
    client.step(100)
    log = client.robot.log
    assert log.select((), 0.0) == list(log.records)
    assert {r.source for r in log.select(("command", "event"), 0.0)} == {"command", "event"}
    assert min(r.time_s for r in log.select(("step",), 0.1)) >= 0.1
