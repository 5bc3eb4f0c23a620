"""`neuraltouch ur-sim`: a loopback controller to connect to, in place of an arm."""

import itertools
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import draccus

from lerobot_robot_ur5_tactip.loopback import LoopbackThread, Record
from lerobot_robot_ur5_tactip.loopback.config import LoopbackConfig

_LOOK_EVERY_S = 0.5


@dataclass(frozen=True, kw_only=True)
class UrSimConfig(LoopbackConfig):
    """Settings of `neuraltouch ur-sim`."""

    gripper: bool = True
    """Whether a Robotiq 2F-85 answers on port 63352."""
    duration_s: float = 0.0
    """Stop after this time [s]; 0: at Ctrl-C."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.duration_s >= 0:
            raise ValueError(f"duration_s must not be negative, got {self.duration_s}.")


@draccus.wrap()
def main(config: UrSimConfig) -> None:
    """Start a loopback controller that the UR5 plugin can connect to, and tell what its arm does."""
    settings = {name: value for name, value in vars(config).items() if name in _SETTINGS}
    arm = LoopbackThread(**settings)
    try:
        arm.start()
    except OSError as error:
        raise ValueError(error.strerror) from error
    print(
        f"A loopback {config.model} (PolyScope {'.'.join(map(str, config.version_numbers))}) listens on {config.host}. "
        "Not a robot: no dynamics, no forces. Ctrl-C ends it.",
        flush=True,
    )
    try:
        _watch(arm, config.duration_s)
    except KeyboardInterrupt:
        print()
    finally:
        arm.stop()
    print("Stopped.", flush=True)


_SETTINGS = frozenset(LoopbackConfig.__dataclass_fields__)


def _watch(arm: LoopbackThread, duration_s: float) -> None:
    end = time.monotonic() + duration_s if duration_s else float("inf")
    seen_s, motion = -1.0, "idle"
    while time.monotonic() < end:
        time.sleep(_LOOK_EVERY_S)
        new = [r for r in arm.records(since_s=seen_s) if r.time_s > seen_s]
        if not new:
            continue
        for line in tell(new, motion):
            print(line, flush=True)
        seen_s = new[-1].time_s
        motion = next((r.kind for r in reversed(new) if r.source == "step"), motion)


def tell(records: Iterable[Record], motion: str) -> Iterator[str]:
    """What happened, line by line: commands of one kind in a row make one line, control steps one when their motion changes.

    Args:
        records: In the order of time.
        motion: What the arm did before the first of them.
    """
    for (source, kind), group in itertools.groupby(records, lambda r: (r.source, r.kind)):
        run = list(group)
        last = run[-1]
        if source == "step":
            if kind == motion:
                continue
            motion, place = kind, ", ".join(f"{x:.4f}" for x in last.tcp_pose[:3])
            text = f"the arm: {kind}, tcp at ({place}) m"
        elif source == "event":
            text = f"{kind.replace('_', ' ')} {last.detail}"
        else:
            numbers = " ".join(f"{value:.4g}" for value in last.values)
            times = f" ({len(run)} times)" if len(run) > 1 else ""
            text = f"<- {kind} {numbers} {last.detail}".rstrip() + times
        yield f"{run[0].time_s:9.3f} s  {text.rstrip()}"
