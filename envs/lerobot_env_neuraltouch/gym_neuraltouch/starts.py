"""Where an episode begins: a perturbed pose around the ideal contact that closing the fingers can feel."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.features import start_opening
from lerobot_neuraltouch.objects.contact import DIRECTIONS, ContactFeature
from lerobot_neuraltouch.objects.model import ObjectModel
from lerobot_neuraltouch.objects.views import scene_of, to_tensor

Array = NDArray[np.float64]

_WIDER, _WIDER_M = 1.25, 0.002
"""Lines through a tilted part are longer than it is thick by less than this factor and length [m]."""


@dataclass(frozen=True, kw_only=True)
class PerturbationConfig:
    """How far a perturbed start lies from the ideal contact, along the feature's constrained directions."""

    min_offset_m: float = 0.005
    """Smallest translation [m]."""
    max_offset_m: float = 0.020
    """Largest translation [m]; uniform between the two, in a uniform direction."""
    max_angle_rad: float = float(np.deg2rad(12.0))
    """Largest rotation [rad]; uniform from zero, about a uniform axis."""
    clearance_m: float = 0.001
    """Smallest distance of a finger from object and table [m]."""
    min_overlap: float = 0.1
    """Smallest share of the disc swept by the pads that meets the part."""
    max_draws: int = 2000
    """Draws before giving up."""

    def __post_init__(self) -> None:
        if not 0 <= self.min_offset_m <= self.max_offset_m < np.inf:
            raise ValueError(
                f"Offsets must satisfy 0 <= min_offset_m <= max_offset_m, got {self.min_offset_m}, {self.max_offset_m}."
            )
        if not (0 <= self.max_angle_rad <= np.pi and 0 <= self.clearance_m < np.inf):
            raise ValueError(
                f"max_angle_rad must lie between 0 and pi and clearance_m must not be negative, got {self.max_angle_rad}, "
                f"{self.clearance_m}."
            )
        if not (0 <= self.min_overlap <= 1 and self.max_draws >= 1):
            raise ValueError(
                f"min_overlap must lie between 0 and 1 and max_draws be at least 1, got {self.min_overlap}, {self.max_draws}."
            )

    def scaled(self, share: float) -> "PerturbationConfig":
        """The same with offsets and angles multiplied by a share: easier starts.

        Raises:
            ValueError: If the share does not lie in (0, 1].
        """
        if not 0 < share <= 1:
            raise ValueError(f"start_share must lie in (0, 1], got {share}.")
        return replace(
            self,
            min_offset_m=share * self.min_offset_m,
            max_offset_m=share * self.max_offset_m,
            max_angle_rad=share * self.max_angle_rad,
        )


@dataclass(frozen=True)
class PerturbedStart:
    """An accepted start."""

    T_object_tcp: Array
    """Pose of the tcp in the object's frame, shape (4, 4)."""
    finger_distance_m: float
    """The skill's start opening [m]."""
    acceptance_rate: float
    """One over the number of poses drawn."""


def draw_perturbed_start(
    item: ObjectModel,
    feature: ContactFeature,
    config: PerturbationConfig,
    rng: np.random.Generator,
    sweep: "PadSweep",
    is_fair: Callable[[Array, float], bool],
    turn_rad: float = 0.0,
) -> PerturbedStart:
    """Draw poses around ideal contacts until the part lies between the pads and no finger is near anything.

    "Between the pads": the cylinder that the two discs sweep along tcp y meets the part over at least `min_overlap` of the
    disc, and each closing finger's skin is pressed in before anything hard is met. So closing the fingers is felt.

    Args:
        item, feature: The object and the contact.
        config: Size of the perturbation.
        rng: Source of the draws.
        sweep: Tells whether the part lies between the pads.
        is_fair: Whether at (T_object_tcp, finger distance) the fingers keep the clearance and close skin first.
        turn_rad: The start is turned by so much more about tcp z.

    Raises:
        RuntimeError: If no draw was accepted.
    """
    opening = start_opening(feature.part_thickness_m)
    turn = se3.exp(np.array([0.0, 0.0, 0.0, 0.0, 0.0, turn_rad]))
    for draw in range(1, config.max_draws + 1):
        T = perturb(feature.sample(rng), feature.constrained, config, rng) @ turn
        if sweep.overlap(T, opening) >= config.min_overlap and is_fair(T, opening):
            return PerturbedStart(T, opening, 1 / draw)
    raise RuntimeError(
        f"No perturbed start in {config.max_draws} draws for feature '{feature.name}' of '{item.name}': "
        "is there room for the fingers around this contact?"
    )


def perturb(
    T_object_target: Array,
    constrained: tuple[str, ...],
    config: PerturbationConfig,
    rng: np.random.Generator,
) -> Array:
    """Move an ideal pose away along its constrained directions, shape (4, 4)."""
    free = np.array([name in constrained for name in DIRECTIONS], dtype=np.float64)
    offset = _unit(rng.standard_normal(3) * free[:3])
    offset *= rng.uniform(config.min_offset_m, config.max_offset_m)
    rotation = _unit(rng.standard_normal(3) * free[3:]) * rng.uniform(0, config.max_angle_rad)
    shift = se3.transform(translation=T_object_target[:3, :3] @ offset)
    turn = se3.exp(np.concatenate([np.zeros(3), rotation]))
    return shift @ T_object_target @ turn


class PadSweep:
    """The discs that closing pads sweep along tcp y, tested against the part of the object's exact mesh that is to be grasped.

    Args:
        item, feature: The object and the contact.
        pad_radius_m: Of the discs.
        num_rings: Of test points on a disc.
    """

    def __init__(
        self, item: ObjectModel, feature: ContactFeature, pad_radius_m: float, num_rings: int = 4
    ) -> None:
        self._scene = scene_of(item)
        self._widest = _WIDER * feature.part_thickness_m + _WIDER_M
        self._points = _disc(pad_radius_m, num_rings)

    def overlap(self, T_object_tcp: Array, finger_distance_m: float) -> float:
        """Share of the disc whose lines between the two pads meet the part, in [0, 1].

        What is wider than the part is something else, such as the cup behind a handle.
        """
        R = T_object_tcp[:3, :3]
        middle = T_object_tcp[:3, 3] + self._points @ R[:, [0, 2]].T
        across = finger_distance_m * R[:, 1]
        rays = np.empty((2, len(middle), 6), dtype=np.float32)
        for side, way in enumerate((across, -across)):
            rays[side, :, :3] = middle - 0.5 * way
            rays[side, :, 3:] = way
        left, right = self._scene.cast_rays(to_tensor(rays), nthreads=1)["t_hit"].numpy()
        width = finger_distance_m * (1.0 - left - right)  # minus infinity where nothing was hit
        return float(np.mean((width >= 0.0) & (width <= self._widest)))


def _disc(radius: float, num_rings: int) -> Array:
    """Points of equal weight on a disc, shape (num_points, 2)."""
    points = [
        (radius * (ring + 0.5) / num_rings, 2 * np.pi * k / (6 * ring + 3))
        for ring in range(num_rings)
        for k in range(6 * ring + 3)
    ]
    r, angle = np.array(points).T
    return np.stack([r * np.cos(angle), r * np.sin(angle)], axis=-1)


def _unit(vector: Array) -> Array:
    length = np.linalg.norm(vector)
    return vector / length if length > 0 else vector
