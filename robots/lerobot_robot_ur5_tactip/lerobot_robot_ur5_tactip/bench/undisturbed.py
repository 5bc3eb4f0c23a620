"""Jitter and added latency of a stream that nothing interrupts."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from lerobot.utils.robot_utils import precise_sleep

from lerobot_neuraltouch.features import CONTROL_HZ
from lerobot_robot_ur5_tactip.errors import UR5TacTipError
from lerobot_robot_ur5_tactip.loopback import LoopbackController
from lerobot_robot_ur5_tactip.ur5_tactip import UR5TacTip

from .interruptions import reconnect
from .robots import make_action, make_robot
from .timing import describe, jitter, latencies_ms

_SPEED_M_S = 0.002
"""Up and down with this speed: between two actions the ramp has long ended."""
_LOG_FACTOR = 4.0
"""How much longer the controller's log is than the stream, if nothing stops it."""


def run_undisturbed(
    host: str, model: str, num_actions: int, seed: int, folder: Path
) -> dict[str, Any]:
    """Stream actions at 10 Hz, with observations in between, and read the controller's log afterwards.

    On a machine that is too busy the robot stops now and then because its controller's states are late; it then goes on with a
    new connection, and the report says how often.
    """
    robot = make_robot(host, model, folder)
    stream = _Stream(robot, np.random.default_rng(seed))
    log_s = _LOG_FACTOR * num_actions / CONTROL_HZ
    with LoopbackController(host=host, model=model, log_s=log_s) as controller:
        while len(stream.sent_at) < num_actions and len(stream.stops) < num_actions:
            stream.connect_and_send(num_actions - len(stream.sent_at))
        commands = [r for r in controller.records("command") if r.kind == "speedl"]
    latencies = latencies_ms(stream.sent_at, commands)
    return {
        **jitter(stream.connections, 1e3 / robot.config.loop.inner_hz),
        "stops": stream.stops,
        "actions": len(latencies),
        **describe("latency_ms", latencies),
    }


class _Stream:
    """Up, down, up, ...; when each action was sent [s]."""

    def __init__(self, robot: UR5TacTip, rng: np.random.Generator) -> None:
        self._robot, self._rng = robot, rng
        self.sent_at: list[float] = []
        self.connections: list[Sequence[float]] = []
        self.stops: list[str] = []

    def connect_and_send(self, num_actions: int) -> None:
        """Send actions until all are sent or the robot stops."""
        reconnect(self._robot)
        try:
            for _ in range(num_actions):
                self._send()
        except UR5TacTipError as error:
            self.stops.append(f"{type(error).__name__}: {error}")
        self.connections.append(self._robot.followed_at)
        self._robot.disconnect()

    def _send(self) -> None:
        start = time.perf_counter()
        self._robot.get_observation()
        twist = [0.0, 0.0, _SPEED_M_S * (-1) ** len(self.sent_at), 0.0, 0.0, 0.0]
        # At any moment of a tick, not at the same one or two each time.
        precise_sleep(float(self._rng.uniform(0.0, 1.0 / self._robot.config.loop.inner_hz)))
        sent_at = time.monotonic()
        self._robot.send_action(make_action(twist))
        self.sent_at.append(sent_at)
        precise_sleep(max(0.0, 1.0 / CONTROL_HZ - (time.perf_counter() - start)))
