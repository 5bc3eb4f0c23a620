"""`neuraltouch export-object`: a generated object as a mesh file with its YAML, as an example for users' own."""

from dataclasses import dataclass
from pathlib import Path

import draccus
import numpy as np

from lerobot_neuraltouch.objects.catalogue import make_object
from lerobot_neuraltouch.objects.export import export_object
from lerobot_neuraltouch.objects.scan import scan_like


@dataclass(frozen=True)
class ExportObjectConfig:
    """Which object to write, and how."""

    output: Path = Path("outputs/objects")
    """Folder for the mesh (PLY, millimetres) and the YAML."""
    category: str = "mug"
    """mug, bottle or bolt."""
    split: str = "test"
    """Stream of objects: train, val, test or ood."""
    index: int = 0
    """Number of the object in the stream."""
    scan: bool = False
    """Write what a scanner would make of it: 50,000 noisy triangles with holes and loose bits."""


@draccus.wrap()
def export_object_verb(config: ExportObjectConfig) -> None:
    """Write a generated object as a mesh with its contacts."""
    model = make_object(config.category, config.split, config.index)
    scan = scan_like(model.mesh, np.random.default_rng(config.index)) if config.scan else None
    name = f"{model.name}-scan" if config.scan else model.name
    print(f"Wrote {export_object(model, config.output, scan, name)}")
