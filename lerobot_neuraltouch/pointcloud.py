"""Depth pictures to point clouds: deproject, add a sensor's faults, cut the object off its table, subsample.

Frames: camera with OpenCV axes (x right, y down, z forward) and base, z up [m].
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.features import NUM_CLOUD_POINTS

TABLE_MARGIN_M = 0.005
"""Points less than this above the table belong to it: 4 sigma of the nominal depth noise at a camera distance of 0.45 m."""
VOXEL_M = 0.006
"""Grid in which points are counted and joined to clusters."""
MAX_CLUSTERED = 4_000
"""Larger clouds are thinned before the search for clusters, to keep it quick."""


@dataclass(frozen=True)
class CameraIntrinsics:
    """Pinhole camera without distortion."""

    width: int
    height: int
    fx: float
    """Focal length [pixel]."""
    fy: float
    cx: float
    """Principal point [pixel], pixel centres at whole numbers."""
    cy: float

    def __post_init__(self) -> None:
        if min(self.width, self.height) < 1 or min(self.fx, self.fy) <= 0.0:
            raise ValueError(f"Size and focal lengths of a camera must be positive, got {self}.")

    def scaled(self, factor: float) -> "CameraIntrinsics":
        """The same field of view in a picture of another size."""
        return CameraIntrinsics(
            width=round(self.width * factor),
            height=round(self.height * factor),
            fx=self.fx * factor,
            fy=self.fy * factor,
            cx=(self.cx + 0.5) * factor - 0.5,
            cy=(self.cy + 0.5) * factor - 0.5,
        )


D435 = CameraIntrinsics(width=320, height=240, fx=307.0, fy=307.0, cx=159.5, cy=119.5)
"""A RealSense D435's picture registered to colour (about 55 x 43 degrees), at half of 640 x 480."""


def deproject(depth_m: np.ndarray, intrinsics: CameraIntrinsics) -> np.ndarray:
    """Points seen by the valid pixels, camera frame [m], shape (num_valid, 3); pixels of 0, NaN or infinity are invalid.

    Raises:
        ValueError: If the picture has another shape than the camera.
    """
    depth = np.asarray(depth_m)
    if depth.shape != (intrinsics.height, intrinsics.width):
        raise ValueError(
            f"Depth has shape {depth.shape}, but the camera's pictures are (height, width) = "
            f"({intrinsics.height}, {intrinsics.width})."
        )
    with np.errstate(invalid="ignore"):
        v, u = np.nonzero(np.isfinite(depth) & (depth > 0.0))
    z = depth[v, u].astype(np.float64)
    x = (u - intrinsics.cx) / intrinsics.fx * z
    y = (v - intrinsics.cy) / intrinsics.fy * z
    return np.stack([x, y, z], axis=-1)


@dataclass(frozen=True, kw_only=True)
class DepthNoise:
    """Faults of a depth camera; the defaults are the benchmarks' nominal ones."""

    sigma_m: float = 0.001
    """Standard deviation of the depth at `reference_m`; grows with the square of the distance, as a stereo camera's does."""
    reference_m: float = 0.4
    edge_step_m: float = 0.01
    """Neighbouring pixels whose depths differ by more than this are an edge."""
    edge_dropout: float = 0.3
    """Share of the pixels at edges that are invalid."""
    edge_flying: float = 0.1
    """Share of the pixels at edges that lie somewhere between the near and the far side."""
    outliers: float = 0.02
    """Share of the pixels that are wrong by up to `outlier_m`."""
    outlier_m: float = 0.05

    def __post_init__(self) -> None:
        for name in ("edge_dropout", "edge_flying", "outliers"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} is a share between 0 and 1, got {getattr(self, name)}.")
        for name in ("sigma_m", "edge_step_m", "outlier_m"):
            if getattr(self, name) < 0.0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}.")
        if self.reference_m <= 0.0:
            raise ValueError(f"reference_m must be positive, got {self.reference_m}.")

    @staticmethod
    def off() -> "DepthNoise":
        """A perfect camera."""
        return DepthNoise(sigma_m=0.0, edge_dropout=0.0, edge_flying=0.0, outliers=0.0)


