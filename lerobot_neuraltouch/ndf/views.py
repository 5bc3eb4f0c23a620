"""Clouds as a depth camera on a robot sees them: noisy, partial, from anywhere, or of an object on a table.

Frame: object [m].
"""

import numpy as np

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.objects.model import ObjectModel
from lerobot_neuraltouch.objects.views import render_depth, scene_of
from lerobot_neuraltouch.pointcloud import (
    D435,
    CameraIntrinsics,
    DepthNoise,
    deproject,
    perturb_depth,
    segment,
)

NO_TABLE = -10.0
"""Table height [m] that means there is none."""


def random_camera(
    model: ObjectModel, rng: np.random.Generator, from_where: str, distance_m: tuple[float, float]
) -> np.ndarray:
    """A camera that looks roughly at the object, T_object_camera, shape (4, 4); its roll is uniform.

    Args:
        model: What is looked at.
        rng: Source of the draws.
        from_where: `anywhere` (uniform over the sphere), `grazing` (at the height of the object, where top and base
            are seen at a small angle or not at all, so that up and down are hard to tell) or `above` (elevations of 5
            to 80 degrees, for an object on a table).
        distance_m: Range of distances.
    """
    low, high = model.mesh.bounds
    distance = rng.uniform(*distance_m)
    towards = rng.standard_normal(3)
    if from_where == "above":
        towards = _lift(towards, np.sin(np.deg2rad(rng.uniform(5.0, 80.0))))
    elif from_where == "grazing":
        towards = _lift(towards, rng.uniform(-1.2, 1.2) * (high - low)[2] / distance)
    target = 0.5 * (low + high) + rng.uniform(-0.3, 0.3, 3) * (high - low) / 2
    eye = target + distance * towards / np.linalg.norm(towards)
    return se3.look_at(eye, target, rng.standard_normal(3))


def _lift(direction: np.ndarray, sine: float) -> np.ndarray:
    """The unit vector of a direction's azimuth, shape (3,), at the elevation of a given sine."""
    sine = float(np.clip(sine, -0.95, 0.95))
    flat = direction[:2] * np.sqrt(1.0 - sine**2) / np.linalg.norm(direction[:2])
    return np.array([*flat, sine])


def see(
    model: ObjectModel,
    T_object_camera: np.ndarray,
    rng: np.random.Generator,
    *,
    table: bool = False,
    intrinsics: CameraIntrinsics = D435,
    noise: DepthNoise | None = None,
) -> np.ndarray:
    """Segmented cloud of one view in the object frame [m], float64 (num_points, 3), in random order.

    Raises:
        ValueError: If the camera sees too little of the object.
    """
    depth = render_depth(scene_of(model), T_object_camera, intrinsics, table=table)
    depth = perturb_depth(depth, noise or DepthNoise(), rng)
    points = deproject(depth, intrinsics)
    points = points[points[:, 2] < 1.5]
    if len(points) == 0:
        raise ValueError(f"The camera does not see '{model.name}'.")
    cloud = segment(se3.apply(T_object_camera, points), 0.0 if table else NO_TABLE)
    return cloud[rng.permutation(len(cloud))]
