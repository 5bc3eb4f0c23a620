"""Domain randomisation: how the hand of one episode differs from the nominal one.

Each range is (lowest, highest), drawn uniformly per episode; a stiffness is drawn uniformly in its logarithm. Draws come from a child
of the environment's generator, so objects, places, starts and noise of a seed are the same with and without.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lerobot_neuraltouch.tactile import TacTipFinger

SOFTEST_N_PER_M, HARDEST_N_PER_M = 100.0, 1150.0
"""Tips from so soft that they have no grip before they end on their core to so hard that they all but oscillate [N/m]."""
MIN_FRICTION, MAX_FRICTION = 0.05, 3.0
MAX_OFFSET_M = 0.002
MAX_NOISE_LEVEL = 5.0


@dataclass(frozen=True, kw_only=True)
class Randomisation:
    """What is drawn once per episode. As it stands, nothing is."""

    tip_stiffness_n_per_m: tuple[float, float] | None = None
    """Felt stiffness of both pads along their normal [N/m]; the shear springs go along as far as they stay stable. None: the
    finger's own."""
    friction: tuple[float, float] | None = None
    """Coulomb friction of the skins; torsional friction goes along. None: the finger's own."""
    camera_offset_m: float = 0.0
    """Largest distance of each pinhole from its pad's axis along pad x and y, besides the touch noise's mounting errors [m]."""
    latency_share: float = 0.0
    """Share of the episodes whose touch images arrive one control step late."""
    touch_noise_level: tuple[float, float] = (1.0, 1.0)
    """Factor of all sizes of the touch noise."""

    def __post_init__(self) -> None:
        if self.tip_stiffness_n_per_m is not None:
            limits = SOFTEST_N_PER_M, HARDEST_N_PER_M
            _check_range("tip_stiffness_n_per_m", self.tip_stiffness_n_per_m, *limits)
        if self.friction is not None:
            _check_range("friction", self.friction, MIN_FRICTION, MAX_FRICTION)
        _check_range("touch_noise_level", self.touch_noise_level, 0.0, MAX_NOISE_LEVEL)
        _check_value("camera_offset_m", self.camera_offset_m, MAX_OFFSET_M)
        _check_value("latency_share", self.latency_share, 1.0)

    @property
    def is_off(self) -> bool:
        """Whether nothing is drawn."""
        return self == RANDOMISATIONS["none"]

    def sample(self, rng: np.random.Generator, finger: TacTipFinger) -> "EpisodeHand":
        """Draw the hand of an episode; with nothing to draw, the finger as it is and no use of `rng`.

        Args:
            rng: The environment's generator; only a child of it is used.
            finger: The nominal fingertips.
        """
        if self.is_off:
            return EpisodeHand.nominal(finger)
        child = rng.spawn(1)[0]
        # Everything is drawn whatever the ranges: so one of them can be changed without changing what else is drawn.
        low_to_high = child.random(3)
        offset = child.uniform(-1.0, 1.0, (2, 2)) * self.camera_offset_m
        late = child.random() < self.latency_share
        stiffness, friction = finger.tip_stiffness_n_per_m, finger.friction
        if self.tip_stiffness_n_per_m is not None:
            low, high = self.tip_stiffness_n_per_m
            stiffness = float(low * (high / low) ** low_to_high[0])
        if self.friction is not None:
            friction = _between(self.friction, low_to_high[1])
        level = _between(self.touch_noise_level, low_to_high[2])
        return EpisodeHand(stiffness, friction, offset, int(late), level)


@dataclass(frozen=True)
class EpisodeHand:
    """One draw of `Randomisation`."""

    tip_stiffness_n_per_m: float
    """Felt stiffness of both pads [N/m]."""
    friction: float
    """Coulomb friction of both skins."""
    camera_offset_m: NDArray[np.float64]
    """Place of the left and right pinhole beside its pad's axis, along pad x and y [m], shape (2, 2)."""
    latency_steps: int
    """By how many control steps the touch images are late: 0 or 1."""
    touch_noise_level: float
    """Factor of the touch noise."""

    @classmethod
    def nominal(cls, finger: TacTipFinger) -> "EpisodeHand":
        """The fingers as they are."""
        return cls(finger.tip_stiffness_n_per_m, finger.friction, np.zeros((2, 2)), 0, 1.0)

    def as_info(self) -> dict[str, Any]:
        """The entry `randomisation` of an environment's info."""
        return vars(self) | {"camera_offset_m": self.camera_offset_m.copy()}


def _between(limits: tuple[float, float], share: float) -> float:
    return float(limits[0] + share * (limits[1] - limits[0]))


def _check_range(name: str, limits: tuple[float, float], lowest: float, highest: float) -> None:
    if not (len(limits) == 2 and lowest <= limits[0] <= limits[1] <= highest):
        raise ValueError(
            f"{name} must be (low, high) with {lowest:g} <= low <= high <= {highest:g}, got {limits}."
        )


def _check_value(name: str, value: float, highest: float) -> None:
    if not 0.0 <= value <= highest:
        raise ValueError(f"{name} must lie between 0 and {highest:g}, got {value}.")


RANDOMISATIONS = {
    "none": Randomisation(),
    "nominal": Randomisation(
        tip_stiffness_n_per_m=(400.0, 700.0),
        friction=(1.2, 1.8),
        camera_offset_m=0.00025,
        latency_share=0.25,
        touch_noise_level=(0.5, 1.5),
    ),
    "wide": Randomisation(
        tip_stiffness_n_per_m=(250.0, 1000.0),
        friction=(0.8, 2.2),
        camera_offset_m=0.0005,
        latency_share=0.5,
        touch_noise_level=(0.5, 2.5),
    ),
}
"""By name: the nominal hand, hands as one sensor may differ from the next, and whatever a training should be proof against."""
