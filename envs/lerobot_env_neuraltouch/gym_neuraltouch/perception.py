"""What the wrist camera sees from a stand-off pose: the point cloud of an episode.

The camera sits on the hand and looks along the approach direction; its picture is ray cast against the object's exact
mesh and the table. A wrong hand-eye calibration turns and shifts the whole cloud, as on a real arm.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.features import start_opening
from lerobot_neuraltouch.kinematics import UnreachableError
from lerobot_neuraltouch.objects.sight import is_hidden
from lerobot_neuraltouch.objects.views import orbit_camera, render_depth
from lerobot_neuraltouch.pointcloud import (
    D435,
    CameraIntrinsics,
    DepthNoise,
    object_cloud,
    perturb_depth,
)

if TYPE_CHECKING:
    from .workpiece import Workpiece

Array = NDArray[np.float64]

T_TCP_CAMERA = np.array(
    [[0.0, -1.0, 0.0, 0.06], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, -0.10], [0.0, 0.0, 0.0, 1.0]]
)
"""The wrist camera on the hand: 100 mm behind the tcp, 60 mm to its +x side, looking along tcp z; the picture's columns run
along tcp y. The fingers stay below its field of view."""
INTRINSICS: CameraIntrinsics = D435
QUICK_INTRINSICS: CameraIntrinsics = D435.scaled(0.5)
"""The picture of an episode that begins at the contact: no pose is to be found in it, and resets should cost little. Coarser
still, and thin parts fall apart into clusters of which only the biggest is kept."""
DISTANCE_M = (0.35, 0.45)
ELEVATION_RAD = (float(np.deg2rad(30)), float(np.deg2rad(60)))
"""Stand-off: distance of the camera from the object's centre and its elevation above the horizon."""
_MAX_LOOKS = 20
_MAX_STAND_OFFS = 50
"""Stand-off poses drawn before giving up on one that the robot reaches."""
_CLEARANCE_M = 0.010
"""Nothing of the robot is nearer to object or table in a stand-off pose [m]."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Error of the hand-eye calibration, drawn per episode; normal along and about each camera axis."""

    sigma_m: float = 0.0
    """Of the translation [m]."""
    sigma_rad: float = 0.0
    """Of the rotation [rad]."""

    def sample(self, rng: np.random.Generator) -> Array:
        """Believed camera pose in the true camera's frame, shape (4, 4)."""
        scale = np.repeat([self.sigma_m, self.sigma_rad], 3)
        return se3.exp(scale * rng.standard_normal(6))


CALIBRATIONS = {
    "exact": Calibration(),
    # moves the cloud of an object 0.4 m away by 12 mm (root mean square), about the paper's coarse error
    "paper": Calibration(sigma_m=0.0055, sigma_rad=float(np.deg2rad(0.75))),
}


@dataclass(frozen=True)
class View:
    """One look at the object."""

    T_base_tcp: Array
    """The stand-off pose of the tcp, shape (4, 4)."""
    finger_distance_m: float
    """The skill's start opening [m]."""
    cloud: NDArray[np.float32]
    """Observation `point_cloud` in base [m], shape (1024, 3)."""


def look(
    piece: "Workpiece",
    rng: np.random.Generator,
    *,
    noisy: bool,
    calibration: str,
    in_sight: bool = False,
    intrinsics: CameraIntrinsics = INTRINSICS,
) -> View:
    """Draw a stand-off pose and look at the object from there.

    Args:
        piece: The object in its place.
        rng: Source of pose, noise and calibration error.
        noisy: Whether the depth picture has the nominal noise.
        calibration: Name in `CALIBRATIONS`.
        in_sight: Look until the cloud shows the contact (`objects.sight`).
        intrinsics: Of the depth camera.

    Raises:
        ValueError: If the object, or its contact, was not found in any of twenty pictures.
        UnreachableError: If the robot reaches no stand-off pose.
    """
    noise = DepthNoise() if noisy else DepthNoise.off()
    error = CALIBRATIONS[calibration].sample(rng)
    T_base_object = piece.T_base_object
    for attempt in range(_MAX_LOOKS):
        T_object_camera = _stand_off(piece, rng)
        depth = render_depth(
            piece.item, T_object_camera, intrinsics, table=True, table_height_m=-T_base_object[2, 3]
        )
        if noisy:
            depth = perturb_depth(depth, noise, rng)
        T_base_camera = T_base_object @ T_object_camera
        try:
            cloud = object_cloud(depth, intrinsics, T_base_camera @ error, rng)
            if in_sight:
                _check_sight(cloud, T_object_camera @ se3.inverse(T_base_camera @ error), piece)
        except ValueError:
            if attempt == _MAX_LOOKS - 1:
                raise
        else:
            return View(
                T_base_camera @ se3.inverse(T_TCP_CAMERA),
                start_opening(piece.feature.part_thickness_m),
                cloud,
            )
    raise AssertionError("the last look returns or raises")


def _check_sight(cloud: NDArray[np.float32], T_object_base: Array, piece: "Workpiece") -> None:
    """Refuse a cloud (N, 3) in base, as the camera believes, that does not show the contact."""
    if is_hidden(se3.apply(T_object_base, cloud), piece.feature):
        raise ValueError(
            f"{_MAX_LOOKS} pictures of '{piece.item.name}' were taken, and the last does not show its contact "
            f"'{piece.feature.name}'."
        )


def _stand_off(piece: "Workpiece", rng: np.random.Generator) -> Array:
    """T_object_camera of a camera that looks at the middle of the object from where the robot can go, shape (4, 4)."""
    centre = np.asarray(piece.item.mesh.bounds, dtype=np.float64).mean(axis=0)
    for _ in range(_MAX_STAND_OFFS):
        distance, azimuth = rng.uniform(*DISTANCE_M), rng.uniform(-np.pi, np.pi)
        T_object_camera = orbit_camera(centre, distance, azimuth, rng.uniform(*ELEVATION_RAD))
        T_object_tcp = T_object_camera @ se3.inverse(T_TCP_CAMERA)
        if piece.can_begin(T_object_tcp, _CLEARANCE_M):
            return T_object_camera
    raise UnreachableError(
        f"None of {_MAX_STAND_OFFS} poses to look at '{piece.item.name}' from can be reached."
    )
