"""What the uploaded program does for each command of its client."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from lerobot_neuraltouch.kinematics import Array, UnreachableError

from .motions import Motion, MoveJ, MoveL, Servo, SpeedJ, SpeedL, StopJ, StopL
from .watchdog import Watchdog

if TYPE_CHECKING:
    from .program import ControlProgram


class ProgramError(Exception):
    """A runtime error of a program; it ends."""


# --- moves -----------------------------------------------------------------------------------------------------------


def _start_move(program: "ControlProgram", motion: Motion) -> None:
    program.kill("move")
    if program.registers.integer(1) == 1:
        program.control("move", motion)
        program.registers.signal_progress(0)
    else:
        program.control("main", motion)


def _move_joints(program: "ControlProgram", joints: Array) -> None:
    registers = program.registers
    _start_move(program, MoveJ(joints, registers.double(6), registers.double(7)))


def _move_line(program: "ControlProgram", T_base_tcp: Array) -> None:
    program.robot.arm.joints_for(T_base_tcp)
    registers = program.registers
    _start_move(program, MoveL(T_base_tcp, registers.double(6), registers.double(7)))


# --- streams ---------------------------------------------------------------------------------------------------------


def _speed(program: "ControlProgram", kind: type[SpeedL] | type[SpeedJ]) -> None:
    target, acceleration = program.registers.six(0), program.registers.double(6)
    running = program.threads.get("speed")
    if isinstance(running, kind):
        running.target, running.acceleration = target, acceleration
    else:
        program.control("speed", kind(target, acceleration))


def _servo(program: "ControlProgram", joints: Array, name: str) -> None:
    lookahead_s = program.registers.double(9)
    running = program.threads.get("servo")
    if isinstance(running, Servo):
        running.target, running.lookahead_s, running.name = joints, lookahead_s, name
    else:
        program.control("servo", Servo(joints, lookahead_s, name))


def _servo_line(program: "ControlProgram") -> None:
    _servo(program, program.robot.arm.joints_for(program.registers.pose(0)), "servol")


# --- stops -----------------------------------------------------------------------------------------------------------


def _speed_stop(program: "ControlProgram") -> None:
    kind = StopJ if isinstance(program.threads.get("speed"), SpeedJ) else StopL
    program.kill("speed")
    program.control("main", kind(program.registers.double(0)))


def _servo_stop(program: "ControlProgram") -> None:
    program.kill("servo")
    program.control("main", StopL(program.registers.double(0)))


def _stop(program: "ControlProgram") -> None:
    """Both stopl and stopj: the kind of stop depends on what came before, not on the command."""
    program.kill("stop")
    program.kill("move")
    deceleration = program.registers.double(0)
    if program.registers.integer(1) == 1:
        program.stop_kind = StopL
        program.control("stop", StopL(deceleration))
        program.registers.signal_progress(0)
    else:
        program.control("main", program.stop_kind(deceleration))


# --- settings --------------------------------------------------------------------------------------------------------


def _set_payload(program: "ControlProgram") -> None:
    mass, x, y, z = (program.registers.double(i) for i in range(4))
    program.robot.set_payload(mass, (x, y, z))


def _set_watchdog(program: "ControlProgram") -> None:
    robot, registers = program.robot, program.registers
    robot.watchdog = Watchdog(registers.command_name, registers.double(0), robot.now_s())


# --- questions -------------------------------------------------------------------------------------------------------


def _has_inverse(program: "ControlProgram", q_near: Array | None = None) -> None:
    try:
        program.robot.arm.joints_for(program.registers.pose(0), q_near)
    except UnreachableError:
        program.registers.answer_truth(False)
    else:
        program.registers.answer_truth(True)


def _inverse(program: "ControlProgram", q_near: Array | None = None) -> None:
    joints = program.robot.arm.joints_for(program.registers.pose(0), q_near)
    program.registers.answer_values(joints)


def _forward(program: "ControlProgram") -> None:
    """The tcp offset is read from registers 6 to 11 even if the client has not written them."""
    T_base_flange = program.robot.arm.flange_at(program.registers.six(0))
    program.registers.answer_pose(T_base_flange @ program.registers.pose(6))


def _step_time(program: "ControlProgram") -> None:
    program.registers.answer_values(np.array([program.robot.config.period_s]))


HANDLERS: dict[int, Callable[["ControlProgram"], None]] = {
    1: lambda p: _move_joints(p, p.registers.six(0)),
    2: lambda p: _move_joints(p, p.robot.arm.joints_for(p.registers.pose(0))),
    3: lambda p: _move_line(p, p.registers.pose(0)),
    4: lambda p: _move_line(p, p.robot.arm.tcp_at(p.registers.six(0))),
    8: lambda p: p.robot.zero_wrench(),
    9: lambda p: _speed(p, SpeedJ),
    10: lambda p: _speed(p, SpeedL),
    11: lambda p: _servo(p, p.registers.six(0), "servoj"),
    15: _speed_stop,
    16: _servo_stop,
    17: _set_payload,
    24: _servo_line,
    26: _step_time,
    29: lambda p: p.robot.arm.set_tcp(p.registers.pose(0)),
    30: lambda p: _inverse(p, p.registers.six(6)),
    31: lambda p: p.robot.protective_stop("asked for by the program"),
    33: _stop,
    34: _stop,
    35: _set_watchdog,
    36: _has_inverse,
    37: lambda p: p.registers.answer_truth(p.robot.arm.is_within_limits(p.registers.six(0))),
    39: lambda p: p.registers.answer_pose(p.registers.pose(0) @ p.registers.pose(6)),
    40: lambda p: p.registers.answer_pose(p.robot.arm.T_flange_tcp),
    43: lambda p: p.registers.answer_pose(p.robot.arm.T_base_tcp),
    44: _forward,
    46: _inverse,
    47: lambda p: p.registers.answer_truth(p.robot.arm.is_still),
    58: lambda p: p.registers.answer_pose(p.robot.arm.flange_at(p.robot.arm.q)),
    60: _has_inverse,
    61: lambda p: _has_inverse(p, p.registers.six(6)),
    65: _set_payload,
}
"""By the number of the command. Others are known by name but do nothing, which the log tells."""
