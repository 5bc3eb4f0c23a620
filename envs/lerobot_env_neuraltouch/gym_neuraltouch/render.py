"""Pictures of the scene for people: by OpenGL where there is any, by ray casting where there is none."""

import logging

import mujoco
import numpy as np
import open3d as o3d
import trimesh
from numpy.typing import NDArray

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.pointcloud import CameraIntrinsics

from .scene import COLLISION_GROUP
from .workpiece import Workpiece

logger = logging.getLogger(__name__)

HEIGHT, WIDTH = 480, 640
VIEW_DISTANCE_M = 0.42
VIEW_AZIMUTH_DEG = 140.0
VIEW_ELEVATION_DEG = -22.0
"""Where people look from; the camera keeps the contact in the middle of the picture."""
_VERTICAL_FIELD_RAD = np.deg2rad(45.0)
_DISC_RADIUS_M, _DISC_RGBA = 0.025, np.array([0.2, 0.65, 0.3, 0.6], dtype=np.float32)
_SKY, _TABLE, _OBJECT, _FINGER = (
    np.array(colour) for colour in ((0.93, 0.95, 0.97), (0.62, 0.66, 0.7), (0.85, 0.78, 0.66), (0.25, 0.4, 0.6))
)  # fmt: skip


class SceneRenderer:
    """Renders the scene of whatever workpiece is in play. Made on first use; holds a GL context per model."""

    def __init__(self) -> None:
        self._renderer: mujoco.Renderer | None = None
        self._model: mujoco.MjModel | None = None
        self._has_gl = True
        self._options = mujoco.MjvOption()
        self._options.geomgroup[COLLISION_GROUP] = 0

    def render(
        self, piece: Workpiece, T_base_goal: NDArray[np.float64] | None = None
    ) -> NDArray[np.uint8]:
        """The scene from the side, uint8 (480, 640, 3); where there is GL, with a disc at the object's goal (4, 4)."""
        renderer = self._renderer_for(piece.model)
        if renderer is None:
            return raycast_picture(piece)
        renderer.update_scene(piece.data, camera=_side_camera(piece), scene_option=self._options)
        if T_base_goal is not None:
            _add_disc(renderer.scene, T_base_goal)
        return renderer.render()

    def close(self) -> None:
        """Free the GL context."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def _renderer_for(self, model: mujoco.MjModel) -> mujoco.Renderer | None:
        if self._has_gl and self._model is not model:
            self.close()
            try:
                self._renderer = mujoco.Renderer(model, HEIGHT, WIDTH)
                self._model = model
            except (mujoco.FatalError, RuntimeError, ImportError, AttributeError) as error:
                # Without GL each platform fails in its own way; a plainer picture is better than none.
                logger.warning("No OpenGL (%s): drawing by ray casting. See MUJOCO_GL.", error)
                self._has_gl = False
        return self._renderer


def _add_disc(scene: mujoco.MjvScene, T_base_goal: NDArray[np.float64]) -> None:
    """A disc that is drawn only."""
    mujoco.mjv_initGeom(
        scene.geoms[scene.ngeom],
        mujoco.mjtGeom.mjGEOM_CYLINDER,
        np.array([_DISC_RADIUS_M, 0.0005, 0.0]),
        T_base_goal[:3, 3],
        T_base_goal[:3, :3].ravel(),
        _DISC_RGBA,
    )
    scene.ngeom += 1


def _view_target(piece: Workpiece) -> NDArray[np.float64]:
    """What the camera looks at: between the contact and the gripper."""
    T_base_target = piece.T_base_object @ piece.feature.curve(1)[0]
    axis_height = np.array([*piece.T_base_object[:2, 3], T_base_target[2, 3]])
    return 0.7 * axis_height + 0.3 * piece.gripper.T_base_tcp[:3, 3]


def _side_camera(piece: Workpiece) -> mujoco.MjvCamera:
    camera = mujoco.MjvCamera()
    camera.lookat[:] = _view_target(piece)
    camera.distance, camera.azimuth = VIEW_DISTANCE_M, VIEW_AZIMUTH_DEG
    camera.elevation = VIEW_ELEVATION_DEG
    return camera


def raycast_picture(piece: Workpiece) -> NDArray[np.uint8]:
    """The same view without GL, uint8 (480, 640, 3): object, both skins and the table, shaded by their normals."""
    target = _view_target(piece)
    azimuth, elevation = np.deg2rad([VIEW_AZIMUTH_DEG, VIEW_ELEVATION_DEG])
    forward = [
        np.cos(elevation) * np.cos(azimuth),
        np.cos(elevation) * np.sin(azimuth),
        np.sin(elevation),
    ]
    T_base_camera = se3.look_at(target - VIEW_DISTANCE_M * np.array(forward), target)
    focal = 0.5 * HEIGHT / np.tan(0.5 * _VERTICAL_FIELD_RAD)
    intrinsics = CameraIntrinsics(WIDTH, HEIGHT, focal, focal, (WIDTH - 1) / 2, (HEIGHT - 1) / 2)
    rays = _rays(intrinsics, T_base_camera)
    hits = _scene_of(piece).cast_rays(o3d.core.Tensor(rays.astype(np.float32)))
    names, normals = hits["geometry_ids"].numpy(), hits["primitive_normals"].numpy()
    picture = np.where(rays[..., 5:] < 0, _TABLE, _SKY)
    for geometry, colour in ((0, _OBJECT), (1, _FINGER), (2, _FINGER)):
        seen = names == geometry
        facing = np.abs(np.sum(normals[seen] * rays[seen][:, 3:], axis=-1, keepdims=True))
        picture[seen] = colour * (0.4 + 0.6 * facing)
    return np.rint(255 * picture).astype(np.uint8)


def _rays(intrinsics: CameraIntrinsics, T_base_camera: NDArray[np.float64]) -> NDArray[np.float64]:
    """Origins and unit directions in base, shape (height, width, 6)."""
    v, u = np.mgrid[: intrinsics.height, : intrinsics.width]
    x, y = (u - intrinsics.cx) / intrinsics.fx, (v - intrinsics.cy) / intrinsics.fy
    directions = np.stack([x, y, np.ones_like(x)], axis=-1) @ T_base_camera[:3, :3].T
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    return np.concatenate(
        [np.broadcast_to(T_base_camera[:3, 3], directions.shape), directions], axis=-1
    )


def _scene_of(piece: Workpiece) -> o3d.t.geometry.RaycastingScene:
    finger = piece.camera.finger
    T_base_pads = piece.gripper.T_base_tcp @ finger.pad_poses(piece.gripper.finger_distance_m)
    skin = trimesh.creation.icosphere(subdivisions=3, radius=finger.pad_radius_m)
    skin.apply_translation([0.0, 0.0, -finger.pad_radius_m])
    scene = o3d.t.geometry.RaycastingScene()
    for mesh, T in ((piece.item.mesh, piece.T_base_object), *((skin, T) for T in T_base_pads)):
        vertices = se3.apply(T, np.asarray(mesh.vertices)).astype(np.float32)
        scene.add_triangles(
            o3d.core.Tensor(vertices), o3d.core.Tensor(mesh.faces.astype(np.uint32))
        )
    return scene
