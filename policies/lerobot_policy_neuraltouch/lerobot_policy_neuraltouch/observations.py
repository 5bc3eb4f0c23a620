"""From LeRobot's batches to what the policy works on: checked tensors, touch flags and point clouds."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from lerobot_neuraltouch import features, se3
from lerobot_neuraltouch.pointcloud import CameraIntrinsics, object_cloud
from lerobot_policy_neuraltouch.settings import FineSettings, WristCamera

Batch = Mapping[str, Any]


def require(batch: Batch, keys: tuple[str, ...]) -> None:
    """Refuse a batch that lacks something.

    Raises:
        ValueError: With the names of what is missing and of what there is.
    """
    missing = [key for key in keys if key not in batch]
    if missing:
        raise ValueError(
            f"The batch lacks {', '.join(missing)}; it has {', '.join(sorted(batch))}."
        )


def tasks_of(batch: Batch, size: int) -> list[str]:
    """The task text of each sample.

    Raises:
        ValueError: If there is none, or another number of them.
    """
    task = batch.get("task")
    texts = [task] * size if isinstance(task, str) else list(task or [])
    if len(texts) != size:
        raise ValueError(f"Need one task text per sample: {size}, got {len(texts)}.")
    return texts


def history_of(batch: Batch, length: int) -> tuple[Tensor, Tensor]:
    """The last states of each sample and whether each belongs to the present fine phase.

    Returns:
        States, oldest first, shape (batch, length, 7), and validity, shape (batch, length). What a shorter recorded
        history lacks is invalid.
    """
    states = batch[features.STATE].float()
    if states.ndim == 2:
        states = states[:, None]
    valid = torch.ones(states.shape[:2], dtype=torch.bool, device=states.device)
    pad = batch.get(f"{features.STATE}_is_pad")
    if pad is not None:
        valid &= ~pad.reshape(valid.shape)
    phase = batch.get(features.PHASE)
    if phase is not None and phase.numel() == valid.numel():
        valid &= phase.reshape(valid.shape).round() == features.Phase.FINE
    if states.shape[1] < length:
        missing = length - states.shape[1]
        states = torch.cat([states[:, :1].expand(-1, missing, -1), states], dim=1)
        valid = F.pad(valid, (missing, 0))
    return states[:, -length:], valid[:, -length:]


def tactile_of(batch: Batch, key: str, size: int) -> Tensor:
    """The present tactile image as gray in [0, 1], shape (batch, 1, size, size), from (batch[, history], 3, H, W)."""
    image = batch[key]
    if image.ndim == 5:
        image = image[:, -1]
    gray = image[:, :1]
    gray = gray.float() / 255.0 if gray.dtype == torch.uint8 else gray.float()
    if gray.shape[-2:] != (size, size):
        gray = F.interpolate(gray, (size, size), mode="area")
    return gray


def touches(gray: Tensor, settings: FineSettings) -> Tensor:
    """Whether fingers touch, shape (batch,): enough bright pixels, so that single bad ones do not count."""
    return (gray > settings.touch_level).float().flatten(1).mean(1) > settings.touch_area


def fine_mask(batch: Batch, left: Tensor, right: Tensor, settings: FineSettings) -> Tensor:
    """Samples to learn from, shape (batch,): the recorded phase where present, else touch on both fingers."""
    phase = batch.get(features.PHASE)
    if phase is None:
        return touches(left, settings) & touches(right, settings)
    return phase.reshape(len(left), -1)[:, -1].round() == features.Phase.FINE


def cloud_mark(batch: Batch, index: int) -> int | None:
    """Fingerprint of one sample's cloud; another one means another episode. None without a cloud."""
    cloud = batch.get(features.POINT_CLOUD)
    return None if cloud is None else hash(cloud[index].cpu().numpy().tobytes())


def cloud_of(
    batch: Batch, index: int, camera: WristCamera | None, T_base_tcp: NDArray[np.float64]
) -> NDArray[np.float32]:
    """The object's cloud of one sample in base [m], shape (num_points, 3): as it came, or made from wrist depth.

    Raises:
        ValueError: If there is neither a cloud nor depth with a calibrated camera, or the cloud is not finite.
    """
    cloud = batch.get(features.POINT_CLOUD)
    if cloud is not None:
        points = cloud[index].reshape(-1, cloud.shape[-2], 3)[-1].float().cpu().numpy()
        if not np.isfinite(points).all():
            raise ValueError(f"{features.POINT_CLOUD} must be finite.")
        return points
    depth = batch.get(features.WRIST_DEPTH)
    if depth is None:
        raise ValueError(
            f"The coarse phase needs {features.POINT_CLOUD} or {features.WRIST_DEPTH}; the batch has "
            f"{', '.join(sorted(batch))}. Without either, start near the contact with coarse.mode=skip."
        )
    if camera is None:
        raise ValueError(
            f"{features.WRIST_DEPTH} needs wrist_camera in the policy's configuration: intrinsics and hand-eye pose."
        )
    picture = depth[index].reshape(-1, *depth.shape[-2:])[-1].float().cpu().numpy()
    intrinsics = CameraIntrinsics(
        camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy
    )
    return object_cloud(
        picture * camera.depth_unit_m,
        intrinsics,
        T_base_tcp @ se3.from_rotvec_pose(np.asarray(camera.tcp_camera)),
        np.random.default_rng(0),
        table_height_m=camera.table_height_m,
    )
