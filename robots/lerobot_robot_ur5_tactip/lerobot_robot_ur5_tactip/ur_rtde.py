"""The only door to `ur-rtde`: imported when a controller is reached, never before."""

import socket
import struct
import time
from typing import Any

from .errors import LinkError

_PROGRAM_START_S = 5.0
"""How long the controller may take to start the uploaded program."""
_ANSWER_S = 2.0
"""How long the controller may take to accept a connection, and to answer on it."""
_RTDE_PORT = 30004
_ASK_FOR_VERSION_2 = struct.pack(">HBH", 5, ord("V"), 2)
"""The packet that opens every RTDE connection."""


def import_ur_rtde(module: str) -> Any:
    """Import rtde_control, rtde_receive or dashboard_client.

    Raises:
        ImportError: If ur-rtde is not installed; the message says how to, and where it cannot be.
    """
    try:
        return __import__(module)
    except ImportError as error:
        raise ImportError(
            "Reaching a controller needs ur-rtde 1.6.5: pip install 'lerobot_robot_ur5_tactip[ur]'. It exists for Python 3.12 on "
            "x86_64 (Linux, Windows) only; elsewhere use mode dry_run."
        ) from error


def open_receive(host: str, *, upper_registers: bool = False) -> Any:
    """The controller's state stream.

    Raises:
        LinkError: If there is none.
        ImportError: As `import_ur_rtde`.
    """
    rtde_receive = import_ur_rtde("rtde_receive")
    try:
        _check_answers(host)
        return rtde_receive.RTDEReceiveInterface(host, use_upper_range_registers=upper_registers)
    except (OSError, RuntimeError) as error:
        raise LinkError(
            f"No state stream from a controller at {host}:30004 ({error}). Check its address, the cable, and that RTDE is "
            "enabled (pendant: Settings, Security, Services)."
        ) from error


def _check_answers(host: str) -> None:
    """ur-rtde 1.6.5 waits without end, and cannot be interrupted, for a controller that accepts it and then says nothing.

    Raises:
        OSError: If nobody is there, or no answer comes.
    """
    with socket.create_connection((host, _RTDE_PORT), timeout=_ANSWER_S) as connection:
        connection.sendall(_ASK_FOR_VERSION_2)
        if not connection.recv(1):
            raise ConnectionError("it closes the connection")


def open_control(host: str, *, upper_registers: bool = False) -> Any:
    """Upload the client's program, which moves nothing by itself.

    The program is uploaded here and never again: an interface that uploads it by itself also does so whenever it connects
    anew after a lost connection, and a new program has no watchdog.

    Raises:
        LinkError: If the controller refuses; the message holds the remedy.
        ImportError: As `import_ur_rtde`.
    """
    rtde_control = import_ur_rtde("rtde_control")
    flags = rtde_control.RTDEControlInterface.FLAG_NO_WAIT
    if upper_registers:
        flags |= rtde_control.RTDEControlInterface.FLAG_UPPER_RANGE_REGISTERS
    try:
        control = rtde_control.RTDEControlInterface(host, frequency=-1.0, flags=flags)
    except RuntimeError as error:
        raise LinkError(
            f"The controller at {host} refuses control: {error} {_remedy(str(error))}"
        ) from error
    try:
        _start_program(control, host)
    except BaseException:
        control.disconnect()
        raise
    return control


def _start_program(control: Any, host: str) -> None:
    try:
        control.reuploadScript()
    except RuntimeError as error:
        raise LinkError(
            f"The controller at {host} took no program: {error} {_remedy(str(error))}"
        ) from error
    deadline = time.monotonic() + _PROGRAM_START_S
    while not control.isProgramRunning():
        if time.monotonic() > deadline:
            raise LinkError(
                f"The controller at {host} did not start the client's program within {_PROGRAM_START_S:.0f} s. {_remedy('')}"
            )
        time.sleep(0.01)


def open_dashboard(host: str) -> Any:
    """The controller's dashboard server.

    Raises:
        LinkError: If there is none.
        ImportError: As `import_ur_rtde`.
    """
    dashboard_client = import_ur_rtde("dashboard_client")
    client = dashboard_client.DashboardClient(host)
    try:
        client.connect()
    except RuntimeError as error:
        raise LinkError(
            f"No dashboard server at {host}:29999 ({error}). Enable it (pendant: Settings, Security, Services); PolyScope X has "
            "none and is not supported."
        ) from error
    return client


def _remedy(message: str) -> str:
    if "remote control" in message:
        return "Switch the pendant to remote control (top right corner)."
    if "already in use" in message:
        return "Another client, a fieldbus or a URCap holds the registers: end it, or set use_upper_registers to true."
    return "See the pendant's log."
