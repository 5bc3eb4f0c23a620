"""`neuraltouch ur-sim` starts, tells what the arm does, and ends cleanly."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lerobot_robot_ur5_tactip.loopback import Record
from lerobot_robot_ur5_tactip.loopback.config import DASHBOARD_PORT
from lerobot_robot_ur5_tactip.verbs.ur_sim import UrSimConfig, tell

COMMAND = [str(Path(sys.executable).with_name("neuraltouch")), "ur-sim"]
HOST = f"127.99.{os.getpid() // 250 % 250}.{os.getpid() % 250 + 1}"


def record(source: str, kind: str, time_s: float, values: tuple[float, ...] = (), detail: str = "") -> Record:  # fmt: skip
    zeros = (0.0,) * 6
    return Record(
        time_s=time_s, wall_s=time_s, source=source, kind=kind, values=values, detail=detail,
        twist=zeros, joint_speeds=zeros, joints=zeros, tcp_pose=(0.5, 0.0, 0.25, 0.0, 0.0, 0.0),
    )  # fmt: skip


def test_a_stream_is_told_in_one_line_and_a_motion_when_it_changes() -> None:
    records = [
        record("event", "program_started", 0.0, detail="rtde_control"),
        record("command", "speedl", 0.1, (0.01, 0.0)),
        record("command", "speedl", 0.2, (0.02, 0.0)),
        record("step", "speedl", 0.2),
        record("step", "speedl", 0.3),
        record("step", "idle", 0.4),
    ]
    assert list(tell(records, "idle")) == [
        "    0.000 s  program started rtde_control",
        "    0.100 s  <- speedl 0.02 0 (2 times)",
        "    0.200 s  the arm: speedl, tcp at (0.5000, 0.0000, 0.2500) m",
        "    0.400 s  the arm: idle, tcp at (0.5000, 0.0000, 0.2500) m",
    ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "ur10"}, "Unknown model 'ur10'. Available: ur5, ur5e."),
        ({"host": "192.168.0.1"}, "host must be an address of 127.0.0.0/8"),
        ({"version": "3.15.8"}, "A ur5e does not run PolyScope 3.15.8."),
        ({"duration_s": -1.0}, "duration_s must not be negative"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        UrSimConfig(**settings)


@pytest.mark.slow
def test_it_serves_until_control_c() -> None:
    process = subprocess.Popen([*COMMAND, f"--host={HOST}"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert HOST in process.stdout.readline()
        with socket.create_connection((HOST, DASHBOARD_PORT)) as client:
            client.settimeout(30)
            assert client.recv(64).startswith(b"Connected")
            client.sendall(b"robotmode\n")
            assert b"RUNNING" in client.recv(64)
            told = process.stdout.readline()
            assert "<- dashboard" in told and "robotmode" in told
            second = subprocess.run(
                [*COMMAND, f"--host={HOST}"], capture_output=True, text=True, check=False
            )
            assert second.returncode == 1 and f"Cannot listen on {HOST}" in second.stderr
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0 and output.endswith("Stopped.\n")
    finally:
        process.kill()
        process.wait()
