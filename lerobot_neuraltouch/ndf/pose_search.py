"""Find the gripper pose on a new object whose descriptors match a demonstration's.

The published search follows gradients of an L1 energy (`published_search`); this one solves the same matching
problem by damped Gauss-Newton steps on SE(3) with exact Jacobians, from starts that align the latents of the two
objects. Frames: T_base_tcp in the frame of the clouds, called base; increments in the tcp frame. Source of the
problem: eq. 4 of arXiv 2510.20390.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lerobot_neuraltouch.ndf.descriptor import as_pose, pose_descriptor
from lerobot_neuraltouch.ndf.lm import PoseSearchConfig as PoseSearchConfig
from lerobot_neuraltouch.ndf.lm import Starts, optimise, skew
from lerobot_neuraltouch.ndf.network import DescriptorField, Latent
from lerobot_neuraltouch.ndf.starts import align_latents, spins_and_flips

MIN_POINTS = 32
"""Clouds with fewer points are refused."""
MAX_GAP = 3.0
"""Larger gaps add no confidence."""


@dataclass(frozen=True, eq=False)
class Demonstration:
    """One shown grasp: what the gripper pose means on the object it was shown on."""

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


@dataclass(frozen=True, eq=False)
class PoseSearchResult:
    """A found pose."""

    T: np.ndarray
    """T_base_tcp, float64 (4, 4)."""
    energy: float
    """Mean squared descriptor residual at that pose; 1 is usual between two objects of a category."""
    confidence: float
    """Estimated chance, in [0, 1], that the pose is within 10 mm; low also for garbage or foreign objects."""
    gap: float
    """Logarithm of the energy of the best pose found elsewhere (over 25 mm away) over `energy`."""
    demonstration: int
    """Index of the demonstration that matched best."""
    steps: int
    """Gauss-Newton steps taken."""


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
    queries: Tensor,
) -> Demonstration:
    """Remember a grasp shown on an object.

    Args:
        field: Frozen.
        cloud: The object [m], (N, 3).
        T_base_tcp: The shown pose in the cloud's frame, (4, 4).
        queries: From `descriptor.query_points`, (N_q, 3).

    Raises:
        ValueError: If cloud or pose are malformed.
    """
    pose = as_pose(T_base_tcp)
    latent = field.encode(check_cloud(cloud)[None])
    descriptors = pose_descriptor(field, latent, pose[None], queries)
    return Demonstration(latent.z[0], latent.centre[0], pose, descriptors[0], queries)


@torch.no_grad()
def search_pose(
    field: DescriptorField,
    cloud: np.ndarray | Tensor,
    demos: Sequence[Demonstration],
    config: PoseSearchConfig | None = None,
    *,
    generator: torch.Generator | None = None,
) -> PoseSearchResult:
    """Find the pose on an object that matches one of the demonstrations best.

    Args:
        field: The frozen field the demonstrations were made with.
        cloud: The object [m], (N, 3), in the frame of the result.
        demos: Shown grasps of one skill; the pose may match any of them.
        config: Settings.
        generator: Source of the random starts; seeded with 0 if left out.

    Raises:
        ValueError: If the cloud is malformed, or there is no demonstration.
    """
    config = config or PoseSearchConfig()
    points = check_cloud(cloud)
    if not demos:
        raise ValueError("The search needs at least one demonstration.")
    generator = generator or torch.Generator().manual_seed(0)
    latent = field.encode(points[None])
    baked = field.decoder.bake(latent)
    starts = _make_starts(latent, demos, config, generator)
    queries = demos[0].queries
    coarse = starts.targets
    few = min(config.coarse_queries, len(queries))
    starts.targets = coarse[:, :few]
    steps = optimise(field, baked, starts, queries[:few], config.coarse_steps, config)
    best = starts.energy.argsort()[: config.keep]
    fine = Starts(starts.T[best], coarse[best], starts.demo[best], starts.energy[best])
    steps += optimise(field, baked, fine, queries, config.fine_steps, config)
    winner = int(fine.energy.argmin())
    energy = float(fine.energy[winner])
    away = (starts.T[:, :3, 3] - fine.T[winner, :3, 3]).norm(dim=-1) > 0.025
    others = starts.energy[away]
    gap = float((others.min() / energy).log()) if len(others) else 5.0
    return PoseSearchResult(
        T=_orthonormal(fine.T[winner].double()).numpy(),
        energy=energy,
        confidence=confidence(field, energy, gap),
        gap=gap,
        demonstration=int(fine.demo[winner]),
        steps=steps,
    )


def confidence_features(energy: float, gap: float) -> tuple[float, float, float]:
    """What the confidence is a logistic function of."""
    return 1.0, float(np.log(energy + 1e-6)), min(max(gap, 0.0), MAX_GAP)


def confidence(field: DescriptorField, energy: float, gap: float) -> float:
    """Chance that a pose is within 10 mm, by the field's logistic fit on validation objects."""
    score = np.dot(field.calibration.tolist(), confidence_features(energy, gap))
    return float(1.0 / (1.0 + np.exp(-score)))


def _make_starts(
    latent: Latent,
    demos: Sequence[Demonstration],
    config: PoseSearchConfig,
    generator: torch.Generator,
) -> Starts:
    poses, owners = [], []
    turns = spins_and_flips(config.num_spins, config.num_flips)
    for index, demo in enumerate(demos):
        T_object_demo = align_latents(demo.z, demo.centre, latent.z[0], latent.centre[0])
        aligned = T_object_demo @ demo.T
        poses.append(turns(latent.z[0, 0], latent.centre[0]) @ aligned)
        owners += [index] * len(poses[-1])
    for number in range(config.num_random):
        demo = demos[number % len(demos)]
        random = torch.eye(4)
        quaternion = torch.randn(4, generator=generator)
        random[:3, :3] = _rotation_of(quaternion)
        reach = (demo.T[:3, 3] - demo.centre).norm()
        direction = torch.randn(3, generator=generator)
        random[:3, 3] = latent.centre[0] + reach * direction / direction.norm()
        poses.append(random[None])
        owners.append(number % len(demos))
    T = torch.cat(poses)
    demo = torch.tensor(owners)
    targets = torch.stack([d.descriptors for d in demos])[demo]
    return Starts(T, targets, demo, torch.full((len(T),), float("inf")))


def _rotation_of(quaternion: Tensor) -> Tensor:
    """Rotation (3, 3) of a quaternion (w, x, y, z) of any length."""
    w, x, y, z = (quaternion / quaternion.norm()).tolist()
    axis = torch.tensor([[x, y, z]])
    cross = skew(axis)[0]
    return torch.eye(3) + 2.0 * w * cross + 2.0 * cross @ cross


def _orthonormal(T: Tensor) -> Tensor:
    """The rigid transform nearest to T (4, 4), which float32 products have left a little."""
    U, _, Vh = torch.linalg.svd(T[:3, :3])
    result = T.clone()
    result[:3, :3] = U @ Vh
    result[3] = torch.tensor([0.0, 0.0, 0.0, 1.0])
    return result
