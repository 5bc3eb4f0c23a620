"""The watchdog on a client's input register: a program that stops hearing from its client is ended."""

from dataclasses import dataclass

from .registers import Inputs


@dataclass(frozen=True)
class Watchdog:
    """Demands that a variable is written at a least rate, as URScript's rtde_set_watchdog does."""

    variable: str
    """General input register to watch."""
    min_frequency_hz: float
    """Least rate of writes; zero trips at once, it does not disarm."""
    armed_at_s: float
    """When it was armed [s], by the clock of `Inputs.written_at`."""

    def silence_s(self, inputs: Inputs, now_s: float) -> float:
        """How long the variable has not been written since the watchdog was armed [s]."""
        return now_s - max(self.armed_at_s, inputs.written_at.get(self.variable, 0.0))

    def is_late(self, inputs: Inputs, now_s: float) -> bool:
        """Whether the client has been silent for too long."""
        allowed = 1 / self.min_frequency_hz if self.min_frequency_hz > 0 else 0.0
        return self.silence_s(inputs, now_s) > allowed
