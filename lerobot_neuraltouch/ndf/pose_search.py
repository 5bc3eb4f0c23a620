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
from scipy.spatial.transform import Rotation
from torch import Tensor

from lerobot_neuraltouch.ndf.confidence import SEEN_M, Evidence, confidence
from lerobot_neuraltouch.ndf.descriptor import (
    HANDLE_QUERY_SIGMA_M,
    QUERY_SIGMA_M,
    as_pose,
    pose_descriptor,
    query_points,
)
from lerobot_neuraltouch.ndf.encoder import Latent
from lerobot_neuraltouch.ndf.lm import PoseSearchConfig as PoseSearchConfig
from lerobot_neuraltouch.ndf.lm import Starts, normal_equations, optimise
from lerobot_neuraltouch.ndf.metric import part_at, part_columns
from lerobot_neuraltouch.ndf.network import DescriptorField
from lerobot_neuraltouch.ndf.ranking import LEAST_ENERGY, gap, obstructions, rank
from lerobot_neuraltouch.ndf.settle import (
    FEWEST,
    PATCH_MARGIN_M,
    REACH_M,
    Patch,
    make_patch,
    outward_normals,
    settle,
)
from lerobot_neuraltouch.ndf.starts import align_latents, spins_and_flips

MIN_POINTS = 32
"""Clouds with fewer points are refused."""


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
    opening_m: float | None = None
    """Distance of the open fingers on the way in [m]; without it nobody looks what they would meet."""
    patch: Patch | None = None
    """The surface around the shown grasp; without it the pose is left as the descriptors have it."""


@dataclass(frozen=True, eq=False)
class PoseSearchResult:
    """A found pose."""

    T: np.ndarray
    """T_base_tcp, float64 (4, 4)."""
    energy: float
    """Mean squared descriptor residual at that pose; 1 is usual between two objects of a category."""
    confidence: float
    """Estimated chance, in [0, 1], that the contact is seen and the pose within 10 mm of it; low also for garbage or
    foreign objects."""
    evidence: Evidence
    """What the confidence was judged by."""
    candidates: tuple["Candidate", ...]
    """All poses of the last stage as the descriptors have them, the chosen one first."""
    starts: np.ndarray
    """Poses that the search began at, (S, 4, 4)."""
    demonstration: int
    """Index of the demonstration that matched best."""
    steps: int
    """Gauss-Newton steps taken."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A pose that the search ended at."""

    T: np.ndarray
    """T_base_tcp, float64 (4, 4)."""
    energy: float
    """Mean squared descriptor residual."""
    obstruction: float
    """See `approach.obstruction`; 0 where nobody looked."""


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


@torch.no_grad()
def search_pose(
    field: DescriptorField,
    cloud: np.ndarray | Tensor,
    demos: Sequence[Demonstration],
    config: PoseSearchConfig | None = None,
    *,
    table_height_m: float | None = None,
    generator: torch.Generator | None = None,
) -> PoseSearchResult:
    """Find the pose on an object that matches one of the demonstrations best and that the gripper can come to.

    Args:
        field: The frozen field the demonstrations were made with.
        cloud: The object [m], (N, 3), in the frame of the result.
        demos: Shown grasps of one skill; the pose may match any of them.
        config: Settings.
        table_height_m: Height of a table under the object that the gripper must not meet, if there is one.
        generator: Source of the random starts; seeded with 0 if left out.

    Raises:
        ValueError: If the cloud is malformed, or there is no demonstration.
    """
    config = config or PoseSearchConfig()
    points = check_cloud(cloud)
    if not demos:
        raise ValueError("The search needs at least one demonstration.")
    generator = generator or torch.Generator().manual_seed(0)
    latent, agreement, doubt = field.read(points[None])
    starts = _make_starts(field, latent, demos, config, generator)
    begun = starts.T.clone()
    steps, fine = _descend(field, latent, starts, demos[0].queries, config)
    openings = [demos[int(index)].opening_m for index in fine.demo]
    blocked = obstructions(field, latent, points, fine.T, openings, table_height_m)
    near = torch.cdist(fine.T[:, :3, 3], points) < SEEN_M
    seen = near.sum(-1)
    order = rank(fine.energy, blocked, seen, config)
    winner = order[0]
    energy = float(fine.energy[winner])
    at_top = fine.columns.start == 0  # there the handle does not matter
    evidence = Evidence(
        energy=energy,
        gap=gap(
            latent,
            torch.cat([starts.T, fine.T]),
            torch.cat([starts.energy, fine.energy]),
            fine.T[winner],
            fine.energy[winner],
            about_axis=at_top,
        ),
        seen=int(seen[winner]),
        obstruction=float(blocked[winner]),
        agreement=float(agreement[0]),
        doubt_m=float((doubt[0, :2] if at_top else doubt[0]).mean()),
    )
    return PoseSearchResult(
        T=_settled(field, latent, points, fine, winner, demos, config),
        energy=energy,
        confidence=confidence(field.calibration.double().numpy(), evidence),
        evidence=evidence,
        candidates=tuple(
            Candidate(
                _orthonormal(fine.T[i].double()).numpy(), float(fine.energy[i]), float(blocked[i])
            )
            for i in order
        ),
        starts=begun.double().numpy(),
        demonstration=int(fine.demo[winner]),
        steps=steps,
    )


