"""The control box without its network: arm, safety system, program, registers and log, moved on by control steps."""

import math
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from lerobot_neuraltouch import se3

from .arm import Arm
from .commands import COMMANDS
from .config import LoopbackConfig
from .io_ports import IoPorts
from .log import Log, Record, Six
from .motions import MotionError
from .program import ControlProgram
from .program_commands import ProgramError
from .registers import Inputs, Outputs
from .safety import Safety
from .watchdog import Watchdog

RUNTIME_STATES = {"stopped": 1, "playing": 2, "paused": 4}
"""RTDE's runtime_state."""

_PROGRAM = re.compile(rb"^def\s+(\w+)\s*\(")
_OFFSET = re.compile(rb"# int register offset\n\s*(\d+)")
"""The client writes behind this comment of its program which half of the registers it uses."""
CLIENT_PROGRAM = "rtde_control"


class Robot:
    """One robot. Everything happens in the thread that calls it; `step` is one control step."""

    def __init__(self, config: LoopbackConfig) -> None:
        self.config = config
        self.arm = Arm(config.arm, config.joints)
        self.safety = Safety(config.unlock_after_s)
        self.inputs, self.outputs, self.ports = Inputs(), Outputs(), IoPorts()
        self.watchdog: Watchdog | None = None
        self.remote_control = True
        self.program_state: Literal["stopped", "playing", "paused"] = "stopped"
        self.payload_kg, self.payload_cog_m = 0.0, (0.0, 0.0, 0.0)
        self.log = Log(int(config.log_s * config.generation.rate_hz))
        self.num_steps = 0
        self._program: ControlProgram | None = None
        self._wrench, self._wrench_zero = np.zeros(6), np.zeros(6)

    # --- clock and log -----------------------------------------------------------------------------------------------

    @property
    def time_s(self) -> float:
        """The controller's clock: control steps since the start [s]."""
        return self.num_steps * self.config.period_s

    @staticmethod
    def now_s() -> float:
        """`time.monotonic()` [s]; what waits for people or clients goes by it."""
        return time.monotonic()

    def note(self, kind: str, detail: str = "") -> None:
        """Log an event."""
        self._record("event", kind, detail=detail)

    def note_command(self, kind: str, values: Sequence[float] = (), detail: str = "") -> None:
        """Log a command as it came from a client."""
        twist = tuple(values[:6]) if kind == "speedl" else None
        self._record("command", kind, values=tuple(values), detail=detail, twist=twist)

    def _record(
        self,
        source: Literal["command", "event", "step"],
        kind: str,
        *,
        values: tuple[float, ...] = (),
        detail: str = "",
        twist: Any = None,
    ) -> None:
        record = Record(
            time_s=self.time_s,
            wall_s=self.now_s(),
            source=source,
            kind=kind,
            values=values,
            detail=detail,
            twist=six(self.arm.twist) if twist is None else twist,
            joint_speeds=six(self.arm.qd),
            joints=six(self.arm.q),
            tcp_pose=six(self.arm.tcp_pose),
        )
        self.log.add(record)

    # --- control steps -----------------------------------------------------------------------------------------------

    def step(self) -> None:
        """Run the program's share of a control step and move the arm."""
        if self.program_state == "playing":
            self._run_program()
        if self.safety.may_move and self.program_state != "paused":
            self.arm.release()
        else:
            self.arm.hold()
        self.arm.speed_fraction = self.ports.speed_fraction
        motion = self.arm.motion_name
        try:
            self.arm.step(self.config.period_s)
        except MotionError as fault:
            self.protective_stop(str(fault))
        self.num_steps += 1
        self._record("step", motion)

    def _run_program(self) -> None:
        now = self.now_s()
        if self.watchdog is not None and self.watchdog.is_late(self.inputs, now):
            self._trip_watchdog(self.watchdog.silence_s(self.inputs, now))
            return
        try:
            if self._program is None or not self._program.step():
                self.stop_program("ended")
        except ProgramError as error:
            self.stop_program(f"error: {error}")

    def _trip_watchdog(self, silence_s: float) -> None:
        self.note("watchdog_tripped", f"{silence_s:.3f} s without a command")
        if self.config.watchdog_action == "protective_stop":
            self.watchdog = None
            self.protective_stop("watchdog")
        else:
            self.stop_program("watchdog")

    # --- programs ----------------------------------------------------------------------------------------------------

    def upload(self, text: bytes) -> None:
        """Run a program that a client sent, in place of the one that runs."""
        name = _PROGRAM.match(text.lstrip())
        title = name.group(1).decode() if name else "?"
        if not self.remote_control:
            self.note("program_refused", "local control")
        elif not self.safety.may_move:
            self.note("program_refused", self.safety.safety_mode.name)
        else:
            if self.program_state != "stopped":
                self.stop_program("replaced")
            offset = _OFFSET.search(text)
            if title == CLIENT_PROGRAM:
                self._program = ControlProgram(self, int(offset.group(1)) if offset else 0)
            self.program_state = "playing"
            self.note("program_started", title)

    def stop_program(self, reason: str) -> None:
        """End the program and with it its motions and its watchdog; harmless if none runs."""
        if self.program_state == "stopped":
            return
        self.program_state, self._program, self.watchdog = "stopped", None, None
        self.arm.drop_motion()
        self.note("program_stopped", reason)

    def pause_program(self) -> bool:
        """Hold a playing program; False if none plays."""
        if self.program_state != "playing":
            return False
        self.program_state = "paused"
        self.note("program_paused")
        return True

    def play(self) -> bool:
        """Go on with a paused program, and with its motion; False if there is none or the arm may not move."""
        if self.program_state != "paused" or not self.safety.may_move:
            return False
        self.program_state = "playing"
        self.note("program_resumed")
        return True

    # --- safety ------------------------------------------------------------------------------------------------------

    def protective_stop(self, reason: str) -> None:
        """Stop the arm and pause the program."""
        self.safety.protective_stop(self.now_s())
        self.arm.hold()
        self.note("protective_stop", reason)
        self.pause_program()

    def emergency_stop(self) -> None:
        """Stop the arm, end the program, switch the power off."""
        self.safety.emergency_stop()
        self.arm.hold()
        self.note("emergency_stop")
        self.stop_program("emergency stop")

    def unlock(self) -> bool:
        """End a protective stop; False while it is too early."""
        done = self.safety.unlock(self.now_s())
        self.note("unlocked" if done else "unlock_refused")
        return done

    # --- what clients and tests set ----------------------------------------------------------------------------------

    def write_inputs(self, values: Mapping[str, Any]) -> None:
        """Take over the variables of a data packet, and log the command that it carries."""
        self.inputs.write(values, self.now_s())
        self.ports.write(values)
        for offset in (0, 24):
            number = values.get(f"input_int_register_{offset}")
            if number:
                name = COMMANDS[number].name if number in COMMANDS else f"command_{number}"
                doubles = [v for key, v in values.items() if key.startswith("input_double")]
                state = "" if self.program_state == "playing" else f"program {self.program_state}"
                self.note_command(name, doubles, detail=state)

    def place(self, joints: Sequence[float]) -> None:
        """Put the arm at joint angles [rad], shape (6,), at rest; its motion counts as done.

        Raises:
            ValueError: If they are not six angles within the limits.
        """
        self.arm.place(joints)
        self.note("placed")

    def set_payload(self, mass_kg: float, cog_m: tuple[float, float, float]) -> None:
        """Mass and centre of gravity on the flange; e-Series keep the old centre if it is all zeros."""
        self.payload_kg = mass_kg
        if any(cog_m) or self.config.model == "ur5":
            self.payload_cog_m = cog_m

    def set_wrench(self, wrench: Sequence[float]) -> None:
        """What acts on the tcp, base frame [N, Nm], shape (6,).

        Raises:
            ValueError: If it is not six finite numbers.
        """
        if len(wrench) != 6 or not all(map(math.isfinite, wrench)):
            raise ValueError(f"A wrench is six finite numbers [N, Nm], got {wrench}.")
        self._wrench = np.array(wrench, dtype=np.float64)

    def zero_wrench(self) -> None:
        """Let the sensor show nothing for what acts on it now."""
        self._wrench_zero = self._wrench

    @property
    def shown_wrench(self) -> np.ndarray:
        """What the force sensor shows, base frame [N, Nm], shape (6,)."""
        return self._wrench - self._wrench_zero

    @property
    def tcp_offset(self) -> np.ndarray:
        """The tcp on the flange: position [m] and rotation vector [rad], shape (6,)."""
        return se3.to_rotvec_pose(self.arm.T_flange_tcp)


def six(values: np.ndarray) -> Six:
    """An array of six as a plain tuple."""
    a, b, c, d, e, f = values.tolist()
    return a, b, c, d, e, f
