"""Descriptors of gripper poses: the field's descriptors at points fixed to the gripper.

Source: eq. 3 of arXiv 2510.20390: Z(T | P) = f(T x_i | P) over a rigid set of points x_i in the tcp frame.
"""

import numpy as np
import torch
from scipy.stats import norm, qmc
from torch import Tensor

from lerobot_neuraltouch.ndf.encoder import Latent
from lerobot_neuraltouch.ndf.network import DescriptorField

NUM_QUERIES = 64
QUERY_SIGMA_M = 0.030
"""Standard deviation of the query points about the tcp, per axis [m]."""
HANDLE_QUERY_SIGMA_M = 0.020
"""The same for contacts at a handle: a wider spread reaches other parts, whose place the handle's size decides."""
QUERY_REACH = 2.0
"""Farthest query point, in standard deviations per axis."""


def query_points(num: int = NUM_QUERIES, sigma_m: float = QUERY_SIGMA_M) -> Tensor:
    """The fixed query points in the tcp frame [m], float32 (num, 3).

    Normally distributed (cut at two sigma), from a scrambled Sobol sequence with a fixed seed: the same points on
    every machine, and the first n of them fill the space evenly as well.

    Raises:
        ValueError: If num is less than 3 (fewer points leave the pose open) or sigma is not positive.
    """
    if num < 3 or sigma_m <= 0.0:
        raise ValueError(
            f"A pose needs at least 3 query points and a positive sigma, got {num} and {sigma_m} m."
        )
    power = int(np.ceil(np.log2(num)))
    uniform = qmc.Sobol(3, scramble=True, rng=np.random.default_rng(0)).random_base2(power)[:num]
    low, high = norm.cdf(-QUERY_REACH), norm.cdf(QUERY_REACH)
    points = sigma_m * norm.ppf(low + (high - low) * uniform)
    return torch.from_numpy(points.astype(np.float32))


def move(T: Tensor, points: Tensor) -> Tensor:
    """Points (M, 3) moved by each of the transforms (..., 4, 4), shape (..., M, 3)."""
    return points @ T[..., :3, :3].transpose(-1, -2) + T[..., None, :3, 3]


def pose_descriptor(field: DescriptorField, latent: Latent, T: Tensor, queries: Tensor) -> Tensor:
    """Descriptors (B, N_q, D) of the gripper poses T (B, 4, 4) on the encoded objects.

    Args:
        field: The network.
        latent: Of B objects, from `field.encode`.
        T: Poses of the tcp in the frame of the encoded clouds.
        queries: Query points in the tcp frame [m], (N_q, 3).
    """
    points = move(T.to(latent.z.dtype), queries.to(latent.z))
    return field.descriptors(latent, points)


def as_pose(T: np.ndarray | Tensor) -> Tensor:
    """A pose from the outside as float32 (4, 4).

    Raises:
        ValueError: If it is not a finite (4, 4) transform.
    """
    pose = torch.as_tensor(np.asarray(T), dtype=torch.float32)
    if pose.shape != (4, 4) or not bool(torch.isfinite(pose).all()):
        raise ValueError(f"A pose is a finite (4, 4) array, got {tuple(pose.shape)}: {pose}.")
    return pose
