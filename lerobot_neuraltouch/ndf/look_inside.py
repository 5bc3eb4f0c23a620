"""What a field knows of one object: its surface, and how well places match a demonstrated contact.

Frame: that of the encoded cloud, called base [m].
"""

import numpy as np
import torch

from lerobot_neuraltouch.ndf.descriptor import move
from lerobot_neuraltouch.ndf.encoder import Latent
from lerobot_neuraltouch.ndf.network import DescriptorField
from lerobot_neuraltouch.ndf.pose_search import Demonstration

CHUNK = 8192
"""Points at a time, to bound memory."""


def surface_points(
    field: DescriptorField, latent: Latent, cloud: np.ndarray, num: int, rng: np.random.Generator
) -> np.ndarray:
    """Points on the field's zero level around a cloud (N, 3), about num of them, float64 (M, 3).

    Uniform points around the object fall onto the surface along the gradient of the signed distance; the ones that
    do not arrive within half a millimetre are left out.
    """
    low, high = cloud.min(0), cloud.max(0)
    margin = 0.3 * float((high - low).max())
    points = torch.from_numpy(rng.uniform(low - margin, high + margin, (3 * num, 3))).float()
    for _ in range(8):
        points.requires_grad_()
        distance = field.sdf(latent, points[None])[0]
        (slope,) = torch.autograd.grad(distance.sum(), points)
        with torch.no_grad():
            step = distance[:, None] * slope / slope.square().sum(-1, keepdim=True).clamp_min(0.25)
            points = points - step
    points = points.detach()
    arrived = field.sdf(latent, points[None])[0].abs() < 0.0005
    return points[arrived][:num].double().numpy()


@torch.no_grad()
def contact_energy(
    field: DescriptorField, latent: Latent, demo: Demonstration, points: np.ndarray, columns: slice
) -> np.ndarray:
    """How unlike the shown contact's place points (N, 3) are: mean squared difference of descriptors, (N,)."""
    shown = Latent(demo.z[None], demo.centre[None])
    target = field.descriptors(shown, demo.T[None, :3, 3][None])[0, 0, columns]
    parts = []
    for chunk in torch.from_numpy(points).float().split(CHUNK):
        found = field.descriptors(latent, chunk[None])[0][:, columns]
        parts.append((found - target).square().mean(-1))
    return torch.cat(parts).double().numpy()


@torch.no_grad()
def pose_energy(
    field: DescriptorField, latent: Latent, demo: Demonstration, T: np.ndarray, columns: slice
) -> np.ndarray:
    """Mean squared descriptor residual of gripper poses T (..., 4, 4), shape (...)."""
    poses = torch.from_numpy(T.reshape(-1, 4, 4)).float()
    energies = []
    for chunk in poses.split(max(CHUNK // len(demo.queries), 1)):
        points = move(chunk, demo.queries).reshape(1, -1, 3)
        found = field.descriptors(latent, points)[0].reshape(len(chunk), len(demo.queries), -1)
        energies.append((found - demo.descriptors)[..., columns].square().mean((1, 2)))
    return torch.cat(energies).double().numpy().reshape(T.shape[:-2])


def energy_slice(
    field: DescriptorField,
    latent: Latent,
    demo: Demonstration,
    T_base_tcp: np.ndarray,
    axes: tuple[int, int],
    reach_m: float,
    num: int,
    columns: slice,
) -> np.ndarray:
    """Energy of a pose shifted along two of its own axes, (num, num): rows along the second axis, both from -reach to +reach."""
    offsets = np.linspace(-reach_m, reach_m, num)
    T = np.broadcast_to(T_base_tcp, (num, num, 4, 4)).copy()
    across, along = np.meshgrid(offsets, offsets)
    T[..., :3, 3] += across[..., None] * T_base_tcp[:3, axes[0]]
    T[..., :3, 3] += along[..., None] * T_base_tcp[:3, axes[1]]
    return pose_energy(field, latent, demo, T, columns)
