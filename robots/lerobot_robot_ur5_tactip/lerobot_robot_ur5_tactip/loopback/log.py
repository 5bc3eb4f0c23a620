"""What the controller was told and what its arm did."""

import math
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal

Six = tuple[float, float, float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One command, event or control step, with what the arm was doing at the time."""

    time_s: float
    """The controller's clock [s], the timestamp of RTDE: control steps since the start."""
    wall_s: float
    """`time.monotonic()` [s], which all processes of a machine share."""
    source: Literal["command", "event", "step"]
    """command: received from a client; event: something happened; step: one control step."""
    kind: str
    """The command as URScript calls it (speedl, servoj, movel, stopj, set_tcp, ...), the name of the event (program_started,
    watchdog_tripped, protective_stop, ...), or the motion that a step executed (idle, speedl, ...)."""
    values: tuple[float, ...] = ()
    """Numbers that came with a command: of a motion the six of its target, then speed, acceleration and the like."""
    detail: str = ""
    """Reason of an event."""
    twist: Six
    """Of the tcp in the base frame, (v, omega) [m/s, rad/s]: for speedl as it was commanded, else the arm's own."""
    joint_speeds: Six
    """Commanded dq/dt of the arm [rad/s]."""
    joints: Six
    """Joint angles [rad]."""
    tcp_pose: Six
    """Position [m] and rotation vector [rad] of the tcp in the base frame."""

    @property
    def speed(self) -> float:
        """Speed of the tcp [m/s]."""
        return math.hypot(*self.twist[:3])

    @property
    def angular_speed(self) -> float:
        """Rate of rotation of the tcp [rad/s]."""
        return math.hypot(*self.twist[3:])


@dataclass
class Log:
    """The latest records, oldest first."""

    capacity: int
    records: deque[Record] = field(init=False)

    def __post_init__(self) -> None:
        self.records = deque(maxlen=self.capacity)

    def add(self, record: Record) -> None:
        """Append a record and forget the oldest if there are too many."""
        self.records.append(record)

    def select(self, sources: Collection[str], since_s: float) -> list[Record]:
        """Records of some sources (none: all) that are not older than a time [s]."""
        return [
            record
            for record in self.records
            if record.time_s >= since_s and (not sources or record.source in sources)
        ]
