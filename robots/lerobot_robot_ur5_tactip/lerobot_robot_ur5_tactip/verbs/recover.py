"""`neuraltouch recover`: lead a person out of a protective stop. Nothing calls it, and it does nothing unasked.

Resetting protective stops automatically is prohibited by the manufacturer; a person looks first, and confirms each step here.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import draccus
from lerobot.robots import RobotConfig
from lerobot.utils.import_utils import register_third_party_plugins

from lerobot_robot_ur5_tactip.arm import SafetyBit
from lerobot_robot_ur5_tactip.config_ur5_tactip import UR5TacTipConfig
from lerobot_robot_ur5_tactip.errors import NotReadyError, UR5TacTipError
from lerobot_robot_ur5_tactip.rtde_arm import RtdeArm
from lerobot_robot_ur5_tactip.ur_rtde import open_dashboard, open_receive

from .robot_flag import require_ur5_tactip

Ask = Callable[[str], str]

_UNLOCKED_S = 5.0
"""How long the controller may take to show that it is unlocked [s]."""


@dataclass
class RecoverConfig:
    """Settings of `neuraltouch recover`."""

    robot: RobotConfig | None = None
    """The robot, with the flags of LeRobot's commands."""


def main() -> None:
    """End a protective stop, step by step, with a person who looks at the arm and confirms each step."""
    if not sys.stdin.isatty():
        raise ValueError(
            "neuraltouch recover needs a person at a terminal; it does not run from scripts."
        )
    register_third_party_plugins()
    config = require_ur5_tactip(draccus.parse(RecoverConfig).robot)
    if config.mode == "dry_run":
        raise ValueError(
            "A dry run has nothing to recover from: set --robot.mode and --robot.host."
        )
    try:
        recover(config, input)
    except UR5TacTipError as error:
        raise ValueError(str(error)) from error


def recover(config: UR5TacTipConfig, ask: Ask) -> None:
    """Go through the steps; every one is announced before it is done.

    Args:
        config: The robot.
        ask: Shows a question and returns what the person typed.

    Raises:
        UR5TacTipError: If the controller is not in protective stop or does not come out of it.
        ValueError: If the person does not confirm; nothing further is done.
    """
    dashboard = open_dashboard(config.host or "")
    try:
        _end_stop(config, dashboard, ask)
    finally:
        dashboard.disconnect()
    _confirm(
        ask,
        "Step 4: load a fresh program and set tcp and payload again. The arm does not move.",
        "connect",
    )
    arm = RtdeArm(config)
    arm.connect()
    arm.disconnect()
    print(
        "Done. The old motion is gone. Bring the arm to a new start pose at the pendant, away from what it met, before you "
        "record or run a policy."
    )


def _end_stop(config: UR5TacTipConfig, dashboard: Any, ask: Ask) -> None:
    receive = open_receive(config.host or "")
    try:
        bits = receive.getSafetyStatusBits()
        print(
            f"Safety status: {dashboard.safetystatus().strip()}; robot mode: {dashboard.robotmode().strip()}."
        )
        if bits & (
            SafetyBit.SYSTEM_EMERGENCY_STOP | SafetyBit.ROBOT_EMERGENCY_STOP | SafetyBit.EMERGENCY_STOP
            | SafetyBit.VIOLATION | SafetyBit.FAULT | SafetyBit.SAFEGUARD_STOP
        ):  # fmt: skip
            raise NotReadyError(
                "This is no mere protective stop: clear it at the robot and its pendant."
            )
        if not bits & SafetyBit.PROTECTIVE_STOP:
            raise NotReadyError(
                "The controller is not in protective stop: there is nothing to recover from."
            )
        _confirm(
            ask, "Step 1: stop the program, so that its motion does not go on afterwards.", "stop"
        )
        dashboard.stop()
        _confirm(
            ask,
            "Step 2: look at the arm. Why did it stop? Remove the cause, and see that nobody is within its reach.",
            "looked",
        )
        _confirm(
            ask,
            "Step 3: unlock the protective stop. The brakes open; the arm may sag a little.",
            "unlock",
        )
        _unlock(dashboard, receive)
    finally:
        receive.disconnect()


def _unlock(dashboard: Any, receive: Any) -> None:
    try:
        dashboard.unlockProtectiveStop()
    except RuntimeError as error:
        raise NotReadyError(
            f"The controller refuses to unlock ({error}): that is possible 5 s after the stop at the earliest."
        ) from error
    deadline = time.monotonic() + _UNLOCKED_S
    while receive.getSafetyStatusBits() & SafetyBit.PROTECTIVE_STOP:
        if time.monotonic() > deadline:
            raise NotReadyError("The protective stop is still there: see the pendant.")
        time.sleep(0.05)


def _confirm(ask: Ask, text: str, word: str) -> None:
    answer = ask(f"{text}\n  Type '{word}' to do it, anything else to leave: ")
    if answer.strip().lower() != word:
        raise ValueError("Left as it was; nothing further was done.")
