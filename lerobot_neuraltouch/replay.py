"""A recorded motion, done again from another grasp.

A motion is kept as displacements of the tcp from its grasp, seen in the grasp's upright frame: z of base and, level, the closing
direction. So "up" stays up however the hand leans, and "aside" turns with the contact, of which it is all that touch tells: rims and lids
look alike all around.
"""

import numpy as np

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.se3 import Array, Float64Array

_SIDEWAYS = 0.5
"""A hand comes from the side when its approach direction is this much along x of the upright frame: 30 deg off the vertical."""


def upright(T_base_tcp: Array) -> Float64Array:
    """The frame in the same place with z up in base and y as tcp y seen from above, shape (..., 4, 4).

    A hand that comes from the side comes along +x: where tcp y says the opposite, it is turned around. So a grasp with exchanged fingers,
    which is as good, has the same frame. Where tcp y is vertical, y is as tcp x is seen from above.
    """
    level = T_base_tcp[..., :2, 1]
    length = np.linalg.norm(level, axis=-1, keepdims=True)
    level = np.where(length > 1e-6, level, T_base_tcp[..., :2, 0])
    level = level / np.linalg.norm(level, axis=-1, keepdims=True)
    x = np.stack([level[..., 1], -level[..., 0]], axis=-1)
    comes_against_x = np.sum(x * T_base_tcp[..., :2, 2], axis=-1, keepdims=True) < -_SIDEWAYS
    sign = np.where(comes_against_x, -1.0, 1.0)
    R = np.zeros((*level.shape[:-1], 3, 3))
    R[..., :2, 0], R[..., :2, 1], R[..., 2, 2] = sign * x, sign * level, 1.0
    return se3.transform(R, T_base_tcp[..., :3, 3])


def displacements(T_base_tcp: Array, T_base_grasp: Array) -> Float64Array:
    """What a motion is, seen from its grasp, shape (L, 4, 4).

    Args:
        T_base_tcp: Poses on the way, shape (L, 4, 4).
        T_base_grasp: Where it began, shape (4, 4).
    """
    T_base_upright = upright(T_base_grasp)
    moved = T_base_tcp @ se3.inverse(T_base_grasp)
    return se3.inverse(T_base_upright) @ moved @ T_base_upright


def poses_from(T_base_grasp: Array, motion: Array) -> Float64Array:
    """Poses of the tcp that do a motion (L, 4, 4) from a grasp (4, 4): the inverse of `displacements`, shape (L, 4, 4)."""
    T_base_upright = upright(T_base_grasp)
    return T_base_upright @ motion @ se3.inverse(T_base_upright) @ T_base_grasp