def perturb_depth(depth_m: np.ndarray, noise: DepthNoise, rng: np.random.Generator) -> np.ndarray:
    """Add a camera's faults to a depth picture, float32 [m], shape (height, width); 0 stays invalid."""
    given = np.asarray(depth_m, dtype=np.float32)
    valid = np.isfinite(given) & (given > 0.0)
    depth = np.where(valid, given, np.float32(0.0))
    far = ndimage.maximum_filter(depth, size=3)
    near = ndimage.minimum_filter(np.where(valid, depth, np.float32(np.inf)), size=3)
    # A border to invalid pixels is an edge too: there is something behind that was too far to measure.
    empty_near = ndimage.maximum_filter((~valid).astype(np.uint8), size=3) > 0
    edge = valid & ((far - near > noise.edge_step_m) | empty_near)
    scale = noise.sigma_m / noise.reference_m**2
    noisy = depth + scale * depth**2 * rng.standard_normal(depth.shape, dtype=np.float32)
    flying = edge & (rng.random(depth.shape, dtype=np.float32) < noise.edge_flying)
    mix = rng.random(depth.shape, dtype=np.float32)
    noisy[flying] = near[flying] + mix[flying] * (far - near)[flying]
    wrong = rng.random(depth.shape, dtype=np.float32) < noise.outliers
    noisy[wrong] += noise.outlier_m * (2.0 * mix[wrong] - 1.0)
    lost = edge & (rng.random(depth.shape, dtype=np.float32) < noise.edge_dropout)
    return np.where(valid & ~lost, np.maximum(noisy, 0.0), np.float32(0.0))


