"""The last millimetres of a found pose: lay the shown part's surface onto the seen one.

A descriptor knows where on an object a place lies, but is blunt about which way its surface faces. The points around
the shown grasp, with their normals, are laid onto the points around the found pose: point to plane, normals against
normals, with the part free to be larger or smaller, and with the descriptors' own certainty as the prior. Where little
is seen, the pose stays as it was found. Frames: tcp of the demonstration and of the found pose [m].
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import KDTree
from torch import Tensor

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.ndf.encoder import Latent
from lerobot_neuraltouch.ndf.network import DescriptorField

REACH_M = 0.030
"""Points within this of the tcp count."""
PATCH_MARGIN_M = 0.015
"""The shown patch reaches farther, so that a displaced part still lies on it."""
NEIGHBOURS = 14
"""Points that a normal is estimated from."""
POINT_M = 0.004
"""Standard deviation of a point's distance to the shown surface: noise, and how parts differ."""
NORMAL_RAD = 0.3
"""The same of a normal."""
SIZE = 0.25
"""The same of the logarithm of the part's size."""
INDEPENDENT = 40
"""So many points count as independent; more of them weigh less each."""
FAR_M = 0.010
"""Points farther than this from the shown surface have no counterpart there, ..."""
LEAST_COSINE = 0.6
"""... nor have those that face another way."""
FEWEST = 15
"""With fewer counterparts nothing is moved."""
PRIOR_WEIGHT = 20.0
"""What the descriptors' Hessian, in units of their energy, is worth as inverse covariance; from validation shapes."""
MAX_STEPS = 12


@dataclass(frozen=True, eq=False)
class Patch:
    """The surface around a shown grasp."""

    points: np.ndarray
    """(M, 3) [m]."""
    normals: np.ndarray
    """Outward, (M, 3)."""


def make_patch(cloud: np.ndarray, normals: np.ndarray, T_base_tcp: np.ndarray) -> Patch:
    """The patch of a cloud (N, 3) with outward normals (N, 3) around a grasp (4, 4), all in base."""
    local = se3.apply(se3.inverse(T_base_tcp), np.asarray(cloud, np.float64))
    near = np.linalg.norm(local, axis=1) < REACH_M + PATCH_MARGIN_M
    return Patch(local[near], (normals @ T_base_tcp[:3, :3])[near])


def outward_normals(field: DescriptorField, latent: Latent, points: Tensor) -> np.ndarray:
    """Outward normals of the points (N, 3) of an encoded cloud, float64 (N, 3).

    Their directions are the points' own; which side is out, the field's signed distance tells. A thin wall has two.
    """
    with torch.enable_grad():
        asked = points.detach().clone().requires_grad_()
        (slope,) = torch.autograd.grad(field.sdf(latent, asked[None]).sum(), asked)
    normals = estimate_normals(points.double().numpy())
    outward = np.sum(normals * slope.double().numpy(), axis=1, keepdims=True)
    return np.where(outward < 0.0, -normals, normals)


def estimate_normals(points: np.ndarray) -> np.ndarray:
    """Normals of a cloud (N, 3) by the flattest direction among the neighbours, (N, 3), of any sign."""
    count = min(NEIGHBOURS, len(points))
    around = points[KDTree(points).query(points, k=count)[1]]
    offset = around - around.mean(axis=1, keepdims=True)
    covariance = np.einsum("nki,nkj->nij", offset, offset)
    return np.linalg.eigh(covariance)[1][:, :, 0]


def settle(
    T_base_tcp: np.ndarray,
    cloud: np.ndarray,
    normals: np.ndarray,
    patch: Patch,
    hessian: np.ndarray,
) -> np.ndarray:
    """The pose nearby at which the seen surface lies best on the shown one, (4, 4).

    Args:
        T_base_tcp: The found pose, (4, 4).
        cloud, normals: Seen points and their outward normals in base, (N, 3).
        patch: Of the demonstration.
        hessian: Of the descriptors' energy over the energy, for body twists (v, omega) at the found pose, (6, 6).
    """
    points = np.asarray(cloud, np.float64)
    tree = KDTree(patch.points)
    start, T, size = np.asarray(T_base_tcp), np.array(T_base_tcp), 0.0
    for _ in range(MAX_STEPS):
        local, facing = (points - T[:3, 3]) @ T[:3, :3], normals @ T[:3, :3]
        near = np.linalg.norm(local, axis=1) < REACH_M
        equations = _equations(local[near], facing[near], tree, patch, size)
        if equations is None:
            return start
        A, g = equations
        away = se3.log(se3.inverse(start) @ T)
        A[:6, :6] += PRIOR_WEIGHT * hessian
        g[:6] += PRIOR_WEIGHT * hessian @ away
        A[6, 6] += SIZE**-2
        g[6] += size * SIZE**-2
        step = -np.linalg.solve(A + 1e-9 * np.eye(7), g)
        T, size = T @ se3.exp(step[:6]), size + step[6]
        if np.linalg.norm(step[:3]) < 5e-5 and np.linalg.norm(step[3:6]) < 5e-4:
            break
    return T


def _equations(
    local: np.ndarray, facing: np.ndarray, tree: KDTree, patch: Patch, size: float
) -> tuple[np.ndarray, np.ndarray] | None:
    """Normal equations (7, 7) and (7,) for a twist of the tcp and a change of log size; None with too few counterparts.

    Args:
        local, facing: Seen points and their normals in the tcp frame, (N, 3).
        tree, patch: Of the demonstration.
        size: Logarithm of the seen part's size over the shown one's.
    """
    if len(local) < FEWEST:
        return None
    shrunk = np.exp(-size) * local
    distance, index = tree.query(shrunk)
    shown = patch.normals[index]
    cosine = np.sum(facing * shown, axis=1)
    paired = (distance < FAR_M) & (cosine > LEAST_COSINE)
    if paired.sum() < FEWEST:
        return None
    local, shrunk, shown = local[paired], shrunk[paired], shown[paired]
    facing = facing[paired]
    share = min(1.0, INDEPENDENT / len(local))
    # The tcp's twist (v, w) moves a point by -(v + w x p) in its frame, and turns a normal by -(w x n).
    residual = np.sum((shrunk - patch.points[index[paired]]) * shown, axis=1)
    jacobian = np.column_stack(
        [-np.exp(-size) * shown, -np.exp(-size) * np.cross(local, shown), -np.sum(shown * shrunk, axis=1)]
    )  # fmt: skip
    weight = share * POINT_M**-2 / np.sqrt(1.0 + (residual / POINT_M) ** 2)
    A = (jacobian * weight[:, None]).T @ jacobian
    g = (jacobian * weight[:, None]).T @ residual
    turned = np.cross(shown, facing)
    dot = np.sum(shown * facing, axis=1)
    slope = np.einsum("ni,nj->nij", facing, shown) - dot[:, None, None] * np.eye(3)
    angle = np.linalg.norm(turned, axis=1)
    weight = share * NORMAL_RAD**-2 / np.sqrt(1.0 + (angle / NORMAL_RAD) ** 2)
    A[3:6, 3:6] += np.einsum("n,nki,nkj->ij", weight, slope, slope)
    g[3:6] += np.einsum("n,nki,nk->i", weight, slope, turned)
    return A, g
