"""Checks of the touch images against contacts that are known in closed form: sphere, plane, cylinder."""

from collections.abc import Callable, Iterator

import numpy as np
import trimesh
from numpy.typing import NDArray
from scipy.ndimage import binary_opening

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.tactile import TactileCamera, TacTipFinger
from lerobot_neuraltouch.tactile.image import disc_mask

from .row import Row, at_most

Array = NDArray[np.float64]

TOLERANCE_M = 2e-5
SIZES = (64, 128, 256)
_RADIUS_M, _DEPTH_M, _TILT_RAD = 0.015, 0.002, 0.12

Meeting = Callable[[Array, Array], Array]
"""Origins and directions in the pad's frame, shapes (3,) and (..., 3) -> how many directions away a ray meets the shape."""


def analytic_contacts(
    finger: TacTipFinger, name: str, sizes: tuple[int, ...] = SIZES
) -> Iterator[Row]:
    """Largest error of any pixel, both fingers, with and without a pinhole that sits 0.4 and 0.3 mm off its axis."""
    for shape, (mesh, T_pad_object, meeting) in _shapes().items():
        for size in sizes:
            camera = TactileCamera(mesh, finger, size)
            worst = 0.0
            for offset in (np.zeros(2), np.array([0.0004, -0.0003])):
                camera.mount(np.zeros(2), np.zeros((2, 2)), np.tile(offset, (2, 1)))
                seen = camera.indentation(np.tile(se3.inverse(T_pad_object), (2, 1, 1)))
                expected = indentation(finger, size, offset, meeting)
                if expected.max() < _DEPTH_M / 2:
                    raise AssertionError(f"The {shape} does not touch the pad.")
                worst = max(worst, _worst_error(seen, expected))
            yield at_most(
                1e3 * worst,
                1e3 * TOLERANCE_M,
                check="images",
                finger=name,
                case=f"{shape}, {size} px",
                quantity="largest error of a pixel",
                unit="mm",
            )


def _worst_error(seen: NDArray[np.float32], expected: Array) -> float:
    """Largest error of both images [m]; what of the contact is less than two pixels wide may be missing, see `tactile.image`."""
    contact = expected > 0
    wide = binary_opening(contact, np.ones((2, 2)))
    counts = wide | ~contact | (seen > 0)
    return float(np.where(counts, np.abs(seen - expected), 0.0).max())


def indentation(finger: TacTipFinger, size: int, offset_m: Array, meeting: Meeting) -> Array:
    """What a camera should see [m], shape (size, size).

    Args:
        finger: The fingertip.
        size: Of the image [pixels].
        offset_m: Of the pinhole beside the pad's axis [m], shape (2,).
        meeting: Where rays meet the object.
    """
    centres = ((np.arange(size) + 0.5) / size * 2 - 1) * finger.tan_half_fov
    slopes = np.stack(np.meshgrid(centres, centres), axis=-1)
    rays = np.concatenate([slopes, np.ones((size, size, 1))], axis=-1)
    pinhole = np.array([*offset_m, -finger.camera_distance_m])
    skin = finger.skin_depth(slopes.reshape(-1, 2), offset_m).reshape(size, size)
    across = np.linalg.norm(pinhole[:2] + skin[..., None] * slopes, axis=-1)
    seen = disc_mask(size) & (across <= finger.pad_radius_m)
    return np.where(seen, np.maximum(skin - meeting(pinhole, rays), 0), 0)


def _shapes() -> dict[str, tuple[trimesh.Trimesh, Array, Meeting]]:
    """Mesh, its place before the pad (4, 4), and where rays meet it."""
    turned = se3.exp(np.array([0, 0, 0, _TILT_RAD, 0, 0.7]))
    in_front = se3.transform(translation=(0.001, -0.002, _RADIUS_M - _DEPTH_M))
    # a cylinder lies along its own z: across the pad, then turned and tilted
    lying = se3.exp(np.array([0, 0, 0, 0, np.pi / 2, 0]))
    block = trimesh.creation.box((0.1, 0.1, 0.02))
    block.apply_translation([0, 0, 0.01])  # its face is z = 0, its solid beyond
    at_face = se3.transform(translation=(0, 0, -_DEPTH_M))
    return {
        "sphere": (
            trimesh.creation.icosphere(6, radius=_RADIUS_M),
            in_front,
            lambda o, d: _meet_sphere(o - in_front[:3, 3], d),
        ),
        "cylinder": (
            trimesh.creation.cylinder(_RADIUS_M, 0.1, sections=720),
            in_front @ turned @ lying,
            lambda o, d: _meet_cylinder(*_seen_from(in_front @ turned @ lying, o, d)),
        ),
        "plane": (
            block,
            at_face @ turned,
            lambda o, d: _meet_plane(*_seen_from(at_face @ turned, o, d)),
        ),
    }


def _seen_from(T: Array, origin: Array, directions: Array) -> tuple[Array, Array]:
    """Rays in the frame of a shape placed at T, shape (4, 4)."""
    return T[:3, :3].T @ (origin - T[:3, 3]), directions @ T[:3, :3]


def _meet_sphere(origin: Array, directions: Array) -> Array:
    return _first_root(
        np.sum(directions**2, axis=-1), directions @ origin, float(origin @ origin) - _RADIUS_M**2
    )


def _meet_cylinder(origin: Array, directions: Array) -> Array:
    flat = directions[..., :2]
    return _first_root(
        np.sum(flat**2, axis=-1), flat @ origin[:2], float(origin[:2] @ origin[:2]) - _RADIUS_M**2
    )


def _meet_plane(origin: Array, directions: Array) -> Array:
    return -origin[2] / directions[..., 2]


def _first_root(a: Array, half_b: Array, c: float) -> Array:
    """The smaller root of a t^2 + 2 half_b t + c; infinite where there is none."""
    discriminant = half_b**2 - a * c
    root = np.sqrt(np.maximum(discriminant, 0))
    return np.where(discriminant > 0, (-half_b - root) / a, np.inf)