def search_columns(field: DescriptorField, demos: Sequence[Demonstration]) -> slice:
    """The columns of the descriptor that count for a skill, by the place of its first demonstration."""
    shown = demos[0]
    part = part_at(field, Latent(shown.z[None], shown.centre[None]), shown.T[:3, 3])
    return part_columns(field, part)


def _descend(
    field: DescriptorField,
    latent: Latent,
    starts: Starts,
    queries: Tensor,
    config: PoseSearchConfig,
) -> tuple[int, Starts]:
    """Optimise all starts on few query points, in place, then the best on all of them; the steps taken, and the best."""
    baked = field.decoder.bake(latent)
    whole = starts.targets
    few = min(config.coarse_queries, len(queries))
    starts.targets = whole[:, :few]
    steps = optimise(field, baked, starts, queries[:few], config.coarse_steps, config)
    best = starts.energy.argsort()[: config.keep]
    fine = Starts(
        starts.T[best], whole[best], starts.demo[best], starts.energy[best], starts.columns
    )
    return steps + optimise(field, baked, fine, queries, config.fine_steps, config), fine


def _settled(
    field: DescriptorField,
    latent: Latent,
    points: Tensor,
    found: Starts,
    index: int,
    demos: Sequence[Demonstration],
    config: PoseSearchConfig,
) -> np.ndarray:
    """A found pose, float64 (4, 4), with the shown surface laid onto the seen one if the settings say so.

    At handles this does harm: their bars differ more in size than the descriptors err.
    """
    T = _orthonormal(found.T[index].double()).numpy()
    patch = demos[int(found.demo[index])].patch
    if not config.settle or patch is None or found.columns.start != 0:
        return T
    around = points[(points - found.T[index, :3, 3]).norm(dim=-1) < REACH_M + PATCH_MARGIN_M]
    if len(around) < FEWEST:
        return T
    row = slice(index, index + 1)
    _, _, hessian = normal_equations(
        field,
        field.decoder.bake(latent),
        found.T[row],
        found.targets[row],
        demos[0].queries,
        config,
        found.columns,
    )
    prior = hessian[0].double().numpy() / max(float(found.energy[index]), LEAST_ENERGY)
    normals = outward_normals(field, latent, around)
    return settle(T, around.numpy(), normals, patch, prior)


def _make_starts(
    field: DescriptorField,
    latent: Latent,
    demos: Sequence[Demonstration],
    config: PoseSearchConfig,
    generator: torch.Generator,
) -> Starts:
    columns = search_columns(field, demos)
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
        quaternion = torch.randn(4, generator=generator).numpy()
        turn = Rotation.from_quat(quaternion, scalar_first=True).as_matrix()
        random[:3, :3] = torch.from_numpy(turn)
        reach = (demo.T[:3, 3] - demo.centre).norm()
        direction = torch.randn(3, generator=generator)
        random[:3, 3] = latent.centre[0] + reach * direction / direction.norm()
        poses.append(random[None])
        owners.append(number % len(demos))
    T = torch.cat(poses)
    demo = torch.tensor(owners)
    targets = torch.stack([d.descriptors[:, columns] for d in demos])[demo]
    return Starts(T, targets, demo, torch.full((len(T),), float("inf")), columns)


def _orthonormal(T: Tensor) -> Tensor:
    """The rigid transform nearest to T (4, 4), which float32 products have left a little."""
    U, _, Vh = torch.linalg.svd(T[:3, :3])
    result = T.clone()
    result[:3, :3] = U @ Vh
    result[3] = torch.tensor([0.0, 0.0, 0.0, 1.0])
    return result
