"""Settings of a loopback controller, and what the two generations of controllers differ in."""

import re
from dataclasses import dataclass, replace
from functools import cached_property
from ipaddress import ip_address
from typing import Any

from lerobot_neuraltouch.kinematics import ArmModel, get_arm

RTDE_PORT, SCRIPT_PORT, DASHBOARD_PORT, GRIPPER_PORT = 30004, 30003, 29999, 63352

READY_RAD = (0.0, -1.5708, 1.5708, -1.5708, -1.5708, 0.0)
"""Elbow and wrist bent, the flange pointing down."""


@dataclass(frozen=True)
class Generation:
    """What all controllers of one generation have in common."""

    name: str
    """What UR calls it."""
    version: str
    """PolyScope version that is emulated if none is asked for."""
    rate_hz: float
    """Control steps, and at most as many state packets, per second."""
    stream_bytes: int
    """Size of a packet of the state stream on port 30003."""


E_SERIES = Generation("e-Series", "5.12.4", rate_hz=500.0, stream_bytes=1220)
CB3 = Generation("CB3", "3.15.8", rate_hz=125.0, stream_bytes=1116)
GENERATIONS = {"ur5e": E_SERIES, "ur5": CB3}


@dataclass(frozen=True, kw_only=True)
class LoopbackConfig:
    """Settings of a loopback controller."""

    host: str = "127.0.0.2"
    """Loopback address to listen on."""
    model: str = "ur5e"
    """ur5e (e-Series, 500 Hz, PolyScope 5) or ur5 (CB3, 125 Hz, PolyScope 3)."""
    version: str = ""
    """PolyScope version, e.g. 5.5.1; by default 5.12.4 or 3.15.8. It decides which state variables exist."""
    joints: tuple[float, ...] = READY_RAD
    """Joint angles at the start [rad]."""
    gripper: bool = False
    """Whether a Robotiq 2F-85 answers on port 63352."""
    watchdog_action: str = "stop"
    """What a tripped watchdog does: stop (the program ends, as the script manual says) or protective_stop (as reported of a
    simulated CB3)."""
    unlock_after_s: float = 5.0
    """How long after a protective stop it cannot be unlocked [s]; real controllers: 5."""
    log_s: float = 120.0
    """How much of the past the log keeps [s]; commands and events count as control steps."""

    def __post_init__(self) -> None:
        if self.model not in GENERATIONS:
            raise ValueError(
                f"Unknown model '{self.model}'. Available: {', '.join(sorted(GENERATIONS))}."
            )
        if not ip_address(self.host).is_loopback:
            raise ValueError(f"host must be an address of 127.0.0.0/8, got {self.host}.")
        if self.version and not re.fullmatch(r"\d+\.\d+\.\d+", self.version):
            raise ValueError(f"version must look like 5.12.4, got '{self.version}'.")
        if self.version and (self.version_numbers[0] >= 5) != (self.model == "ur5e"):
            raise ValueError(f"A {self.model} does not run PolyScope {self.version}.")
        if len(self.joints) != 6:
            raise ValueError(f"joints needs six angles [rad], got {self.joints}.")
        if self.watchdog_action not in ("stop", "protective_stop"):
            raise ValueError(
                f"Unknown watchdog_action '{self.watchdog_action}'. Available: stop, protective_stop."
            )
        if not self.log_s > 0 or not self.unlock_after_s >= 0:
            raise ValueError(
                f"log_s must be positive and unlock_after_s not negative, got {self.log_s} and {self.unlock_after_s}."
            )

    @property
    def generation(self) -> Generation:
        """What the model has in common with others of its generation."""
        return GENERATIONS[self.model]

    @property
    def arm(self) -> ArmModel:
        """The model's kinematics."""
        return get_arm(self.model)

    @property
    def period_s(self) -> float:
        """Length of a control step [s]."""
        return 1.0 / self.generation.rate_hz

    @cached_property
    def version_numbers(self) -> tuple[int, int, int]:
        """Major, minor and bugfix version."""
        major, minor, bugfix = (self.version or self.generation.version).split(".")
        return int(major), int(minor), int(bugfix)

    def is_at_least(self, e_series: tuple[int, int], cb3: tuple[int, int] | None) -> bool:
        """Whether the version reaches the one that brought a feature; None: CB3 never got it."""
        needed = e_series if self.generation is E_SERIES else cb3
        return needed is not None and self.version_numbers[:2] >= needed


def changed(config: LoopbackConfig, settings: dict[str, Any]) -> LoopbackConfig:
    """A config with some settings changed.

    Raises:
        ValueError: If one is refused, or is the address, which a running controller keeps.
    """
    if "host" in settings:
        raise ValueError("A running controller keeps its address.")
    return replace(config, **settings)
