"""The wrist's colour and depth camera: both pictures from one ray cast, registered to one another.

Frames: camera with OpenCV axes; tcp; base [m]. The depth picture is what LeRobot's depth cameras deliver: uint16 millimetres,
0 invalid.
"""

from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from gym_neuraltouch.perception import CALIBRATIONS, INTRINSICS, T_TCP_CAMERA
from gym_neuraltouch.workpiece import Workpiece
from lerobot_neuraltouch import se3
from lerobot_neuraltouch.objects.views import camera_rays, scene_of, to_tensor
from lerobot_neuraltouch.pointcloud import CameraIntrinsics, DepthNoise, perturb_depth

COLOUR_SHAPE = (INTRINSICS.height, INTRINSICS.width, 3)
DEPTH_SHAPE = (INTRINSICS.height, INTRINSICS.width, 1)
DEPTH_UNIT_M = 0.001
MAX_RANGE_M = 10.0
"""Farther surfaces give no depth [m]."""
_SKY, _OBJECT = np.array((0.93, 0.95, 0.97)), np.array((0.85, 0.78, 0.66))
_TILES = np.array(((0.56, 0.60, 0.64), (0.66, 0.70, 0.74)))
_TILE_M = 0.05
"""The table is a chequerboard, so that a moving camera sees it move."""


def calibration_record() -> dict[str, object]:
    """What a user of the camera believes of it, with the names of the policy's `wrist_camera`: intrinsics [pixels], hand-eye
    pose `tcp_camera` as position [m] and rotation vector [rad], unit of depth and height of the table [m].
    """
    return {
        **asdict(INTRINSICS),
        "tcp_camera": se3.to_rotvec_pose(T_TCP_CAMERA).tolist(),
        "depth_unit_m": DEPTH_UNIT_M,
        "table_height_m": 0.0,
    }


class WristCamera:
    """Looks along the hand's approach direction at the object and the table. The fingers lie below its picture.

    Args:
        noisy: Whether depth has the nominal noise.
        calibration: Name in `perception.CALIBRATIONS`; a wrong one turns and shifts the real camera against `calibration_record`.
        seed: Of the calibration's error.
    """

    def __init__(self, *, noisy: bool, calibration: str, seed: int) -> None:
        if calibration not in CALIBRATIONS:
            raise ValueError(
                f"Unknown calibration '{calibration}'. Available: {', '.join(CALIBRATIONS)}."
            )
        self._noise = DepthNoise() if noisy else DepthNoise.off()
        error = CALIBRATIONS[calibration].sample(np.random.default_rng(seed))
        # `error` is the believed camera in the true camera's frame.
        self._T_tcp_camera = T_TCP_CAMERA @ se3.inverse(error)
        self.reset(seed)

    def reset(self, seed: int) -> None:
        """Begin an episode: its noise follows from the seed."""
        self._rng = np.random.default_rng(seed)

    def take(self, piece: Workpiece) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
        """Colour, shape `COLOUR_SHAPE`, and depth [mm], shape `DEPTH_SHAPE`, at the present state of the simulation."""
        T_base_camera = piece.gripper.T_base_tcp @ self._T_tcp_camera
        depth, colour = _cast(piece, T_base_camera, INTRINSICS)
        depth = perturb_depth(depth, self._noise, self._rng)
        depth[depth > MAX_RANGE_M] = 0.0
        millimetres = np.rint(depth / DEPTH_UNIT_M).astype(np.uint16)
        return np.rint(255 * colour).astype(np.uint8), millimetres[..., None]


def _cast(
    piece: Workpiece, T_base_camera: NDArray[np.float64], intrinsics: CameraIntrinsics
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Depth along the camera's z [m], shape (height, width), infinite in the sky, and colour in [0, 1] (height, width, 3)."""
    T_object_camera = se3.inverse(piece.T_base_object) @ T_base_camera
    towards = camera_rays(intrinsics) @ T_object_camera[:3, :3].T
    rays = np.empty((*towards.shape[:2], 6), dtype=np.float32)
    rays[..., :3], rays[..., 3:] = T_object_camera[:3, 3], towards
    # Rays have z = 1 in the camera frame, so their parameter is the depth.
    hits = scene_of(piece.item).cast_rays(to_tensor(rays), nthreads=1)
    to_object, normals = hits["t_hit"].numpy(), hits["primitive_normals"].numpy()
    to_table, table_colour = _table(
        camera_rays(intrinsics) @ T_base_camera[:3, :3].T, T_base_camera
    )
    colour = np.where(np.isfinite(to_table)[..., None], table_colour, _SKY)
    seen = to_object < to_table
    facing = np.abs(np.sum(normals[seen] * towards[seen], axis=-1, keepdims=True))
    facing /= np.linalg.norm(towards[seen], axis=-1, keepdims=True)
    colour[seen] = _OBJECT * (0.4 + 0.6 * facing)
    return np.minimum(to_object, to_table), colour


def _table(
    towards: NDArray[np.float64], T_base_camera: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Depth of the plane z = 0 of base along rays (height, width, 3), infinite where it is not met, and its colour."""
    height = T_base_camera[2, 3]
    down = towards[..., 2] < -1e-6
    depth = np.where(down, -height / np.where(down, towards[..., 2], -1.0), np.inf)
    finite = np.where(down, depth, 0.0)[..., None]
    tile = np.floor((T_base_camera[:2, 3] + finite * towards[..., :2]) / _TILE_M).astype(np.int64)
    return depth.astype(np.float32), _TILES[tile.sum(axis=-1) % 2]
