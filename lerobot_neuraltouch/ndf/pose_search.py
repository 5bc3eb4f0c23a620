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

from lerobot_neuraltouch.ndf.anchoring import anchored, anchors_of
from lerobot_neuraltouch.ndf.confidence import Evidence, confidence
from lerobot_neuraltouch.ndf.encoder import Latent
from lerobot_neuraltouch.ndf.lm import PoseSearchConfig as PoseSearchConfig
from lerobot_neuraltouch.ndf.lm import Starts, normal_equations, optimise
from lerobot_neuraltouch.ndf.metric import PARTS, part_columns
from lerobot_neuraltouch.ndf.network import DescriptorField, Reading
from lerobot_neuraltouch.ndf.ranking import LEAST_ENERGY, SEEN_M, gap, obstructions, rank
from lerobot_neuraltouch.ndf.settle import (
    FEWEST,
    PATCH_MARGIN_M,
    REACH_M,
    outward_normals,
    settle,
)
from lerobot_neuraltouch.ndf.shown_grasp import Demonstration as Demonstration
from lerobot_neuraltouch.ndf.shown_grasp import check_cloud
from lerobot_neuraltouch.ndf.shown_grasp import make_demonstration as make_demonstration
from lerobot_neuraltouch.ndf.sight import touched_points
from lerobot_neuraltouch.ndf.starts import align_latents, spins_and_flips


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
    reading = field.read(points[None])
    latent = reading.latent
    starts = _make_starts(field, latent, demos, config, generator)
    begun = starts.T.clone()
    steps, fine = _descend(field, latent, starts, demos[0].queries, config)
    openings = [demos[int(index)].opening_m for index in fine.demo]
    blocked = obstructions(field, latent, points, fine.T, openings, table_height_m)
    near = torch.cdist(fine.T[:, :3, 3], points) < SEEN_M
    seen = near.sum(-1)
    order = rank(fine.energy, blocked, seen, config)
    winner = order[0]
    part = demos[0].part(field)
    T = _finished(field, reading, points, fine, winner, demos, part, config)
    evidence = Evidence(
        energy=float(fine.energy[winner]),
        gap=gap(
            latent,
            torch.cat([starts.T, fine.T]),
            torch.cat([starts.energy, fine.energy]),
            fine.T[winner],
            fine.energy[winner],
            about_axis=part == "top",  # there the handle does not matter
        ),
        touched=touched_points(points, torch.from_numpy(T).float(), openings[winner]),
        obstruction=float(blocked[winner]),
        agreement=float(reading.agreement[0]),
        doubt_m=float(reading.doubt[0, 0] if part == "top" else reading.doubt[0, 2:].min()),
        axis_doubt_m=float(reading.doubt[0, :2].max()),
        remote_m=_remote(field, demos[int(fine.demo[winner])], part),
    )
    return PoseSearchResult(
        T=T,
        energy=evidence.energy,
        confidence=confidence(field.calibration[PARTS.index(part)].double().numpy(), evidence),
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
    return part_columns(field, demos[0].part(field))


def _anchor_count(field: DescriptorField, part: str) -> int:
    """How many anchors a contact may hang on: where a handle lies says nothing about a rim or a lid."""
    return field.config.anchors if part == "handle" else 2


def _remote(field: DescriptorField, demo: Demonstration, part: str) -> float:
    """Distance from a shown grasp to the nearest anchor that it may hang on [m]."""
    return float(np.linalg.norm(demo.anchors(_anchor_count(field, part)), axis=1).min())


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


def _finished(
    field: DescriptorField,
    reading: Reading,
    points: Tensor,
    found: Starts,
    index: int,
    demos: Sequence[Demonstration],
    part: str,
    config: PoseSearchConfig,
) -> np.ndarray:
    """A found pose, float64 (4, 4), after the last two corrections, each of which the settings may leave out."""
    T = _orthonormal(found.T[index].double()).numpy()
    demo = demos[int(found.demo[index])]
    # At handles settling does harm: their bars differ more in size than the descriptors err.
    if config.settle and demo.patch is not None and part == "top":
        T = _settled(field, reading.latent, points, T, demo, demos[0].queries, found, index, config)
    if not config.anchor:
        return T
    num = _anchor_count(field, part)
    anchors = anchors_of(reading.latent, num)[0].double().numpy()
    return anchored(T, anchors, reading.doubt[0, :num].double().numpy(), demo.anchors(num))


def _settled(
    field: DescriptorField,
    latent: Latent,
    points: Tensor,
    T: np.ndarray,
    demo: Demonstration,
    queries: Tensor,
    found: Starts,
    index: int,
    config: PoseSearchConfig,
) -> np.ndarray:
    """The pose T (4, 4) with the shown surface laid onto the seen one."""
    assert demo.patch is not None
    around = points[(points - found.T[index, :3, 3]).norm(dim=-1) < REACH_M + PATCH_MARGIN_M]
    if len(around) < FEWEST:
        return T
    row = slice(index, index + 1)
    _, _, hessian = normal_equations(
        field,
        field.decoder.bake(latent),
        found.T[row],
        found.targets[row],
        queries,
        config,
        found.columns,
    )
    prior = hessian[0].double().numpy() / max(float(found.energy[index]), LEAST_ENERGY)
    return settle(T, around.numpy(), outward_normals(field, latent, around), demo.patch, prior)


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
