"""A stream that is recorded while its connection is broken at random, and what is left of it afterwards."""

import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from lerobot.utils.robot_utils import precise_sleep
from tqdm import tqdm

from lerobot_neuraltouch.features import (
    CONTROL_HZ,
    MAX_ANGULAR_SPEED,
    MAX_LINEAR_SPEED,
)
from lerobot_robot_ur5_tactip.errors import UR5TacTipError
from lerobot_robot_ur5_tactip.loopback import LoopbackController
from lerobot_robot_ur5_tactip.ur5_tactip import UR5TacTip

from .interruptions import KINDS, interrupt, reconnect
from .recording import Recording
from .resources import Resources, count, count_at_rest, leaks
from .robots import make_action, make_robot
from .timing import describe, jitter

_WARM_UP = 12
"""Interruptions after which everything that is made once has been made; LeRobot opens a file with the tenth episode."""
_PERIOD_S = 1.0 / CONTROL_HZ
_SHORTEST_S = 1.0
"""Each connection streams for at least so long before it is interrupted."""


@dataclass
class Soak:
    """What an interrupted stream has shown so far."""

    model: str
    period_ms: float
    connections: list[list[float]] = field(default_factory=list)
    """When the commands of each connection were given [s]."""
    rests: list[tuple[float, Resources]] = field(default_factory=list)
    """What was held after each disconnection, and when [s]."""
    busiest: list[Resources] = field(default_factory=list)
    """What was held at each interruption while connected."""
    interruptions: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    reconnects_s: list[float] = field(default_factory=list)
    frames_late: int = 0
    """Frames that took half a period too long."""
    faults: list[str] = field(default_factory=list)
    streamed_s: float = 0.0
    frames: dict[str, int] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        """The stream in the report."""
        first, last = self.rests[min(_WARM_UP, len(self.rests) - 1)][1], self.rests[-1][1]
        held = {
            f"{name}_{when}": value
            for when, resources in (("first", first), ("last", last))
            for name, value in asdict(resources).items()
        }
        return {
            **jitter(self.connections, self.period_ms),
            "streamed_s": self.streamed_s,
            "interruptions": dict(self.interruptions),
            "errors": dict(self.errors),
            **describe("reconnect_s", self.reconnects_s),
            **self.frames,
            "frames_late": self.frames_late,
            **held,
            "threads_connected_max": max((r.threads for r in self.busiest), default=None),
            "faults": [*self.faults, *leaks(first, last)],
        }


def run_soak(
    host: str, model: str, duration_s: float, mean_interval_s: float, seed: int, folder: Path
) -> Soak:
    """Stream and record for a time, breaking the connection at random."""
    robot = make_robot(host, model, folder)
    recording = Recording(robot, folder / "dataset", int(CONTROL_HZ))
    soak = Soak(model, 1e3 / robot.config.loop.inner_hz)
    with LoopbackController(host=host, model=model) as controller:
        _Streamer(robot, controller, recording, soak, seed).run(duration_s, mean_interval_s)
        recording.close()
        stored, equal = recording.compare()
        soak.frames = {
            "episodes": recording.num_episodes,
            "frames_given": recording.num_frames,
            "frames_stored": stored,
            "frames_equal": equal,
        }
        if not recording.num_frames == stored == equal:
            soak.faults.append(
                f"{recording.num_frames} frames given, {stored} stored, {equal} equal"
            )
    return soak


class _Streamer:
    def __init__(
        self,
        robot: UR5TacTip,
        controller: LoopbackController,
        recording: Recording,
        soak: Soak,
        seed: int,
    ) -> None:
        self._robot, self._controller, self._recording, self._soak = (
            robot,
            controller,
            recording,
            soak,
        )
        self._rng = np.random.default_rng(seed)
        self._due_s = 0.0

    def run(self, duration_s: float, mean_interval_s: float) -> None:
        """Connections one after the other, each ended by an interruption, the last one by the end of the time."""
        start = time.monotonic()
        self._rest(start)
        with tqdm(total=duration_s / 60, unit="min", bar_format="{l_bar}{bar}| {n:.1f}/{total:.1f} min {postfix}") as bar:  # fmt: skip
            while (elapsed_s := time.monotonic() - start) < duration_s:
                interval_s = min(self._rng.exponential(mean_interval_s), duration_s - elapsed_s)
                if not self._connection(max(float(interval_s), _SHORTEST_S)):
                    break
                self._rest(start)
                bar.n = min((time.monotonic() - start) / 60, duration_s / 60)
                bar.set_postfix_str(
                    f"{self._recording.num_frames} frames, {self._soak.interruptions.total()} interruptions"
                )

    def _connection(self, interval_s: float) -> bool:
        """Connect, stream, and be interrupted; what was streamed is one episode. False if it cannot be connected any more."""
        soak, robot = self._soak, self._robot
        try:
            soak.reconnects_s.append(reconnect(robot))
        except UR5TacTipError as error:
            soak.faults.append(f"not connected again: {error}")
            return False
        start = self._due_s = time.monotonic()
        kind = str(self._rng.choice(KINDS))
        try:
            while time.monotonic() - start < interval_s:
                self._frame()
            soak.busiest.append(count())
            error = interrupt(kind, self._controller, self._frame, self._rng)
        except UR5TacTipError as unexpected:
            error = f"{type(unexpected).__name__}: {unexpected}"
            kind = "unexpected"
        if (kind == "reconnect") == bool(error):
            soak.faults.append(f"{kind} raised '{error}'")
        soak.interruptions[kind] += 1
        soak.errors[error.partition(":")[0] or "none"] += 1
        soak.streamed_s += time.monotonic() - start
        soak.connections.append(list(robot.followed_at))
        robot.disconnect()
        self._recording.end_episode()
        return True

    def _frame(self) -> None:
        """Observe, act, record, wait for the next frame's time."""
        observation = self._robot.get_observation()
        twist = self._rng.uniform(-1.0, 1.0, 6) * np.repeat(
            [MAX_LINEAR_SPEED, MAX_ANGULAR_SPEED], 3
        )
        action = make_action(twist)
        self._robot.send_action(action)
        self._recording.add(observation, action)
        self._due_s += _PERIOD_S
        late_s = time.monotonic() - self._due_s
        if late_s > 0:
            self._soak.frames_late += late_s > _PERIOD_S / 2
            self._due_s += late_s
        precise_sleep(-late_s)

    def _rest(self, start: float) -> None:
        self._soak.rests.append((time.monotonic() - start, count_at_rest()))
