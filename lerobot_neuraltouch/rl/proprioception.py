"""What the refiner feels of its own motion: past tcp poses seen from the present one, and the finger distance.

States are `features.STATE_NAMES`: position [m] and rotation vector [rad] of the tcp in base, finger distance [m].
"""

import torch
from torch import Tensor

MOTION_SCALE = (0.010, 0.010, 0.010, 0.1, 0.1, 0.1, 0.005)
"""Typical size of position [m], rotation [rad] and finger-distance [m] changes over the history."""
FINGER_CENTRE, FINGER_SCALE = 0.03, 0.03
"""The finger distance enters as (d - centre) / scale [m]."""


def proprioception_size(history_length: int) -> int:
    """Number of values `proprioception` returns for a history of so many states, the present one included."""
    return 8 * (history_length - 1) + 1


def rotation_matrix(rotvec: Tensor) -> Tensor:
    """Rodrigues' formula: rotation vectors [rad], shape (..., 3), to matrices, shape (..., 3, 3)."""
    angle = rotvec.norm(dim=-1)[..., None, None]
    x, y, z = rotvec.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).reshape(
        *rotvec.shape[:-1], 3, 3
    )
    # torch.sinc(t) is sin(pi t) / (pi t), smooth at zero; (1 - cos t) / t^2 = sinc(t / 2)^2 / 2.
    first = torch.sinc(angle / torch.pi)
    second = 0.5 * torch.sinc(angle / (2 * torch.pi)) ** 2
    return (
        torch.eye(3, dtype=rotvec.dtype, device=rotvec.device)
        + first * cross
        + second * (cross @ cross)
    )


def rotation_vector(matrix: Tensor) -> Tensor:
    """Rotation vectors [rad], shape (..., 3), of matrices, shape (..., 3, 3), for angles well below pi."""
    skew = 0.5 * (matrix - matrix.transpose(-1, -2))
    sin_axis = torch.stack([skew[..., 2, 1], skew[..., 0, 2], skew[..., 1, 0]], dim=-1)
    sin = sin_axis.norm(dim=-1)
    cos = 0.5 * (matrix.diagonal(dim1=-2, dim2=-1).sum(-1) - 1)
    angle = torch.atan2(sin, cos)
    return sin_axis * torch.where(sin > 1e-6, angle / sin.clamp_min(1e-6), 1.0)[..., None]


def proprioception(states: Tensor, valid: Tensor) -> Tensor:
    """Past motion in the present tcp frame and the present finger distance, each about unit size.

    Args:
        states: Oldest first, the last one is now, shape (batch, history, 7).
        valid: False where the episode (or its fine phase) had not begun, shape (batch, history).

    Returns:
        For each past state: relative position (3), rotation vector (3), finger-distance change (1), all zero where
        invalid, and the validity (1); then the present finger distance (1). Shape (batch, proprioception_size).
    """
    now, past = states[:, -1:], states[:, :-1]
    R_now = rotation_matrix(now[..., 3:6]).transpose(-1, -2)
    position = (R_now @ (past[..., :3] - now[..., :3])[..., None])[..., 0]
    rotation = rotation_vector(R_now @ rotation_matrix(past[..., 3:6]))
    motion = torch.cat([position, rotation, past[..., 6:7] - now[..., 6:7]], dim=-1)
    known = valid[:, :-1, None].to(states.dtype)
    motion = motion / motion.new_tensor(MOTION_SCALE) * known
    finger = (states[:, -1, 6:7] - FINGER_CENTRE) / FINGER_SCALE
    return torch.cat([torch.cat([motion, known], dim=-1).flatten(1), finger], dim=-1)
