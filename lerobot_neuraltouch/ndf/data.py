"""Training data: generated shapes with labelled points and noisy partial views, cached on disk.

Every number derives from the catalogue's seeded objects, so a cache can be deleted and comes back the same. A shard
holds the shapes [first, first + count) of one category and split; the manifest beside the shards names their
checksums. Frame: object. Lengths are stored as multiples of 10 um.
"""

import dataclasses
import hashlib
import json
import multiprocessing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import open3d as o3d
from tqdm import tqdm

from lerobot_neuraltouch.ndf.checkpoint import write_atomically
from lerobot_neuraltouch.ndf.losses import CATEGORIES as SHAPE_CATEGORIES
from lerobot_neuraltouch.ndf.losses import SHAPE_NUMBERS
from lerobot_neuraltouch.ndf.shape_set import UNIT_M
from lerobot_neuraltouch.ndf.shape_set import ShapeSet as ShapeSet
from lerobot_neuraltouch.ndf.views import random_camera, see
from lerobot_neuraltouch.objects.catalogue import CATEGORIES, make_object
from lerobot_neuraltouch.objects.model import ObjectModel
from lerobot_neuraltouch.objects.views import scene_of
from lerobot_neuraltouch.pointcloud import D435, DepthNoise

DATA_VERSION = 3
"""Changes whenever the same settings would give other data."""
BANDS_M = (0.003, 0.012, 0.030)
"""Labelled points: a quarter each at these standard deviations about the surface, and in the box around the object."""
BOX_MARGIN_M = 0.06
VIEWS = ("anywhere", "grazing", "above")
"""Where the views of a shape are taken from, in turn; see `views.random_camera`."""
REMNANT_SHARE = 0.3
"""Part of the views with remnants of the table around the base, as a segmentation leaves them."""


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """What to generate."""

    cache: Path = Path("outputs/ndf_data")
    """Folder of the shards."""
    categories: str = "mug,bottle,bolt"
    """Separated by commas."""
    train_shapes: int = 1000
    """Shapes per category to train on."""
    val_shapes: int = 40
    """Shapes per category to validate on."""
    views: int = 12
    """Views per shape, in turn from anywhere, from the side and of the object on a table."""
    view_points: int = 384
    """Points kept of a view, at most."""
    labels: int = 6144
    """Labelled points per shape."""
    shard: int = 20
    """Shapes per file."""
    workers: int = 2
    """Processes that generate; 0 is this one."""

    def __post_init__(self) -> None:
        unknown = [c for c in self.categories.split(",") if c not in CATEGORIES]
        if unknown:
            raise ValueError(
                f"Unknown category '{unknown[0]}'. Available: {', '.join(CATEGORIES)}."
            )
        for name in ("train_shapes", "val_shapes", "views", "view_points", "labels", "shard"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}.")


def shape_numbers(model: ObjectModel) -> np.ndarray:
    """The object's row of `losses.SHAPE_NUMBERS`, float32 (7,)."""
    marks = model.landmarks
    handle, corner = (marks.get(name, np.zeros(3)) for name in ("handle", "corner"))
    category = SHAPE_CATEGORIES.index(model.category)
    places = [handle[0], handle[2], corner[0], corner[2]]
    return np.array([marks["top"][2], model.top_radius_m, *places, category], np.float32)


def label_points(model: ObjectModel, num: int, rng: np.random.Generator) -> np.ndarray:
    """Points near and around the object with their signed distance [m], positive outside, shape (num, 4)."""
    quarter = num // 4
    areas = model.mesh.area_faces
    face = rng.choice(len(areas), 3 * quarter, p=areas / areas.sum())
    weights = rng.dirichlet((1.0, 1.0, 1.0), 3 * quarter)
    surface = np.einsum("ni,nix->nx", weights, model.mesh.triangles[face])
    spread = np.repeat(BANDS_M, quarter)[:, None]
    near = surface + spread * rng.standard_normal(surface.shape)
    low, high = model.mesh.bounds
    box = rng.uniform(low - BOX_MARGIN_M, high + BOX_MARGIN_M, (num - 3 * quarter, 3))
    points = np.concatenate([near, box]).astype(np.float32)
    distance = scene_of(model).compute_signed_distance(o3d.core.Tensor(points)).numpy()
    labelled = np.column_stack([points, distance])
    return labelled[rng.permutation(num)]


def draw_view(model: ObjectModel, rng: np.random.Generator, from_where: str) -> np.ndarray:
    """One noisy partial cloud of at least 30 points [m], shape (num_points, 3); draws again where little is seen."""
    for _ in range(20):
        camera = random_camera(model, rng, from_where, (0.3, 0.6))
        noise = DepthNoise(
            sigma_m=0.001 * rng.uniform(0.3, 1.7),
            edge_dropout=rng.uniform(0.0, 0.5),
            edge_flying=rng.uniform(0.0, 0.2),
            outliers=rng.uniform(0.0, 0.04),
        )
        intrinsics = D435.scaled(rng.choice([0.5, 0.5, 1.0]))
        table = from_where == "above"
        try:
            cloud = see(model, camera, rng, table=table, intrinsics=intrinsics, noise=noise)
        except ValueError:
            continue  # the camera looked past the object
        if len(cloud) >= 30:
            return _with_remnants(cloud, rng) if rng.random() < REMNANT_SHARE else cloud
    raise ValueError(f"Twenty cameras in a row saw nothing of '{model.name}'.")


