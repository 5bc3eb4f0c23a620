"""A user's own mesh as an object: a YAML file beside it tells its size, its category and its contacts.

    mesh: my_mug.stl            # relative to this file; obj, stl, ply, glb, gltf or off
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
          - [41.0, 0.0, 92.0, 2.2214, 2.2214, 0.0]   # x, y, z, rotation vector [rad]; or 4 x 4

The object frame is the mesh's, turned so that z is up and moved so that the middle of the bounding box lies on the z axis
and the base on z = 0. The surface may be open, of several bodies (`mesh` may also list several files in one frame), with any
winding, doubled corners and degenerate triangles; what little floats around a scan is left out: see `mesh_file`. Depth and
touch are cast on exactly these triangles, physics uses pieces of a solid made of them: see `solid`. Signed distances to an
open mesh mean nothing, and nobody takes any: the descriptor field's labels are of generated objects only.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
import yaml
from scipy.spatial.transform import Rotation

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.features import FEATURES, HELD_OUT_FEATURES, MAX_FINGER_DISTANCE
from lerobot_neuraltouch.objects.catalogue import CATEGORIES
from lerobot_neuraltouch.objects.contact import DIRECTIONS, ContactFeature
from lerobot_neuraltouch.objects.convex import convex_pieces
from lerobot_neuraltouch.objects.mesh_file import read_mesh
from lerobot_neuraltouch.objects.model import ObjectModel
from lerobot_neuraltouch.objects.views import make_scene, to_tensor

DEFAULT_CONSTRAINED = {
    "mug_rim": ("y", "z", "rx", "ry", "rz"),
    "mug_wall": ("y", "rx", "rz"),
    "horizontal_handle": ("y", "z", "rx", "ry", "rz"),
    "handle_bar": ("y", "z", "rx", "ry", "rz"),
    "lid_from_side": ("x", "y", "z", "ry", "rz"),
    "bottle_head": ("x", "y", "z", "rx", "ry"),
    "bolt_head": ("x", "y", "z", "rx", "ry"),
}
"""Directions in which errors of known features count, as for the generated objects."""
SMALLEST_M, LARGEST_M = 0.005, 0.6
"""Objects whose longest side lies outside are refused: the scale is wrong."""
USUAL_M = {"mug": 0.12, "bottle": 0.2, "bolt": 0.08}
"""Usual longest side of a category's objects, to guess the scale."""
UNITS_M = {"metres": 1.0, "inches": 0.0254, "centimetres": 0.01, "millimetres": 0.001}
REACH_M, NEAR_M = 0.008, 0.004
"""The pads touch the surface half the part's thickness from the tcp. Poses that are farther off than REACH_M are refused, and
contacts where most ways of closing pads do not come upon a surface within NEAR_M of there."""
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
    data = _read_yaml(path)
    category = _check_category(data["category"], path)
    scale = _positive(data.get("scale", 1.0), "scale", f"'{path}'")
    mesh = _load_mesh(data["mesh"], scale, category, path)
    upright = _upright(data.get("up", "z"), path)
    mesh.apply_transform(upright)
    bounds = mesh.bounds
    origin = np.array([*bounds.mean(axis=0)[:2], bounds[0, 2]])
    mesh.apply_translation(-origin)
    T_object_mesh = se3.transform(None, -origin) @ upright
    features = _read_features(data["features"], category, path, scale, T_object_mesh)
    _check_contacts(features, mesh, path)
    return ObjectModel(
        name=path.stem,
        category=category,
        mesh=mesh,
        pieces=_pieces(mesh, path) if physics else (),
        features=features,
        mass_kg=_positive(data.get("mass_kg", 0.2), "mass_kg", f"'{path}'"),
        style="user",
    )


def _pieces(mesh: trimesh.Trimesh, path: Path) -> tuple[trimesh.Trimesh, ...]:
    try:
        return convex_pieces(mesh)
    except ValueError as error:
        raise ValueError(
            f"'{path}': its mesh cannot be taken apart into convex pieces for the physics: {error} Available: meshes that are closed, "
            "have holes or cracks, or are sheets."
        ) from error


def _read_yaml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(f"There is no object file '{path}'.")
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"'{path}' is no valid YAML: {error}") from error
    _check_keys(data, _KEYS, ("mesh", "category", "features"), f"'{path}'")
    return data


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
    if not isinstance(up, str) or up not in UPWARDS:
        raise ValueError(f"'{path}': unknown up '{up}'. Available: {', '.join(UPWARDS)}.")
    return se3.transform(Rotation.from_rotvec(0.5 * np.pi * np.array(UPWARDS[up])))


def _positive(value: object, name: str, where: str) -> float:
    try:  # YAML takes 1e-3, without a dot, for text
        number = float(value) if isinstance(value, int | float | str) else np.nan
    except ValueError:
        number = np.nan
    if isinstance(value, bool) or not 0.0 < number < np.inf:
        raise ValueError(f"{where}: {name} must be a positive number, got {value!r}.")
    return number


