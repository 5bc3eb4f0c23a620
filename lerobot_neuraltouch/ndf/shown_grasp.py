"""One shown grasp: what a gripper pose means on the object that it was shown on. Frame: base, the cloud's [m]."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lerobot_neuraltouch.ndf.anchoring import anchors_of
from lerobot_neuraltouch.ndf.descriptor import (
    HANDLE_QUERY_SIGMA_M,
    QUERY_SIGMA_M,
    as_pose,
    pose_descriptor,
    query_points,
)
from lerobot_neuraltouch.ndf.encoder import Latent
from lerobot_neuraltouch.ndf.metric import part_at
from lerobot_neuraltouch.ndf.network import DescriptorField
from lerobot_neuraltouch.ndf.settle import Patch, make_patch, outward_normals

MIN_POINTS = 32
"""Clouds with fewer points are refused."""


@dataclass(frozen=True, eq=False)
class Demonstration:
    """One shown grasp."""

    z: Tensor
    """Latent vectors of the object, (C, 3)."""
    centre: Tensor
    """Its estimated centre in base [m], (3,)."""
    T: Tensor
    """The shown T_base_tcp, (4, 4)."""
    descriptors: Tensor
    """The pose's descriptors, (N_q, D)."""
    queries: Tensor
    """Query points in the tcp frame [m], (N_q, 3)."""
    opening_m: float | None = None
    """Distance of the open fingers on the way in [m]; without it nobody looks what they would meet."""
    patch: Patch | None = None
    """The surface around the shown grasp; without it the pose is not laid onto the seen one."""

    @property
    def latent(self) -> Latent:
        """Of the object, as a batch of one."""
        return Latent(self.z[None], self.centre[None])

    def part(self, field: DescriptorField) -> str:
        """The part that was grasped, one of `metric.PARTS`."""
        return part_at(field, self.latent, self.T[:3, 3])

    def anchors(self, num: int) -> np.ndarray:
        """The first `num` of `sizes.ANCHORS` of the object, in the tcp frame, (num, 3) [m]."""
        places = anchors_of(self.latent, num)[0]
        return ((places - self.T[:3, 3]) @ self.T[:3, :3]).double().numpy()


def check_cloud(cloud: np.ndarray | Tensor) -> Tensor:
    """A cloud from the outside as float32 (N, 3).

    Raises:
        ValueError: If it is empty or too small, of another shape, or holds NaN or infinity.
    """
    points = torch.as_tensor(np.asarray(cloud), dtype=torch.float32)
    if points.ndim != 2 or points.shape[1] != 3:
        raise ValueError(f"A point cloud has shape (num_points, 3), got {tuple(points.shape)}.")
    if len(points) < MIN_POINTS:
        raise ValueError(f"A point cloud needs at least {MIN_POINTS} points, got {len(points)}.")
    if not bool(torch.isfinite(points).all()):
        raise ValueError("The point cloud holds NaN or infinity.")
    return points


@torch.no_grad()
def make_demonstration(
    field: DescriptorField,
    cloud: np.ndarray | Tensor,
    T_base_tcp: np.ndarray | Tensor,
    queries: Tensor | None = None,
    opening_m: float | None = None,
) -> Demonstration:
    """Remember a grasp shown on an object.

    Args:
        field: Frozen.
        cloud: The object [m], (N, 3).
        T_base_tcp: The shown pose in the cloud's frame, (4, 4).
        queries: From `descriptor.query_points`, (N_q, 3); if left out, spread as the part asks for.
        opening_m: Distance of the open fingers on the way in, or None.

    Raises:
        ValueError: If cloud or pose are malformed.
    """
    pose = as_pose(T_base_tcp)
    points = check_cloud(cloud)
    latent = field.encode(points[None])
    if queries is None:
        at_handle = part_at(field, latent, pose[:3, 3]) == "handle"
        queries = query_points(sigma_m=HANDLE_QUERY_SIGMA_M if at_handle else QUERY_SIGMA_M)
    descriptors = pose_descriptor(field, latent, pose[None], queries)
    normals = outward_normals(field, latent, points)
    patch = make_patch(points.numpy(), normals, pose.double().numpy())
    return Demonstration(
        latent.z[0], latent.centre[0], pose, descriptors[0], queries, opening_m, patch
    )
