"""Write an object as a mesh file with the YAML that `user.load_object` reads."""

from pathlib import Path

import numpy as np
import trimesh
import yaml

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.objects.contact import ContactFeature
from lerobot_neuraltouch.objects.model import ObjectModel

NUM_POSES = 17
"""Poses that a contact's curve is written as."""
MILLIMETRE = 0.001


def export_object(
    model: ObjectModel, folder: Path, mesh: trimesh.Trimesh | None = None, name: str | None = None
) -> Path:
    """Write NAME.ply in millimetres and NAME.yaml into a folder; returns the path of the YAML file.

    Args:
        model: The object.
        folder: Made if it does not exist.
        mesh: Another surface in place of the model's own, in the object frame [m], such as a scan of it.
        name: Of the files; the object's own if left out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = name or model.name
    surface = (model.mesh if mesh is None else mesh).copy()
    surface.apply_scale(1.0 / MILLIMETRE)
    surface.export(folder / f"{name}.ply")
    data = {
        "mesh": f"{name}.ply",
        "scale": MILLIMETRE,
        "category": model.category,
        "mass_kg": round(model.mass_kg, 4),
        "features": {feature.name: _entry(feature) for feature in model.features.values()},
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False, default_flow_style=None))
    return path


def _entry(feature: ContactFeature) -> dict[str, object]:
    poses = feature.curve(NUM_POSES)
    poses[:, :3, 3] /= MILLIMETRE
    entry: dict[str, object] = {
        "part_thickness_m": round(float(feature.part_thickness_m), 6),
        "constrained": list(feature.constrained),
        "connected": feature.connected,
        "spin180": feature.spin180,
    }
    if feature.slide_m != (0.0, 0.0):
        entry["slide_m"] = [round(float(end), 6) for end in feature.slide_m]
    entry["poses"] = np.round([se3.to_rotvec_pose(T) for T in poses], 5).tolist()
    return entry
