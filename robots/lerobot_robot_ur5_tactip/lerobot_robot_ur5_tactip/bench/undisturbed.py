"""Jitter and added latency of a stream that nothing interrupts."""

import time
from pathlib import Path
from typing import Any

import numpy as np
from lerobot.utils.robot_utils import precise_sleep

from lerobot_neuraltouch.features import CONTROL_HZ
from lerobot_robot_ur5_tactip.loopback import LoopbackController
from lerobot_robot_ur5_tactip.ur5_tactip import UR5TacTip

from .robots import make_action, make_robot
from .timing import describe, jitter, latencies_ms

_SPEED_M_S = 0.002
"""Up and down with this speed: between two actions the ramp has long ended."""


def run_undisturbed(
    host: str, model: str, num_actions: int, seed: int, folder: Path
) -> dict[str, Any]:
    """Stream actions at 10 Hz, with observations in between, and read the controller's log afterwards."""
    robot = make_robot(host, model, folder)
    rng = np.random.default_rng(seed)
    with LoopbackController(
        host=host, model=model, log_s=2.0 * num_actions / CONTROL_HZ + 60.0
    ) as controller:
        robot.connect()
        try:
            sent_at = _stream(robot, num_actions, rng)
            followed_at = list(robot.followed_at)
        finally:
            robot.disconnect()
        commands = [r for r in controller.records("command") if r.kind == "speedl"]
    latencies = latencies_ms(sent_at[1:], commands)  # the first one starts the watchdog too
    return {
        **jitter([followed_at], 1e3 / robot.config.loop.inner_hz),
        "actions": len(latencies),
        **describe("latency_ms", latencies),
    }


def _stream(robot: UR5TacTip, num_actions: int, rng: np.random.Generator) -> list[float]:
    """Up, down, up, ...; when each was sent [s]."""
    period_s = 1.0 / CONTROL_HZ
    tick_s = 1.0 / robot.config.loop.inner_hz
    sent_at = []
    for number in range(num_actions):
        start = time.perf_counter()
        robot.get_observation()
        twist = [0.0, 0.0, _SPEED_M_S * (-1) ** number, 0.0, 0.0, 0.0]
        # At any moment of a tick, not at the same one or two each time.
        precise_sleep(float(rng.uniform(0.0, tick_s)))
        sent_at.append(time.monotonic())
        robot.send_action(make_action(twist))
        precise_sleep(max(0.0, period_s - (time.perf_counter() - start)))
    return sent_at