def _load_mesh(names: object, scale: float, category: str, path: Path) -> trimesh.Trimesh:
    """Read the mesh files that a YAML file names and bring them to metres.

    Raises:
        FileNotFoundError, ValueError: If there is no mesh in them, or none of a size that fingers could grasp.
    """
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise ValueError(f"'{path}': mesh must be a file name or a list of them, got {names!r}.")
    mesh = read_mesh(*(path.parent / name for name in names))
    longest = float(mesh.extents.max())
    if not SMALLEST_M <= scale * longest < LARGEST_M:
        raise ValueError(
            f"'{path}': the mesh is {scale * longest:.4g} m long at scale {scale:g}; it must be between {SMALLEST_M:g} and "
            f"{LARGEST_M:g} m. `scale` is metres per mesh unit; {_likely_scale(longest, category)}."
        )
    return mesh.apply_scale(scale)


def _likely_scale(longest: float, category: str) -> str:
    """A guess, from the mesh's longest side in its own units."""
    usual = USUAL_M.get(category, 0.12)
    unit = min(UNITS_M, key=lambda name: abs(np.log(longest * UNITS_M[name] / usual)))
    size = longest * UNITS_M[unit]
    if max(size / usual, usual / size) < 3.0:
        return f"likely it is {UNITS_M[unit]:g}, the mesh in {unit} ({size:.3g} m)"
    return f"for a {category} of {usual:g} m it is {usual / longest:.3g}"


def _check_contacts(
    features: Mapping[str, ContactFeature], mesh: trimesh.Trimesh, path: Path
) -> None:
    """Refuse poses at which the pads would close on nothing: in other units, another frame, or turned."""
    scene = make_scene(mesh)
    for name, feature in features.items():
        where = f"'{path}', feature '{name}'"
        closing = (
            feature.poses[:, None, :3, 1] * np.array([-1.0, 1.0])[:, None]
        )  # (num_poses, 2, 3)
        touched = feature.poses[:, None, :3, 3] + 0.5 * feature.part_thickness_m * closing
        distance = scene.compute_distance(to_tensor(touched)).numpy().max(axis=1)
        if distance.max() > REACH_M:
            raise ValueError(
                f"{where}: in pose {distance.argmax()} (from 0) a pad would touch {1e3 * distance.max():.3g} mm away from the "
                f"surface. Poses are in the mesh's own frame and units; part_thickness_m, here {feature.part_thickness_m:g}, is "
                "in metres."
            )
        rays = np.concatenate([touched + NEAR_M * closing, -2.0 * NEAR_M * closing], axis=-1)
        met = scene.test_occlusions(to_tensor(rays), 0.0, 1.0).numpy()
        if met.mean() < 0.5:
            raise ValueError(
                f"{where}: pads that close along the poses' y axes meet a surface in {np.count_nonzero(met)} of {met.size} "
                "places only. The y axis of a pose is the direction in which the fingers close, z the one in which they approach."
            )


def _read_features(
    data: object, category: str, path: Path, scale: float, T_object_mesh: np.ndarray
) -> dict[str, ContactFeature]:
    known = FEATURES | HELD_OUT_FEATURES
    names = sorted(name for name, its in known.items() if its == category)
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
        features[name] = _read_feature(name, entry, where, scale, T_object_mesh)
    return features


def _read_feature(
    name: str, entry: Mapping[str, Any], where: str, scale: float, T_object_mesh: np.ndarray
) -> ContactFeature:
    poses = _read_poses(entry["poses"], where)
    poses[:, :3, 3] *= scale
    thickness = _positive(entry["part_thickness_m"], "part_thickness_m", where)
    if thickness > MAX_FINGER_DISTANCE:
        raise ValueError(
            f"{where}: part_thickness_m is {thickness:g}, but the fingers open {MAX_FINGER_DISTANCE:g} m; it is in metres."
        )
    constrained = entry.get("constrained", DEFAULT_CONSTRAINED.get(name, DIRECTIONS))
    if not isinstance(constrained, list | tuple):
        raise ValueError(f"{where}: constrained must be a list, got {constrained!r}.")
    try:
        return ContactFeature(
            name=name,
            poses=T_object_mesh @ poses,
            part_thickness_m=thickness,
            constrained=tuple(constrained),
            connected=_yes_or_no(entry.get("connected", True), "connected", where),
            slide_m=_read_slide(entry.get("slide_m", (0.0, 0.0)), where),
            spin180=_yes_or_no(entry.get("spin180", "handle" in name), "spin180", where),
        )
    except ValueError as error:
        raise ValueError(f"{where}: {error}" if where not in str(error) else str(error)) from error


def _yes_or_no(value: object, name: str, where: str) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{where}: {name} must be true or false, got {value!r}.")
    return value


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
