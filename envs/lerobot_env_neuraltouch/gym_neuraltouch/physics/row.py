"""One line of the report: a number and the limits it has to keep."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Row:
    """What was measured and what it should be."""

    check: str
    """Name of the check."""
    finger: str
    """Name of the fingertip."""
    case: str
    """What else was varied."""
    quantity: str
    unit: str
    value: float
    expected: float | None = None
    """By theory, where there is one."""
    lowest: float
    highest: float
    """The value has to lie between these."""
    tip_n_per_mm: float | None = None
    """Stated stiffness of the tip, where it was varied."""
    depth_mm: float | None = None
    """How far the pad was pressed in, where that was varied."""

    @property
    def passed(self) -> bool:
        """Whether it does."""
        return self.lowest <= self.value <= self.highest

    def as_dict(self) -> dict[str, Any]:
        """Flat, for the report."""
        return vars(self) | {"passed": self.passed}


def near(value: float, expected: float, share: float, **kind: Any) -> Row:
    """A row whose value has to be the expected one within a share of it; `kind` are the row's other fields."""
    slack = share * abs(expected)
    limits = {"lowest": expected - slack, "highest": expected + slack}
    return Row(value=value, expected=expected, **limits, **kind)


def at_most(value: float, highest: float, **kind: Any) -> Row:
    """A row whose value has to lie between zero and a limit; `kind` are the row's other fields."""
    return Row(value=value, lowest=0.0, highest=highest, **kind)
