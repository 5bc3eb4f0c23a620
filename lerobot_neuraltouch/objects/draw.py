"""Pictures of objects with their contact features, shaded by ray casting."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.objects.model import ObjectModel
from lerobot_neuraltouch.objects.views import camera_rays, orbit_camera, scene_of, to_tensor
from lerobot_neuraltouch.pointcloud import CameraIntrinsics

AXIS_M = 0.02
"""Length of the drawn axes of a target frame."""
HIDDEN_M = 0.005
"""Lines deeper than this below the surface are faint; ideal poses at a rim lie inside its wall."""
_COLOURS = np.array([[0.85, 0.1, 0.1], [0.1, 0.6, 0.1], [0.1, 0.2, 0.9]])
_CURVE_COLOUR = np.array([1.0, 0.55, 0.0])
_SUPERSAMPLING = 2


def draw_object(model: ObjectModel, size: int = 256, num_frames: int = 3) -> np.ndarray:
    """Draw an object from the side and above, with its features.

    Axes of ideal tcp poses: x red, y green, z blue; the curve of ideal poses is orange; fainter where hidden.

    Args:
        model: What to draw.
        size: Height and width of the picture [pixel].
        num_frames: How many ideal poses of each feature get axes.

    Returns:
        Picture in [0, 1], shape (size, size, 3).
    """
    num = size * _SUPERSAMPLING
    bounds = model.mesh.bounds
    radius = 0.5 * float(np.linalg.norm(np.ptp(bounds, axis=0)))
    focal = 1.6 * num
    intrinsics = CameraIntrinsics(num, num, focal, focal, (num - 1) / 2, (num - 1) / 2)
    # The sphere about the bounding box just fits into the picture.
    distance = radius / np.sin(np.arctan(0.5 / 1.6)) * 0.98
    T_object_camera = orbit_camera(bounds.mean(axis=0), distance, np.deg2rad(-50), np.deg2rad(28))
    picture, depth = _shade(model, T_object_camera, intrinsics)
    for feature in model.features.values():
        curve = feature.curve(400)
        _draw_points(picture, depth, curve[:, :3, 3], _CURVE_COLOUR, T_object_camera, intrinsics)
        for T in feature.curve(num_frames):
            for axis in range(3):
                line = T[:3, 3] + np.linspace(0.0, AXIS_M, 160)[:, None] * T[:3, axis]
                _draw_points(picture, depth, line, _COLOURS[axis], T_object_camera, intrinsics)
    blocks = picture.reshape(size, _SUPERSAMPLING, size, _SUPERSAMPLING, 3)
    return blocks.mean(axis=(1, 3))


def save_sheet(models: list[ObjectModel], path: Path, num_columns: int = 5) -> None:
    """Write pictures of objects side by side into one PNG, each with its name, style and size."""
    num_rows = -(-len(models) // num_columns)
    figure = Figure(figsize=(2.6 * num_columns, 2.8 * num_rows), dpi=100, layout="compressed")
    axes = figure.subplots(num_rows, num_columns, squeeze=False).ravel()
    for ax in axes:
        ax.set_axis_off()
    for ax, model in zip(axes, models, strict=False):
        ax.imshow(draw_object(model))
        size = " x ".join(f"{1e3 * extent:.0f}" for extent in model.mesh.extents)
        ax.set_title(f"{model.name} {model.style}\n{size} mm", fontsize=7)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _shade(
    model: ObjectModel, T_object_camera: np.ndarray, intrinsics: CameraIntrinsics
) -> tuple[np.ndarray, np.ndarray]:
    """Picture, shape (height, width, 3), and depth [m], shape (height, width), infinite in the background."""
    directions = camera_rays(intrinsics) @ T_object_camera[:3, :3].T
    rays = np.concatenate(
        [np.broadcast_to(T_object_camera[:3, 3], directions.shape), directions], axis=-1
    )
    hits = scene_of(model).cast_rays(to_tensor(rays))
    normals, depth = hits["primitive_normals"].numpy(), hits["t_hit"].numpy()
    toward = -directions / np.linalg.norm(directions, axis=-1, keepdims=True)
    light = T_object_camera[:3, :3] @ np.array([-0.5, -0.75, -0.45])
    facing = np.clip(np.sum(normals * toward, axis=-1), 0.0, 1.0)
    lit = np.clip(normals @ (light / np.linalg.norm(light)), 0.0, 1.0)
    shade = 0.45 + 0.25 * facing + 0.3 * lit
    picture = np.ones((*depth.shape, 3))
    seen = np.isfinite(depth)
    picture[seen] = shade[seen, None] * np.array([0.86, 0.88, 0.92])
    return picture, depth


def _draw_points(
    picture: np.ndarray,
    depth: np.ndarray,
    points: np.ndarray,
    colour: np.ndarray,
    T_object_camera: np.ndarray,
    intrinsics: CameraIntrinsics,
) -> None:
    """Draw points, object frame [m], shape (num_points, 3), as small squares; those behind the surface are faint."""
    x, y, z = se3.apply(se3.inverse(T_object_camera), points).T
    column = np.rint(intrinsics.fx * x / z + intrinsics.cx).astype(int)
    row = np.rint(intrinsics.fy * y / z + intrinsics.cy).astype(int)
    inside = (column >= 1) & (row >= 1)
    inside &= (column < intrinsics.width - 1) & (row < intrinsics.height - 1)
    row, column, z = row[inside], column[inside], z[inside]
    hidden = z > depth[row, column] + HIDDEN_M
    faint = np.zeros(depth.shape, dtype=bool)
    strong = np.zeros(depth.shape, dtype=bool)
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            faint[row[hidden] + down, column[hidden] + right] = True
            strong[row[~hidden] + down, column[~hidden] + right] = True
    picture[faint] = 0.65 * picture[faint] + 0.35 * colour
    picture[strong] = colour
