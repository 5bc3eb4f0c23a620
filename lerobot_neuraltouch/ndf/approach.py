"""Whether the gripper can come to a pose: its fingers against the seen cloud, the field's surface and the table.

The gripper comes in along its approach direction with open fingers; what the fingers and the palm sweep is that of
their end pose, drawn out backwards. Frames: base, tcp [m].
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from lerobot_neuraltouch.ndf.descriptor import move
from lerobot_neuraltouch.ndf.encoder import Latent
from lerobot_neuraltouch.ndf.network import DescriptorField


@dataclass(frozen=True, kw_only=True)
class GripperShape:
    """The gripper as boxes, open, in the tcp frame."""

    half_width_m: float = 0.010
    """Of a finger along tcp x."""
    thickness_m: float = 0.0155
    """Of a finger, from its pad outwards."""
    tip_m: float = 0.010
    """The fingers end this far beyond the tcp."""
    palm_m: float = 0.090
    """The palm begins this far behind the tcp."""
    palm_half_size_m: tuple[float, float] = (0.030, 0.050)
    """Of the palm along tcp x and y."""
    clearance_m: float = 0.002
    """Points of the cloud less deep than this inside the gripper are noise."""
    field_clearance_m: float = 0.004
    """The same for the field's own surface, which is less exact where nothing was seen."""
    approach_m: float = 0.060
    """Length of the straight way in."""


def obstruction(
    field: DescriptorField,
    latent: Latent,
    cloud: Tensor,
    T: Tensor,
    opening_m: float,
    table_height_m: float | None = None,
    gripper: GripperShape | None = None,
) -> Tensor:
    """How much is in the gripper's way at each of the poses, (S,): 0 nothing, 1 and more a sure collision.

    Args:
        field: The field of the latent.
        latent: Of one object.
        cloud: The seen points in base, (N, 3).
        T: Poses T_base_tcp, (S, 4, 4).
        opening_m: Distance of the open fingers.
        table_height_m: Height of a table in base, or None.
        gripper: Its sizes.
    """
    gripper = gripper or GripperShape()
    seen = _points_inside(cloud, T, opening_m, gripper).sum(-1) / (0.01 * len(cloud))
    samples = move(T, gripper_points(opening_m, gripper))  # (S, M, 3)
    depth = -field.sdf(latent, samples.reshape(1, -1, 3)).reshape(samples.shape[:2])
    inside = ((depth - gripper.field_clearance_m) / gripper.field_clearance_m).clamp_min(0.0)
    result = seen + inside.amax(-1)
    if table_height_m is not None:
        result = result + (samples[..., 2] < table_height_m).any(-1).to(result.dtype)
    return result


def _points_inside(cloud: Tensor, T: Tensor, opening_m: float, gripper: GripperShape) -> Tensor:
    """Which points (N, 3) lie in what the gripper sweeps on its way to the poses (S, 4, 4), (S, N)."""
    local = (cloud - T[:, None, :3, 3]) @ T[:, :3, :3]
    x, y, z = (*local.abs().unbind(-1)[:2], local[..., 2])
    margin, inner = gripper.clearance_m, 0.5 * opening_m
    finger = (x < gripper.half_width_m - margin) & (z < gripper.tip_m - margin)
    finger &= (y > inner + margin) & (y < inner + gripper.thickness_m - margin)
    palm = (x < gripper.palm_half_size_m[0] - margin) & (y < gripper.palm_half_size_m[1] - margin)
    palm &= z < -gripper.palm_m - margin
    return (finger | palm) & (z > -gripper.palm_m - gripper.approach_m)


def gripper_points(opening_m: float, gripper: GripperShape) -> Tensor:
    """Points of the open gripper's boxes, tcp frame, (M, 3); on a straight way in, its fingers sweep no others."""
    width, inner = gripper.half_width_m, 0.5 * opening_m
    x = torch.tensor([-width, 0.0, width])
    y = inner + torch.tensor([0.05, 0.5, 1.0]) * gripper.thickness_m
    z = torch.linspace(gripper.tip_m, -gripper.palm_m, 8)
    fingers = torch.cartesian_prod(x, torch.cat([y, -y]), z)
    across = torch.linspace(-1.0, 1.0, 5)
    palm = torch.cartesian_prod(
        gripper.palm_half_size_m[0] * across, gripper.palm_half_size_m[1] * across, torch.tensor([-gripper.palm_m])
    )  # fmt: skip
    return torch.cat([fingers, palm])
