"""An object as everything else sees it: exact mesh, convex pieces for physics, contact features.

Object frame: z upwards along the object's axis, origin at the centre of the base, which stands on z = 0 [m].
"""

from dataclasses import dataclass, field

import manifold3d
import numpy as np
import trimesh

from lerobot_neuraltouch.objects.contact import ContactFeature


@dataclass(frozen=True, eq=False)
class ObjectModel:
    """One rigid object in its own frame."""

    name: str
    """Unique, for example `mug-test-0003`."""
    category: str
    """For example `mug`."""
    mesh: trimesh.Trimesh
    """Exact surface [m]; watertight unless a user's mesh is not."""
    pieces: tuple[trimesh.Trimesh, ...]
    """Convex pieces that together cover the solid, for physics."""
    features: dict[str, ContactFeature]
    """Contacts by name."""
    mass_kg: float
    style: str = ""
    """How the shape was made, for example the handle's or the shoulder's style."""
    landmarks: dict[str, np.ndarray] = field(default_factory=dict)
    """Points (3,) by name that the descriptor field learns to find: `top` and `base` on the axis; on mugs `handle`, as far
    out as the handle's centre line reaches and as high as its middle, and `corner`, as far out and as high as the
    handle's upper end. Empty on users' meshes."""
    top_radius_m: float = 0.0
    """Radius of the top part: rim (middle of the wall), lid or head; 0 on users' meshes."""

    def feature(self, name: str) -> ContactFeature:
        """Look up a contact feature.

        Raises:
            ValueError: If the object has no such feature; the message lists the ones it has.
        """
        if name not in self.features:
            raise ValueError(
                f"Object '{self.name}' has no feature '{name}'. Available: {', '.join(sorted(self.features))}."
            )
        return self.features[name]


def to_trimesh(solid: manifold3d.Manifold) -> trimesh.Trimesh:
    """Turn a solid into a mesh in double precision."""
    mesh = solid.to_mesh64()
    return trimesh.Trimesh(
        mesh.vert_properties[:, :3], mesh.tri_verts.astype(np.int64), process=False
    )


def check_solid(mesh: trimesh.Trimesh, name: str, genus: int) -> None:
    """Refuse a generated mesh that is not one closed solid with the given number of handles.

    Raises:
        ValueError: With what was found.
    """
    found = (2 - mesh.euler_number) // 2
    sound = mesh.is_watertight and mesh.is_winding_consistent and mesh.volume > 0.0
    if not sound or found != genus or mesh.body_count != 1:
        raise ValueError(
            f"Generated object '{name}' is not a sound solid: watertight {mesh.is_watertight}, consistent winding "
            f"{mesh.is_winding_consistent}, volume {mesh.volume:.3g} m3, genus {found} (wanted {genus}), "
            f"bodies {mesh.body_count}."
        )
