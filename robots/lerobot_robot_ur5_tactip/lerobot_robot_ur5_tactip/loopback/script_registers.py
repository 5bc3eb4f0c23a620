"""The registers through which `ur_rtde` talks with the program that it uploads.

The client writes a command's number into input integer 0 and its arguments into further input registers; the program answers in output
integer 0 (1 ready, 2 done), integer 1 (a truth value), integer 2 (progress of asynchronous moves) and doubles 0 to 5.
All of them may lie 24 further up.
"""

import numpy as np

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.kinematics import Array

from .registers import Inputs, Outputs

READY, DONE = 1, 2


class ScriptRegisters:
    """The program's view of the controller's registers."""

    def __init__(self, inputs: Inputs, outputs: Outputs, offset: int) -> None:
        self._inputs, self._outputs, self._offset = inputs, outputs, offset
        self._operation = self._writes = 0

    @property
    def command_name(self) -> str:
        """The input variable that commands come in."""
        return f"input_int_register_{self._offset}"

    @property
    def command(self) -> int:
        """Number of the command, 0 for none."""
        return self.integer(0)

    def integer(self, register: int) -> int:
        """What the client wrote into an integer register."""
        return self._inputs.ints[register + self._offset]

    def double(self, register: int) -> float:
        """What the client wrote into a double register."""
        return self._inputs.doubles[register + self._offset]

    def six(self, register: int) -> Array:
        """Six double registers from one on, shape (6,)."""
        first = register + self._offset
        return np.array(self._inputs.doubles[first : first + 6])

    def pose(self, register: int) -> Array:
        """Six double registers as a transform, shape (4, 4)."""
        return se3.from_rotvec_pose(self.six(register))

    def answer(self, state: int) -> None:
        """Say READY or DONE."""
        self._outputs.ints[self._offset] = state

    def answer_truth(self, value: bool) -> None:
        """Answer a question."""
        self._outputs.ints[self._offset + 1] = int(value)

    def answer_values(self, values: Array) -> None:
        """Answer with up to six numbers."""
        self._outputs.doubles[self._offset : self._offset + len(values)] = values.tolist()

    def answer_pose(self, T: Array) -> None:
        """Answer with a transform as position [m] and rotation vector [rad]."""
        self.answer_values(se3.to_rotvec_pose(T).astype(np.float64))

    def signal_progress(self, value: int | None) -> None:
        """Progress of an asynchronous operation: 0 begins one, None says that it has ended.

        Bits 0-14 progress, 15 running, 16-22 number of writes, 24-30 number of the operation.
        """
        self._writes = (self._writes + 1) % 128
        if value == 0:
            self._operation = (self._operation + 1) % 128
        running = 0 if value is None else min(value, 0x7FFF) | 1 << 15
        word = self._writes << 16 | self._operation << 24 | running
        self._outputs.ints[self._offset + 2] = word
