"""The compact TacTip fingertip: one record gives the physics its contact geom and the renderer its skin.

No public model of a finger-sized TacTip exists, so the numbers are our own design: `docs/touch.md` draws it. `FINGERS` holds
its two variants; any other is `TacTipFinger(shape=..., dome_radius_m=..., ...)`. Frame `pad`: origin on the apex
of the undeformed skin, z the outward normal, y = -(tcp z) for both fingers; x = +(tcp x) on the left finger and
-(tcp x) on the right one, which is the same finger turned by 180 deg about tcp z.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

SHAPES = ("dome", "flat")
_CONTACT_STIFFNESS_N_PER_M = {"dome": 5300.0, "flat": 25500.0}
"""The nearly hard contact between skin and object yields a little too, one point or the edge of a disc: measured [N/m]."""
_CENTRED = np.zeros(2)


@dataclass(frozen=True, kw_only=True)
class TacTipFinger:
    """Geometry and mechanics of one fingertip, round about pad z.

    Whatever the numbers, the image's inscribed circle is the edge of the pad's disc: pad size and camera distance give the field
    of view.
    """

    shape: Literal["dome", "flat"] = "dome"
    """Of the skin: the cap of an ellipsoid of revolution, or a disc."""
    pad_radius_m: float = 0.010
    """Radius of the sensitive disc [m]; the camera's image shows exactly this disc."""
    skin_radius_m: float = 0.0105
    """Semi-axis of the dome's ellipsoid across the pad, a little wider than the disc, so that its rim is not vertical; or radius
    of the flat skin [m]."""
    dome_radius_m: float = 0.020
    """Radius of curvature of the dome at its apex [m]; a flat skin has none."""
    max_travel_m: float = 0.0045
    """Travel of the sprung skin along the normal before it meets the hard core [m]."""
    max_shear_m: float = 0.0045
    """Travel of the sprung skin along each tangent [m]."""
    normal_stiffness_n_per_m: float = 600.0
    """Spring along the normal [N/m]; with the contact's own compliance the pad feels like 0.54 N/mm."""
    shear_stiffness_n_per_m: float = 1200.0
    """Spring along each tangent [N/m]."""
    pad_mass_kg: float = 0.010
    """Moving mass of the skin [kg]. Stable at 2 ms steps up to sqrt(stiffness / mass) dt = 0.8; longer steps get more inertia."""
    friction: float = 1.5
    """Coulomb friction of the skin against anything."""
    torsional_friction_m: float = 0.008
    """Torque about the normal per newton of normal force [m]: about two thirds of friction times patch radius."""
    core_depth_m: float = 0.0075
    """Thickness of the soft skin: from the apex to the hard core's face [m]."""
    core_half_size_m: tuple[float, float, float] = (0.010, 0.012, 0.004)
    """Half sizes of the box behind the skin (core and camera housing) along pad x, y, z [m]."""
    core_setback_m: float = 0.002
    """The core lies this much nearer to the hand than the pad, so that its tip ends with the pad's disc [m]."""
    camera_distance_m: float = 0.014
    """Distance of the camera's pinhole behind the apex, on the pad's axis [m]."""

    def __post_init__(self) -> None:
        if self.shape not in SHAPES:
            raise ValueError(f"Unknown shape '{self.shape}'. Available: {', '.join(SHAPES)}.")
        lengths = {name: value for name, value in vars(self).items() if isinstance(value, float)}
        for name, value in lengths.items():
            if not 0 <= value < np.inf:
                raise ValueError(f"{name} must be a number of at least 0, got {value}.")
        flat = self.shape == "flat"
        widest = self.skin_radius_m * (1.0 if flat else 1.0 - 1e-9)  # a dome is vertical at its rim
        if not 0 < self.pad_radius_m <= widest:
            raise ValueError(
                f"pad_radius_m must lie between 0 and skin_radius_m = {self.skin_radius_m}, got {self.pad_radius_m}."
            )
        if self.dome_radius_m < self.skin_radius_m and not flat:
            raise ValueError(
                f"dome_radius_m must be at least skin_radius_m = {self.skin_radius_m}, a hemisphere's; got {self.dome_radius_m}."
            )
        if self.camera_distance_m <= 2 * self.skin_height_m:
            raise ValueError(
                f"camera_distance_m must exceed {2 * self.skin_height_m:g}: the camera sits behind the skin's solid; got "
                f"{self.camera_distance_m}."
            )
        if not 0 < self.max_travel_m < self.core_depth_m:
            raise ValueError(
                f"max_travel_m must lie between 0 and the skin's thickness core_depth_m = {self.core_depth_m}, got "
                f"{self.max_travel_m}."
            )
        stiffest = max(self.normal_stiffness_n_per_m, self.shear_stiffness_n_per_m)
        if not 0 < stiffest <= self.max_stiffness_n_per_m:
            raise ValueError(
                f"With pad_mass_kg = {self.pad_mass_kg} the springs must be positive and at most "
                f"{self.max_stiffness_n_per_m:.0f} N/m, or they oscillate at 2 ms steps; got {stiffest:g}."
            )

    @property
    def skin_height_m(self) -> float:
        """Half the height of the skin's solid [m]: the dome's semi-axis along the normal, or half of the flat skin's thickness."""
        if self.shape == "flat":
            return self.core_depth_m / 2
        return round(self.skin_radius_m**2 / self.dome_radius_m, 12)  # a plain 0.0055125

    @property
    def max_stiffness_n_per_m(self) -> float:
        """Stiffest spring that is stable on the pad's mass at 2 ms steps: sqrt(stiffness / mass) dt = 0.8 [N/m]."""
        return (0.8 / 0.002) ** 2 * self.pad_mass_kg

    @property
    def tip_stiffness_n_per_m(self) -> float:
        """How stiff the pad feels along its normal: the spring and the contact's own compliance, one after the other [N/m]."""
        spring, contact = self.normal_stiffness_n_per_m, _CONTACT_STIFFNESS_N_PER_M[self.shape]
        return spring * contact / (spring + contact)

    def spring_for(self, tip_stiffness_n_per_m: float) -> float:
        """The spring along the normal that makes the pad feel this stiff [N/m]: the inverse of `tip_stiffness_n_per_m`.

        Raises:
            ValueError: If it would not be stable on the pad's mass.
        """
        contact = _CONTACT_STIFFNESS_N_PER_M[self.shape]
        most = self.max_stiffness_n_per_m * contact / (self.max_stiffness_n_per_m + contact)
        if not 0 < tip_stiffness_n_per_m <= most:
            raise ValueError(
                f"A tip with pads of {self.pad_mass_kg} kg can feel like 0 to {most:.0f} N/m, got {tip_stiffness_n_per_m:g}."
            )
        return tip_stiffness_n_per_m * contact / (contact - tip_stiffness_n_per_m)

    @property
    def thickness_m(self) -> float:
        """From the apex to the back of the housing [m]."""
        return self.core_depth_m + 2 * self.core_half_size_m[2]

    @property
    def tan_half_fov(self) -> float:
        """Tangent of half the camera's field of view: the edge of the disc lies on the edge of the image."""
        return self.pad_radius_m / (self.camera_distance_m - self.sagitta(self.pad_radius_m))

    @property
    def fov_rad(self) -> float:
        """Field of view of the camera, the same in both directions [rad]."""
        return 2 * float(np.arctan(self.tan_half_fov))

    def sagitta(self, radius_m: float) -> float:
        """How far the undeformed skin lies behind its apex at this distance from the axis [m]."""
        if self.shape == "flat":
            return 0.0
        return self.skin_height_m * (1 - float(np.sqrt(1 - (radius_m / self.skin_radius_m) ** 2)))

    def skin_depth(
        self, slopes: NDArray[np.floating], offset_m: NDArray[np.floating] = _CENTRED
    ) -> NDArray[np.float64]:
        """Depth along the camera's axis at which rays leave the undeformed skin [m], shape (num_rays,).

        Args:
            slopes: Rays (x / z, y / z) from the pinhole, shape (num_rays, 2).
            offset_m: Place of the pinhole beside the pad's axis [m], shape (2,).

        Returns:
            The far intersection with the dome's ellipsoid, or with the flat skin's plane; NaN for rays that miss it.
        """
        a, c, h = self.skin_radius_m, self.skin_height_m, self.camera_distance_m
        if self.shape == "flat":
            return np.full(len(slopes), h)
        # ((o_x + s x)^2 + (o_y + s y)^2) / a^2 + (s - (h - c))^2 / c^2 = 1, solved for the larger s
        quadratic = np.sum(np.square(slopes, dtype=np.float64), axis=-1) / a**2 + 1 / c**2
        half_linear = (h - c) / c**2 - slopes @ offset_m / a**2
        constant = offset_m @ offset_m / a**2 + ((h - c) ** 2 / c**2 - 1)
        discriminant = half_linear**2 - quadratic * constant
        with np.errstate(invalid="ignore"):
            return (half_linear + np.sqrt(discriminant)) / quadratic

    def pad_poses(self, finger_distance_m: float) -> NDArray[np.float64]:
        """Poses T_tcp_pad of the left and right pad at this distance between them [m], shape (2, 4, 4)."""
        T_tcp_pad = _PAD_AXES.copy()
        T_tcp_pad[0, 1, 3] = -finger_distance_m / 2
        T_tcp_pad[1, 1, 3] = finger_distance_m / 2
        return T_tcp_pad


# columns: pad x, y, z in tcp coordinates; left, then right
_PAD_AXES = np.array(
    [
        [[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]],
        [[-1, 0, 0, 0], [0, 0, -1, 0], [0, -1, 0, 0], [0, 0, 0, 1]],
    ],
    dtype=np.float64,
)

FINGERS = {
    "dome": TacTipFinger(),
    "flat": TacTipFinger(shape="flat", skin_radius_m=0.010),
}
"""Variants by name: the default, and a flat skin of the same size and stiffness. The camera keeps its place, so that the flat one's field of
view is smaller."""