def _with_remnants(cloud: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Replace a few points by ones on the table near the object's lower end, as a segmentation leaves them."""
    num = int(rng.uniform(0.01, 0.06) * len(cloud))
    if num == 0 or cloud[:, 2].min() > 0.02:
        return cloud
    chosen = rng.choice(len(cloud), num, replace=False)
    low = cloud[cloud[:, 2] < 0.02, :2]
    around = low[rng.integers(len(low), size=num)] + 0.008 * rng.standard_normal((num, 2))
    cloud = cloud.copy()
    cloud[chosen] = np.column_stack([around, rng.uniform(-0.001, 0.005, num)])
    return cloud


def generate_shard(
    config: DataConfig, category: str, split: str, first: int, count: int
) -> dict[str, np.ndarray]:
    """Shapes [first, first + count) of one stream, see `load_shard`."""
    shapes = np.zeros((count, len(SHAPE_NUMBERS)), np.float32)
    labels = np.zeros((count, config.labels, 4), np.int16)
    clouds = np.zeros((count, config.views, config.view_points, 3), np.int16)
    sizes = np.zeros((count, config.views), np.int16)
    for row in range(count):
        model = make_object(category, split, first + row)
        rng = np.random.default_rng(
            (DATA_VERSION, CATEGORIES.index(category), len(split), first + row)
        )
        shapes[row] = shape_numbers(model)
        labels[row] = np.clip(label_points(model, config.labels, rng) / UNIT_M, -32767, 32767)
        for view in range(config.views):
            cloud = draw_view(model, rng, VIEWS[view % len(VIEWS)])[: config.view_points]
            sizes[row, view] = len(cloud)
            clouds[row, view, : len(cloud)] = np.round(cloud / UNIT_M)
    return {"shapes": shapes, "labels": labels, "clouds": clouds, "sizes": sizes}


def load_shapes(config: DataConfig, split: str) -> ShapeSet:
    """Load a split, generating the shards that are missing with a progress bar.

    Raises:
        ValueError: If a shard's checksum is not the manifest's.
    """
    jobs = _jobs(config, split)
    missing = [job for job in jobs if not _manifest_path(_path(*job)).exists()]
    if missing:
        config.cache.mkdir(parents=True, exist_ok=True)
        bar = tqdm(total=len(missing), desc=f"shapes ({split})")
        for _ in _run(missing, config.workers):
            bar.update()
        bar.close()
    return ShapeSet([load_shard(_path(*job)) for job in jobs])


def load_shard(path: Path) -> dict[str, np.ndarray]:
    """Read one shard: shapes (S, 7), labels (S, L, 4), clouds (S, V, P, 3) and their sizes (S, V).

    Raises:
        ValueError: If the file's checksum is not the one in its manifest.
    """
    manifest = json.loads(_manifest_path(path).read_text())
    found = hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "no file"
    if found != manifest["sha256"]:
        raise ValueError(
            f"Shard '{path}' is damaged: checksum {found}, manifest {manifest['sha256']}. "
            "Delete its manifest to generate it anew."
        )
    with np.load(path) as file:
        return dict(file)


Job = tuple[DataConfig, str, str, int, int]


def _jobs(config: DataConfig, split: str) -> list[Job]:
    total = config.train_shapes if split == "train" else config.val_shapes
    return [
        (config, category, split, first, min(config.shard, total - first))
        for first in range(0, total, config.shard)
        for category in config.categories.split(",")
    ]


def _path(config: DataConfig, category: str, split: str, first: int, count: int) -> Path:
    sizes = f"v{config.views}x{config.view_points}-l{config.labels}"
    return config.cache / f"d{DATA_VERSION}-{sizes}-{category}-{split}-{first:05d}-{count}.npz"


def _manifest_path(path: Path) -> Path:
    return path.with_suffix(".json")


def _run(jobs: list[Job], workers: int) -> Iterator[None]:
    """Make shards, in other processes if workers is positive."""
    if workers == 0:
        yield from map(_make_shard, jobs)
        return
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        yield from pool.imap_unordered(_make_shard, jobs)


def _make_shard(job: Job) -> None:
    path = _path(*job)
    arrays = generate_shard(*job)

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)

    write_atomically(path, write)
    config = {key: str(value) for key, value in dataclasses.asdict(job[0]).items()}
    manifest = {
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "version": DATA_VERSION,
        "category": job[1],
        "split": job[2],
        "first": job[3],
        "count": job[4],
        "config": config,
    }
    text = json.dumps(manifest, indent=1) + "\n"

    def write_manifest(temporary: Path) -> None:
        temporary.write_text(text)

    write_atomically(_manifest_path(path), write_manifest)
