"""A user's own mesh as an object: a YAML file beside it tells its size, its category and its contacts.

    mesh: my_mug.stl            # relative to this file
    scale: 0.001                # optional: mesh units to metres
    up: z                       # optional: which way is up in the mesh: x, y, z, -x, -y or -z
    category: mug
    mass_kg: 0.3                # optional
    features:
      mug_rim:
        part_thickness_m: 0.004
        constrained: [y, z, rx, ry, rz]   # optional for the features that tasks know
        connected: true                   # optional: whether poses in between are ideal too
        spin180: false                    # optional: whether fingers may change sides (default at handles)
        slide_m: [-0.02, 0.02]            # optional: how far a pose may move along its own z
        poses:                            # tcp in the mesh's own frame and units
          - [41.0, 0.0, 92.0, 0.0, 3.14159, 0.0]   # x, y, z, rotation vector [rad]; or 4 x 4

The object frame is the mesh's, turned so that z is up and moved so that the middle of the bounding box lies on the z axis
and the base on z = 0. The surface is taken as it is: it may be open, and of several bodies. Only loose crumbs, as scans
have them, are dropped: connected pieces with less than a hundredth of the surface each.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
import yaml
from scipy.spatial.transform import Rotation

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.features import FEATURES
from lerobot_neuraltouch.objects.catalogue import CATEGORIES
from lerobot_neuraltouch.objects.contact import DIRECTIONS, ContactFeature
from lerobot_neuraltouch.objects.convex import convex_pieces
from lerobot_neuraltouch.objects.model import ObjectModel

DEFAULT_CONSTRAINED = {
    "mug_rim": ("y", "z", "rx", "ry", "rz"),
    "mug_wall": ("y", "rx", "rz"),
    "horizontal_handle": ("y", "z", "rx", "ry", "rz"),
    "bottle_head": ("x", "y", "z", "rx", "ry"),
    "bolt_head": ("x", "y", "z", "rx", "ry"),
}
"""Directions in which errors of known features count, as for the generated objects."""
SMALLEST_M, LARGEST_M = 0.005, 1.0
"""Objects whose longest side lies outside are refused: the scale is wrong."""
CRUMB_SHARE = 0.01
"""Connected pieces of the surface with a smaller share of its area are dropped, ..."""
KEPT_SHARE = 0.9
"""... unless that would drop more than the rest: then the triangles are just not joined to each other."""
UPWARDS = {
    "x": (0, -1, 0), "-x": (0, 1, 0), "y": (1, 0, 0), "-y": (-1, 0, 0), "z": (0, 0, 0), "-z": (2, 0, 0),
}  # fmt: skip
"""Quarter turns about x, y and z that bring an axis of the mesh up."""
_KEYS = ("mesh", "scale", "up", "category", "features", "mass_kg")
_FEATURE_KEYS = ("poses", "part_thickness_m", "constrained", "connected", "spin180", "slide_m")


def load_object(path: str | Path, *, physics: bool = True) -> ObjectModel:
    """Read an object described by a YAML file.

    Args:
        path: The YAML file.
        physics: Whether to make the convex pieces for physics, which takes seconds; without, the object has none.

    Raises:
        FileNotFoundError: If the file or its mesh does not exist.
        ValueError: If something in it is wrong; the message says what and what would be right.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no object file '{path}'.")
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"'{path}' is no valid YAML: {error}") from error
    _check_keys(data, _KEYS, ("mesh", "category", "features"), f"'{path}'")
    category = _check_category(data["category"], path)
    scale = _positive(data.get("scale", 1.0), "scale", path)
    mesh = _load_mesh(path.parent / str(data["mesh"]), scale)
    upright = _upright(data.get("up", "z"), path)
    mesh.apply_transform(upright)
    bounds = mesh.bounds
    origin = np.array([*bounds.mean(axis=0)[:2], bounds[0, 2]])
    mesh.apply_translation(-origin)
    T_object_mesh = se3.transform(None, -origin) @ upright
    features = _read_features(data["features"], category, path, scale, T_object_mesh)
    return ObjectModel(
        name=path.stem,
        category=category,
        mesh=mesh,
        pieces=convex_pieces(mesh) if physics else (),
        features=features,
        mass_kg=_positive(data.get("mass_kg", 0.2), "mass_kg", path),
        style="user",
    )


def _check_keys(
    data: object, allowed: tuple[str, ...], needed: tuple[str, ...], where: str
) -> None:
    if not isinstance(data, Mapping):
        raise ValueError(f"{where} must hold the keys {', '.join(needed)}; got {data!r}.")
    unknown = [key for key in data if key not in allowed]
    if unknown:
        raise ValueError(f"{where}: unknown key '{unknown[0]}'. Available: {', '.join(allowed)}.")
    missing = [key for key in needed if key not in data]
    if missing:
        raise ValueError(f"{where}: missing {', '.join(missing)}.")


def _check_category(category: object, path: Path) -> str:
    if category not in CATEGORIES:
        raise ValueError(
            f"'{path}': unknown category '{category}'. Available: {', '.join(CATEGORIES)}."
        )
    return str(category)


