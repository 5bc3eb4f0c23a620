"""How a connection to the loopback controller is broken, and mended again."""

import time
from collections.abc import Callable

import numpy as np

from lerobot_robot_ur5_tactip.errors import UR5TacTipError
from lerobot_robot_ur5_tactip.loopback import LoopbackController
from lerobot_robot_ur5_tactip.ur5_tactip import UR5TacTip

KINDS = (
    "reconnect",
    "dropped_tcp",
    "dropped_control",
    "closed_link",
    "silent_link",
    "restart",
)
"""reconnect: the robot is disconnected as the user does; restart: the controller ends and is started anew; the others are
faults of the loopback controller."""
_LASTING = ("closed_link", "silent_link")
_LONGEST_S = 2.0
"""How long those last at most [s]."""
_NOTICED_S = 1.5
"""Within this time the robot must have raised what happened."""
_RECOVERED_S = 30.0
"""Within this time a robot must be connected again."""

Frame = Callable[[], None]
"""Streams one frame."""


def interrupt(
    kind: str, controller: LoopbackController, stream: Frame, rng: np.random.Generator
) -> str:
    """Break the connection, stream on until the robot raises, and mend it.

    Returns:
        The error's name and text; empty for kind reconnect, or if none was raised in time.
    """
    if kind == "reconnect":
        return ""
    if kind == "restart":
        controller.stop()
    else:
        controller.fault(kind)
    error = _stream_until_error(stream)
    if kind in _LASTING:
        time.sleep(float(rng.uniform(0.0, _LONGEST_S)))
        controller.clear(kind)
    elif kind == "restart":
        controller.start()
    return error


def reconnect(robot: UR5TacTip) -> float:
    """Connect again, as a person would who tries until it works, and say how long that took [s].

    Raises:
        UR5TacTipError: If it does not work for a long time.
    """
    start = time.monotonic()
    while True:
        try:
            robot.connect()
        except UR5TacTipError:
            if time.monotonic() - start > _RECOVERED_S:
                raise
            time.sleep(0.5)
        else:
            return time.monotonic() - start


def _stream_until_error(stream: Frame) -> str:
    deadline = time.monotonic() + _NOTICED_S
    while time.monotonic() < deadline:
        try:
            stream()
        except UR5TacTipError as error:
            return f"{type(error).__name__}: {error}"
    return ""
