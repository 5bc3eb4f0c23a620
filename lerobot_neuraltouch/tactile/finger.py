"""The compact TacTip fingertip: one record gives the physics its contact geom and the renderer its skin.

No public model of a finger-sized TacTip exists, so the numbers are our own design. Frame `pad`: origin on the apex
of the undeformed skin, z the outward normal, y = -(tcp z) for both fingers; x = +(tcp x) on the left finger and
-(tcp x) on the right one, which is the same finger turned by 180 deg about tcp z.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class TacTipFinger:
    """Geometry and mechanics of one fingertip. The skin is the cap of an ellipsoid of revolution about pad z."""

    pad_radius_m: float = 0.010
    """Radius of the sensitive disc [m]; the camera's image shows exactly this disc."""
    skin_radius_m: float = 0.0105
    """Semi-axis of the skin ellipsoid across the pad [m]; a little wider than the disc, so the rim is not vertical."""
    skin_height_m: float = 0.0055125
    """Semi-axis of the skin ellipsoid along the normal [m]; gives a radius of curvature of 20 mm at the apex."""
    max_travel_m: float = 0.0045
    """Travel of the sprung skin along the normal before it meets the hard core [m]."""
    max_shear_m: float = 0.0045
    """Travel of the sprung skin along each tangent [m]."""
    normal_stiffness_n_per_m: float = 600.0
    """Spring along the normal [N/m]; with the contact's own compliance the pad feels like 0.53 N/mm."""
    shear_stiffness_n_per_m: float = 1200.0
    """Spring along each tangent [N/m]."""
    pad_mass_kg: float = 0.010
    """Moving mass of the skin [kg]. Stable at 2 ms steps up to sqrt(stiffness / mass) * dt = 0.8."""
    friction: float = 1.5
    """Coulomb friction of the skin against anything."""
    torsional_friction_m: float = 0.008
    """Torque about the normal per newton of normal force [m]: about two thirds of friction times patch radius."""
    core_depth_m: float = 0.0075
    """Distance of the hard core's face behind the apex [m]."""
    core_half_size_m: tuple[float, float, float] = (0.010, 0.012, 0.004)
    """Half sizes of the box behind the skin (core and camera housing) along pad x, y, z [m]."""
    core_setback_m: float = 0.002
    """The core lies this much nearer to the hand than the pad, so that its tip ends with the pad's disc [m]."""
    camera_distance_m: float = 0.014
    """Distance of the camera's pinhole behind the apex, on the pad's axis [m]."""

    def __post_init__(self) -> None:
        if not 0 < self.pad_radius_m < self.skin_radius_m:
            raise ValueError(
                f"pad_radius_m must lie between 0 and skin_radius_m = {self.skin_radius_m}, got {self.pad_radius_m}."
            )
        if self.camera_distance_m <= 2 * self.skin_height_m:
            raise ValueError(
                f"camera_distance_m must exceed twice skin_height_m = {self.skin_height_m}: the camera sits outside "
                f"the skin's ellipsoid; got {self.camera_distance_m}."
            )

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
        return self.skin_height_m * (1 - float(np.sqrt(1 - (radius_m / self.skin_radius_m) ** 2)))

    def skin_depth(self, slopes: NDArray[np.floating]) -> NDArray[np.float64]:
        """Depth along the camera's axis at which rays leave the undeformed skin [m], shape (num_rays,).

        Args:
            slopes: Rays (x / z, y / z) from the pinhole, shape (num_rays, 2).

        Returns:
            The far intersection with the ellipsoid; NaN for rays that miss it.
        """
        a, c, h = self.skin_radius_m, self.skin_height_m, self.camera_distance_m
        # ((s x)^2 + (s y)^2) / a^2 + (s - (h - c))^2 / c^2 = 1, solved for the larger s
        quadratic = np.sum(np.square(slopes, dtype=np.float64), axis=-1) / a**2 + 1 / c**2
        half_linear = (h - c) / c**2
        discriminant = half_linear**2 - quadratic * ((h - c) ** 2 / c**2 - 1)
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