def segment(points_base: np.ndarray, table_height_m: float = 0.0) -> np.ndarray:
    """Keep the object: above the table, the biggest cluster, no strays.

    Args:
        points_base: Base frame [m], shape (num_points, 3).
        table_height_m: Height of the table in base; where the cloud shows a table close to it, that one counts, so that
            an error of the hand-eye calibration leaves no slice of table.

    Returns:
        Points of the object, shape (num_object_points, 3).

    Raises:
        ValueError: If the cloud is empty, holds NaN or infinity, or nothing stands on the table.
    """
    points = np.asarray(points_base, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3 or len(points) == 0:
        raise ValueError(
            f"A point cloud has shape (num_points, 3), num_points > 0; got {points.shape}."
        )
    if not np.isfinite(points).all():
        raise ValueError("The point cloud holds NaN or infinity.")
    above = points[_height_above_table(points, table_height_m) > TABLE_MARGIN_M]
    above = above[:: max(1, len(above) // MAX_CLUSTERED)]
    found = _biggest_cluster(above)
    if len(found) < 10:
        raise ValueError(
            f"No object stands on the table at z = {table_height_m:g} m: of {len(points)} points, {len(above)} are higher "
            f"and the biggest cluster has {len(found)}."
        )
    return _without_strays(found)


def subsample(points: np.ndarray, num: int, rng: np.random.Generator) -> np.ndarray:
    """Draw points, shape (num, 3); each at most once where there are enough of them.

    Raises:
        ValueError: If there is no point.
    """
    if len(points) == 0:
        raise ValueError("Cannot subsample an empty point cloud.")
    if len(points) >= num:
        return points[rng.choice(len(points), num, replace=False)]
    extra = rng.choice(len(points), num - len(points))
    return np.concatenate([points, points[extra]])


def object_cloud(
    depth_m: np.ndarray,
    intrinsics: CameraIntrinsics,
    T_base_camera: np.ndarray,
    rng: np.random.Generator,
    table_height_m: float = 0.0,
    max_range_m: float = 1.5,
) -> np.ndarray:
    """The observation `point_cloud`: visible surface of the object on the table.

    Args:
        depth_m: Depth picture [m], shape (height, width); 0, NaN and infinity are invalid.
        intrinsics: Of the depth camera.
        T_base_camera: Pose of the camera in base, shape (4, 4).
        rng: Draws the points that are kept.
        table_height_m: Height of the table in base.
        max_range_m: Farther pixels are background.

    Returns:
        Base frame [m], float32, shape (NUM_CLOUD_POINTS, 3), finite.

    Raises:
        ValueError: If the picture has a wrong shape or no valid pixel, or no object stands on the table.
    """
    points = deproject(depth_m, intrinsics)
    points = points[points[:, 2] < max_range_m]
    if len(points) == 0:
        raise ValueError(f"The depth picture has no valid pixel nearer than {max_range_m:g} m.")
    cloud = segment(se3.apply(np.asarray(T_base_camera), points), table_height_m)
    return subsample(cloud, NUM_CLOUD_POINTS, rng).astype(np.float32)


def _height_above_table(points: np.ndarray, table_height_m: float) -> np.ndarray:
    """Height of each point [m], shape (num_points,), above the table seen in the cloud or else above the nominal one."""
    nominal = points[:, 2] - table_height_m
    near = points[np.abs(nominal) < 0.03]
    plane = _fit_table(near[:: max(1, len(near) // 2000)])
    return nominal if plane is None else points @ plane[:3] - plane[3]


def _fit_table(points: np.ndarray, tolerance_m: float = 0.004) -> np.ndarray | None:
    """Plane (normal, distance), shape (4,), of a nearly level table among points close to it; None if they show none.

    Starts at the fullest layer and fits again and again by least squares, as the table is by far the largest thing there.
    """
    if len(points) < 100:
        return None
    heights = points[:, 2]
    counts, edges = np.histogram(heights, bins=15)
    best = np.argmax(counts)
    design = np.column_stack([points[:, :2], np.ones(len(points))])
    slope = np.array([0.0, 0.0, 0.5 * (edges[best] + edges[best + 1])])
    inliers = np.zeros(len(points), dtype=bool)
    for tolerance in (0.012, 0.008, 0.006, tolerance_m, tolerance_m):
        inliers = np.abs(heights - design @ slope) < tolerance
        if np.count_nonzero(inliers) < 50:
            return None
        # Normal equations: coordinates within a metre are far from making them ill-conditioned, and they take a fraction of the time.
        kept = design[inliers]
        slope = np.linalg.solve(kept.T @ kept, kept.T @ heights[inliers])
    wide = np.ptp(points[inliers, :2], axis=0).max() > 0.2
    if np.mean(inliers) < 0.5 or not wide or np.hypot(slope[0], slope[1]) > 0.15:
        return None
    scale = np.sqrt(1.0 + slope[0] ** 2 + slope[1] ** 2)
    return np.array([-slope[0], -slope[1], 1.0, slope[2]]) / scale


def _biggest_cluster(points: np.ndarray) -> np.ndarray:
    """Points of the largest group of touching voxels, thinly filled voxels left out, shape (num_points, 3)."""
    if len(points) == 0:
        return points
    grid = np.floor((points - points.min(axis=0)) / VOXEL_M).astype(np.int64)
    size = grid.max(axis=0) + 1
    keys, member, counts = np.unique(
        np.ravel_multi_index(tuple(grid.T), tuple(size)), return_inverse=True, return_counts=True
    )
    cells = np.column_stack(np.unravel_index(keys, tuple(size)))
    # Half of the points lie in voxels at least this full: it scales with the resolution of the camera.
    typical = np.median(counts[member])
    full = (
        np.flatnonzero(counts >= max(2.0, 0.15 * typical)) if typical > 4 else np.arange(len(keys))
    )
    pairs = KDTree(cells[full]).query_pairs(1.8, output_type="ndarray")
    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(full),) * 2)
    label = np.full(len(keys), -1)
    label[full] = connected_components(links, directed=False)[1]
    labels = label[member]
    sizes = np.bincount(labels[labels >= 0])
    return points[labels == np.argmax(sizes)]


def _without_strays(points: np.ndarray, num_neighbours: int = 8, limit: float = 2.5) -> np.ndarray:
    """Drop points whose mean distance to their neighbours is far above the usual (statistical outlier removal)."""
    if len(points) <= num_neighbours:
        return points
    distances = KDTree(points).query(points, k=num_neighbours + 1)[0][:, 1:].mean(axis=1)
    return points[distances < distances.mean() + limit * distances.std() + 1e-9]