def _upright(up: object, path: Path) -> np.ndarray:
    """The rotation (4, 4) that brings the mesh's axis up."""
    if up not in UPWARDS:
        raise ValueError(f"'{path}': unknown up '{up}'. Available: {', '.join(UPWARDS)}.")
    quarters = np.array(UPWARDS[str(up)])
    return se3.transform(Rotation.from_rotvec(0.5 * np.pi * quarters))


def _positive(value: Any, name: str, where: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 < value < np.inf:
        raise ValueError(f"'{where}': {name} must be a positive number, got {value!r}.")
    return float(value)


def _load_mesh(path: Path, scale: float) -> trimesh.Trimesh:
    """Read a mesh and bring it to metres.

    Raises:
        FileNotFoundError, ValueError: If there is no mesh in it, or none of a size that fingers could grasp.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no mesh '{path}'.")
    try:
        mesh = trimesh.load(path, force="mesh")
    except Exception as error:  # readers of broken files raise anything
        raise ValueError(f"'{path}' does not load as a mesh: {error}") from error
    if not isinstance(mesh, trimesh.Trimesh) or len(mesh.faces) == 0:
        raise ValueError(f"'{path}' holds no triangles.")
    if not np.isfinite(mesh.vertices).all():
        raise ValueError(f"'{path}' has a vertex with NaN or infinity.")
    mesh = _without_crumbs(trimesh.Trimesh(mesh.vertices * scale, mesh.faces))
    longest = float(mesh.extents.max())
    if not SMALLEST_M <= longest < LARGEST_M:
        raise ValueError(
            f"'{path}' is {longest:.4g} m long at scale {scale:g}; it must be between {SMALLEST_M:g} and {LARGEST_M:g} m. "
            "Set `scale` to metres per mesh unit: 0.001 for a mesh in millimetres."
        )
    return mesh


def _without_crumbs(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """Drop triangles without area, then connected pieces that are too small to be a body."""
    area = mesh.area_faces
    if not area.any():
        raise ValueError("All triangles of the mesh are without area.")
    mesh.update_faces(area > 0.0)
    area = mesh.area_faces
    label = trimesh.graph.connected_component_labels(mesh.face_adjacency, node_count=len(area))
    share = np.bincount(label, weights=area) / area.sum()
    kept = (share >= CRUMB_SHARE)[label]
    if area[kept].sum() > KEPT_SHARE * area.sum():
        mesh.update_faces(kept)
    mesh.remove_unreferenced_vertices()
    return mesh


def _read_features(
    data: object, category: str, path: Path, scale: float, T_object_mesh: np.ndarray
) -> dict[str, ContactFeature]:
    names = sorted(name for name, its in FEATURES.items() if its == category)
    if not isinstance(data, Mapping) or not data:
        raise ValueError(f"'{path}': features must name at least one of {', '.join(names)}.")
    features = {}
    for name, entry in data.items():
        if name not in names:
            raise ValueError(
                f"'{path}': unknown feature '{name}' of a {category}. Available: {', '.join(names)}."
            )
        where = f"'{path}', feature '{name}'"
        _check_keys(entry, _FEATURE_KEYS, ("poses", "part_thickness_m"), where)
        poses = _read_poses(entry["poses"], where)
        poses[:, :3, 3] *= scale
        poses = T_object_mesh @ poses
        features[name] = ContactFeature(
            name=name,
            poses=poses,
            part_thickness_m=_positive(entry["part_thickness_m"], "part_thickness_m", where),
            constrained=tuple(entry.get("constrained", DEFAULT_CONSTRAINED.get(name, DIRECTIONS))),
            connected=bool(entry.get("connected", True)),
            slide_m=_read_slide(entry.get("slide_m", (0.0, 0.0)), where),
            spin180=bool(entry.get("spin180", name.endswith("_handle"))),
        )
    return features


def _read_slide(data: Any, where: str) -> tuple[float, float]:
    try:
        low, high = (float(end) for end in data)
    except (TypeError, ValueError):
        raise ValueError(f"{where}: slide_m must be two numbers [m], got {data!r}.") from None
    return low, high


def _read_poses(data: object, where: str) -> np.ndarray:
    """Poses given as 4 x 4 or as position and rotation vector, shape (num_poses, 4, 4)."""
    if not isinstance(data, list) or not data:
        raise ValueError(f"{where}: poses must be a list with at least one pose.")
    poses = []
    for entry in data:
        try:
            pose = np.asarray(entry, dtype=np.float64)
        except (TypeError, ValueError):
            pose = np.empty(0)
        if pose.shape not in ((6,), (4, 4)) or not np.isfinite(pose).all():
            raise ValueError(
                f"{where}: a pose is 6 finite numbers (x, y, z, rotation vector [rad]) or 4 rows of 4; got {entry}."
            )
        poses.append(se3.from_rotvec_pose(pose) if pose.shape == (6,) else _rigid(pose, where))
    return np.stack(poses)


def _rigid(T: np.ndarray, where: str) -> np.ndarray:
    """Round a 4x4 that was written with few digits to the nearest rigid transform."""
    u, _, vt = np.linalg.svd(T[:3, :3])
    R = u @ vt
    if np.abs(R - T[:3, :3]).max() > 0.02 or np.linalg.det(R) < 0.0:
        raise ValueError(
            f"{where}: a pose's upper left 3 x 3 is not a rotation: {T[:3, :3].tolist()}."
        )
    return se3.transform(R, T[:3, 3])
