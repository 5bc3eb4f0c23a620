"""Depth pictures of objects by ray casting.

Frames: object, and camera with OpenCV axes (x right, y down, z forward) [m]. Depth is measured along the camera's z.
"""

from functools import lru_cache
from weakref import WeakKeyDictionary

import numpy as np
import open3d as o3d
import trimesh
from numpy.typing import ArrayLike

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.objects.model import ObjectModel
from lerobot_neuraltouch.pointcloud import CameraIntrinsics

Scene = o3d.t.geometry.RaycastingScene
_SCENES: "WeakKeyDictionary[ObjectModel, Scene]" = WeakKeyDictionary()


def to_tensor(array: ArrayLike, dtype: type = np.float32) -> o3d.core.Tensor:
    """Hand an array to Open3D, which casts rays and measures distances in single precision."""
    return o3d.core.Tensor.from_numpy(np.ascontiguousarray(array, dtype=dtype))


def make_scene(mesh: trimesh.Trimesh) -> Scene:
    """Put one mesh into a scene that answers ray casts and distance queries."""
    scene = Scene()
    scene.add_triangles(to_tensor(mesh.vertices), to_tensor(mesh.faces, np.uint32))
    return scene


def scene_of(model: ObjectModel) -> Scene:
    """The scene of an object's mesh in the object frame, built once per object."""
    if model not in _SCENES:
        _SCENES[model] = make_scene(model.mesh)
    return _SCENES[model]


@lru_cache(maxsize=8)
def camera_rays(intrinsics: CameraIntrinsics) -> np.ndarray:
    """Directions through the pixel centres in the camera frame with z = 1, shape (height, width, 3), read-only."""
    u, v = np.meshgrid(np.arange(intrinsics.width), np.arange(intrinsics.height))
    x = (u - intrinsics.cx) / intrinsics.fx
    y = (v - intrinsics.cy) / intrinsics.fy
    rays = np.stack([x, y, np.ones_like(x)], axis=-1)
    rays.setflags(write=False)
    return rays


def render_depth(
    target: ObjectModel | Scene,
    T_object_camera: np.ndarray,
    intrinsics: CameraIntrinsics,
    *,
    table: bool = False,
    table_height_m: float = 0.0,
) -> np.ndarray:
    """Cast a ray through each pixel.

    Args:
        target: An object, or a scene in the object frame.
        T_object_camera: Pose of the camera in the object frame, shape (4, 4).
        intrinsics: Size and focal lengths of the picture.
        table: Whether the table is there too, a plane across the object frame's z (by default the object stands on it).
        table_height_m: Its height in the object frame.

    Returns:
        Depth along the camera's z [m], float32, shape (height, width); 0 where nothing was hit.
    """
    scene = scene_of(target) if isinstance(target, ObjectModel) else target
    directions = camera_rays(intrinsics) @ T_object_camera[:3, :3].T
    rays = np.empty((intrinsics.height, intrinsics.width, 6), dtype=np.float32)
    rays[..., :3] = T_object_camera[:3, 3]
    rays[..., 3:] = directions
    # The directions have z = 1 in the camera frame, so the ray parameter is the depth.
    depth = scene.cast_rays(to_tensor(rays))["t_hit"].numpy()
    if table:
        fall = directions[..., 2]
        height = T_object_camera[2, 3] - table_height_m
        below = fall * np.sign(height) < -1e-6
        reach = np.where(below, -height / np.where(below, fall, 1.0), np.inf)
        depth = np.minimum(depth, reach.astype(np.float32))
    return np.where(np.isfinite(depth), depth, np.float32(0.0))


def orbit_camera(
    target: np.ndarray, distance_m: float, azimuth_rad: float, elevation_rad: float
) -> np.ndarray:
    """Pose of a camera that looks at a point, T_object_camera, shape (4, 4).

    Args:
        target: Where it looks, object frame [m], shape (3,).
        distance_m: From there to the camera.
        azimuth_rad, elevation_rad: Direction of the camera seen from there; the elevation may be +-pi/2.
    """
    flat = np.cos(elevation_rad)
    away = np.array([flat * np.cos(azimuth_rad), flat * np.sin(azimuth_rad), np.sin(elevation_rad)])
    # Straight above or below, "up" in the picture is the direction of the azimuth.
    up = (0.0, 0.0, 1.0) if flat > 1e-6 else (np.cos(azimuth_rad), np.sin(azimuth_rad), 0.0)
    eye = np.asarray(target) + distance_m * away
    return se3.look_at(eye, np.asarray(target), up)
