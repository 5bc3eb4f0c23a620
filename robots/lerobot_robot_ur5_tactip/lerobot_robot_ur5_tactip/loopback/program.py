"""The program that `ur_rtde` uploads, as far as the client can tell it from the real one.

A streaming command is taken in every control step and leaves the program ready. Any other is executed once: done, until the client
writes 0, then ready. Speeds, servoing and asynchronous moves run in threads of the program: they go on, with their last target,
whether or not the client is still there.
"""

from typing import TYPE_CHECKING

from lerobot_neuraltouch.kinematics import UnreachableError

from .commands import COMMANDS, STOP_PROGRAM
from .motions import Motion, StopJ, StopL
from .program_commands import HANDLERS, ProgramError
from .script_registers import DONE, READY, ScriptRegisters

if TYPE_CHECKING:
    from .robot import Robot


class ControlProgram:
    """The running program. `step` is its share of a control step."""

    def __init__(self, robot: "Robot", offset: int) -> None:
        self.robot = robot
        self.registers = ScriptRegisters(robot.inputs, robot.outputs, offset)
        self.threads: dict[str, Motion] = {}
        """Motion of each thread that controls the arm: main, speed, servo, move or stop. There may be only one."""
        self.stop_kind: type[StopJ] | type[StopL] = StopJ
        """What synchronous stops do: stopj until there was an asynchronous one, whatever the client called."""
        self._is_executing = False
        self._unsupported: set[int] = set()
        self.registers.signal_progress(None)
        self.registers.answer(READY)

    def step(self) -> bool:
        """Take a command if there is one; False when the program was told to end.

        Raises:
            ProgramError: If a command cannot be executed.
        """
        self._end_threads()
        if "main" in self.threads:
            return True
        number = self.registers.command
        if number == STOP_PROGRAM:
            return False
        if number == 0:
            self._is_executing = False
            self.registers.answer(READY)
        elif number in COMMANDS and COMMANDS[number].is_streaming:
            self._execute(number)
            self.registers.answer(READY)
        elif not self._is_executing:
            self._is_executing = True
            self._execute(number)
            if "main" not in self.threads:
                self.registers.answer(DONE)
        return True

    def control(self, thread: str, motion: Motion) -> None:
        """Let a thread move the arm. Thread `main` takes no commands until its motion has ended.

        Raises:
            ProgramError: If another thread does already.
        """
        others = [name for name in self.threads if name != thread]
        if others:
            raise ProgramError(f"thread '{others[0]}' is already controlling the arm")
        self.threads[thread] = self.robot.arm.motion = motion

    def kill(self, thread: str) -> None:
        """End a thread; harmless if it does not run."""
        if self.threads.pop(thread, None) is not None and thread in ("move", "stop"):
            self.registers.signal_progress(None)

    def _end_threads(self) -> None:
        """Threads end with their motions."""
        for thread, motion in list(self.threads.items()):
            if motion.is_finished:
                self.kill(thread)
                if thread == "main":
                    self.registers.answer(DONE)

    def _execute(self, number: int) -> None:
        handler = HANDLERS.get(number)
        if handler is not None:
            try:
                handler(self)
            except UnreachableError as error:
                raise ProgramError(str(error)) from error
        elif number not in self._unsupported:
            self._unsupported.add(number)
            name = COMMANDS[number].name if number in COMMANDS else str(number)
            self.robot.note("unsupported_command", name)
