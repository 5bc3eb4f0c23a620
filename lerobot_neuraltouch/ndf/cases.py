"""Objects seen by one or a few cameras, with the grasps they should get: for benchmark, calibration and tests.

An object floats in a uniformly drawn orientation, so a camera sees it from a uniformly drawn side. Frame: base.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.features import NUM_CLOUD_POINTS
from lerobot_neuraltouch.ndf.views import see
from lerobot_neuraltouch.objects.catalogue import CATEGORIES, make_object_with
from lerobot_neuraltouch.objects.contact import ContactFeature
from lerobot_neuraltouch.objects.model import ObjectModel
from lerobot_neuraltouch.objects.sight import is_hidden
from lerobot_neuraltouch.pointcloud import DepthNoise, subsample

CAMERA_DISTANCE_M = (0.35, 0.45)


@dataclass(frozen=True, eq=False)
class Case:
    """One object before the cameras."""

    model: ObjectModel
    feature: ContactFeature
    T_base_object: np.ndarray
    """(4, 4)."""
    cloud: np.ndarray
    """Base frame [m], float32 (NUM_CLOUD_POINTS, 3)."""
    hidden: bool
    """Whether too little is seen of every ideal contact."""

    def error(self, T_base_tcp: np.ndarray) -> tuple[float, float]:
        """Position error [m] and cosine error of a found pose against the nearest ideal one."""
        error = self.feature.nearest(se3.inverse(self.T_base_object) @ T_base_tcp)
        return error.pos_error_m, error.cos_error


def make_case(
    feature: str,
    split: str,
    index: int,
    rng: np.random.Generator,
    *,
    views: int = 1,
    noise: DepthNoise | None = None,
    upright: bool = False,
) -> Case:
    """Put a generated object before one or more cameras, see `place`.

    Args:
        feature: Contact, for example `mug_rim`; tells the category.
        split, index: Which of the objects of the category's stream that have the contact.
        rng, views, noise, upright: See `place`.
    """
    model = make_object_with(feature, split, index)
    return place(model, feature, rng, views=views, noise=noise, upright=upright)


def place(
    model: ObjectModel,
    feature: str,
    rng: np.random.Generator,
    *,
    views: int = 1,
    noise: DepthNoise | None = None,
    upright: bool = False,
) -> Case:
    """Put an object before one or more cameras.

    Args:
        model: The object.
        feature: Contact, for example `mug_rim`.
        rng: Draws the object's pose, the cameras and their noise.
        views: Cameras, around the object, whose clouds are put together.
        noise: Of the depth; nominal if left out.
        upright: Whether the object stands on a table and is seen from above, instead of floating anyhow.
    """
    contact = model.feature(feature)
    clouds = [_view(model, rng, noise, upright) for _ in range(views)]
    cloud = subsample(np.concatenate(clouds), NUM_CLOUD_POINTS, rng)
    if upright:
        turn = Rotation.from_euler("z", rng.uniform(-np.pi, np.pi))
    else:
        turn = se3.random_rotation(rng)
    T_base_object = se3.transform(turn, rng.uniform(-0.3, 0.3, 3))
    moved = se3.apply(T_base_object, cloud).astype(np.float32)
    return Case(model, contact, T_base_object, moved, is_hidden(cloud, contact))


def _view(
    model: ObjectModel, rng: np.random.Generator, noise: DepthNoise | None, upright: bool
) -> np.ndarray:
    """One view from a uniformly drawn direction (from above, if upright), object frame [m]."""
    centre = model.mesh.bounds.mean(0)
    for _ in range(20):
        away = rng.standard_normal(3)
        if upright:
            elevation = np.deg2rad(rng.uniform(20.0, 70.0))
            away[:2] *= np.cos(elevation) / np.linalg.norm(away[:2])
            away[2] = np.sin(elevation)
        eye = centre + rng.uniform(*CAMERA_DISTANCE_M) * away / np.linalg.norm(away)
        T_object_camera = se3.look_at(eye, centre, rng.standard_normal(3))
        try:
            return see(model, T_object_camera, rng, table=upright, noise=noise)
        except ValueError:
            continue  # too little was seen: look from elsewhere
    raise ValueError(f"Twenty cameras in a row saw nothing of '{model.name}'.")


def seeded(seed: int, *parts: int | str) -> np.random.Generator:
    """Random numbers that belong to a seed and a place in the protocol."""
    numbers = [p if isinstance(p, int) else int.from_bytes(p.encode(), "little") for p in parts]
    return np.random.default_rng(np.random.SeedSequence([seed, *numbers, len(CATEGORIES)]))
