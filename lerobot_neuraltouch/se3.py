"""Rigid transforms as 4x4 arrays: a few functions over SciPy's rotations and rigid transforms.

``T_a_b`` maps coordinates in frame b to coordinates in frame a. A twist is (v, omega) [m/s, rad/s] in the body
frame: ``T exp(twist * dt)`` moves T along it. Every function takes leading batch dimensions.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import RigidTransform, Rotation

Array = NDArray[np.floating]
Float64Array = NDArray[np.float64]


def transform(
    rotation: Array | Rotation | None = None,
    translation: Array | tuple[float, ...] = (0.0, 0.0, 0.0),
) -> Float64Array:
    """Put a rotation and a translation [m], shape (..., 3), into one transform, shape (..., 4, 4)."""
    matrix = (
        np.eye(3)
        if rotation is None
        else rotation.as_matrix()
        if isinstance(rotation, Rotation)
        else rotation
    )
    offset = np.asarray(translation, dtype=np.float64)
    batch = np.broadcast_shapes(np.shape(matrix)[:-2], offset.shape[:-1])
    T = np.zeros((*batch, 4, 4))
    T[..., :3, :3] = matrix
    T[..., :3, 3] = offset
    T[..., 3, 3] = 1.0
    return T


def exp(twist: Array) -> Float64Array:
    """The transform reached by following a twist (v, omega), shape (..., 6), for unit time, shape (..., 4, 4)."""
    flat = np.asarray(twist, dtype=np.float64).reshape(-1, 6)
    T = RigidTransform.from_exp_coords(flat[:, [3, 4, 5, 0, 1, 2]]).as_matrix()
    return T.reshape(*np.shape(twist)[:-1], 4, 4)


def log(T: Array) -> Float64Array:
    """The twist (v, omega), shape (..., 6), with ``exp(log(T)) = T`` and a rotation angle of at most pi."""
    coordinates = RigidTransform.from_matrix(np.reshape(T, (-1, 4, 4))).as_exp_coords()
    return coordinates[:, [3, 4, 5, 0, 1, 2]].reshape(*np.shape(T)[:-2], 6)


def inverse(T: Array) -> Float64Array:
    """The transform that undoes T, shape (..., 4, 4)."""
    # Not through `transform`: this is needed several times in every control step.
    R_transposed = np.swapaxes(T[..., :3, :3], -1, -2)
    result = np.zeros(np.shape(T))
    result[..., :3, :3] = R_transposed
    result[..., :3, 3:] = -(R_transposed @ T[..., :3, 3:])
    result[..., 3, 3] = 1.0
    return result


def apply(T: Array, points: Array) -> Float64Array:
    """Map points, shape (..., num_points, 3), through T, shape (..., 4, 4)."""
    return points @ np.swapaxes(T[..., :3, :3], -1, -2) + T[..., None, :3, 3]


def rotation_angle(T: Array) -> Float64Array:
    """Angle [rad] in [0, pi] of the rotation in T, shape (..., 4, 4) or (..., 3, 3)."""
    matrices = np.asarray(T)[..., :3, :3]
    return (
        Rotation.from_matrix(matrices.reshape(-1, 3, 3), assume_valid=True)
        .magnitude()
        .reshape(matrices.shape[:-2])
    )


def to_rotvec_pose(T: Array) -> Array:
    """Position [m] and rotation vector [rad], shape (..., 6): the robot's state convention."""
    rotvec = Rotation.from_matrix(
        np.reshape(T[..., :3, :3], (-1, 3, 3)), assume_valid=True
    ).as_rotvec()
    return np.concatenate([T[..., :3, 3], rotvec.reshape(*T.shape[:-2], 3)], axis=-1)


def from_rotvec_pose(pose: Array) -> Float64Array:
    """Inverse of `to_rotvec_pose`."""
    flat = np.asarray(pose, dtype=np.float64).reshape(-1, 6)
    T = transform(Rotation.from_rotvec(flat[:, 3:]), flat[:, :3])
    return T.reshape(*np.shape(pose)[:-1], 4, 4)


def random_rotation(rng: np.random.Generator) -> Rotation:
    """A rotation drawn uniformly from SO(3)."""
    return Rotation.random(rng=rng)


def look_at(
    eye: Array, target: Array, up: Array | tuple[float, ...] = (0.0, 0.0, 1.0)
) -> Float64Array:
    """Camera pose with z towards `target`, x right and y down (OpenCV), shape (4, 4).

    Raises:
        ValueError: If eye and target coincide or the line of sight is parallel to `up`.
    """
    forward = np.asarray(target, dtype=np.float64) - eye
    right = np.cross(forward, up)
    if min(np.linalg.norm(forward), np.linalg.norm(right)) < 1e-9:
        raise ValueError(
            f"look_at needs eye != target and a line of sight off `up`; got eye {eye}, target {target}."
        )
    z = forward / np.linalg.norm(forward)
    x = right / np.linalg.norm(right)
    return transform(np.stack([x, np.cross(z, x), z], axis=-1), np.asarray(eye))
