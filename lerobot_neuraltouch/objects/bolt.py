"""Seeded bolts with hexagonal or round heads, standing on the end of the shaft.

Frame: object, [m]. Sizes: M16 to M36 with heads as in ISO 4014, sizes in between included. The shaft is a plain
cylinder: the thread's depth is beyond what a depth camera sees.
"""

from dataclasses import dataclass
from typing import Any

import manifold3d
import numpy as np
from scipy.spatial.transform import Rotation

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.objects.contact import ContactFeature
from lerobot_neuraltouch.objects.model import ObjectModel, check_solid, to_trimesh
from lerobot_neuraltouch.objects.revolve import fillet, hull, revolve

NUM_SIDES = 96
"""Of round parts: facets stay within 0.015 mm of a round head."""
HEADS = ("hex", "round")
ISO_SIZES_M = np.array([0.016, 0.020, 0.024, 0.030, 0.036])
ISO_ACROSS_FLATS_M = np.array([0.024, 0.030, 0.036, 0.046, 0.055])
ISO_HEAD_M = np.array([0.010, 0.0125, 0.015, 0.0187, 0.0225])
"""Thread diameter, width across flats and height of the head, ISO 4014."""
HEAD_DEPTH_M = 0.006
"""The ideal contact is this far below the head's top, or at half of a lower head."""
LONGEST_M = 0.200
DENSITY = 7850.0
"""Of steel [kg/m3]."""
HEAVIEST_KG = 0.6
"""Long thick bolts are lighter than of steel, so that a hand with 12 N to spare can lift them all."""


@dataclass(frozen=True, kw_only=True)
class Bolt:
    """Shape of a bolt."""

    head: str
    """`hex` or `round`."""
    diameter_m: float
    """Of the shaft."""
    shaft_m: float
    """Length of the shaft."""
    head_width_m: float
    """Across the flats, or the diameter of a round head."""
    head_m: float
    """Height of the head, washer face included."""
    washer_m: float
    """Height of the round face under a hexagonal head."""
    chamfer_rad: float
    """Slope of the head's upper edge."""
    edge_round_m: float = 0.0
    """Radius of the head's upper edge in place of the chamfer; 0 for a chamfered one. Round heads only."""

    def __post_init__(self) -> None:
        if self.head not in HEADS:
            raise ValueError(f"Unknown head '{self.head}'. Available: {', '.join(HEADS)}.")

    @property
    def height_m(self) -> float:
        """Of the whole bolt."""
        return self.shaft_m + self.head_m


def draw_bolt(rng: np.random.Generator) -> Bolt:
    """Draw the shape of a bolt; half of the round heads have a rounded upper edge instead of a chamfered one."""
    head = str(rng.choice(HEADS))
    diameter = rng.uniform(ISO_SIZES_M[0], ISO_SIZES_M[-1])
    if head == "hex":
        width = float(np.interp(diameter, ISO_SIZES_M, ISO_ACROSS_FLATS_M))
        height = float(np.interp(diameter, ISO_SIZES_M, ISO_HEAD_M)) * rng.uniform(0.9, 1.1)
    else:
        width, height = diameter * rng.uniform(1.4, 1.6), diameter * rng.uniform(0.55, 0.75)
    return Bolt(
        head=head,
        diameter_m=diameter,
        shaft_m=min(rng.uniform(2.0, 8.0) * diameter, LONGEST_M - height),
        head_width_m=width,
        head_m=height,
        washer_m=rng.uniform(0.0, 0.001),
        chamfer_rad=np.deg2rad(rng.uniform(15.0, 30.0)),
        edge_round_m=rng.uniform(0.001, 0.003) * rng.integers(2) if head == "round" else 0.0,
    )


def make_bolt(bolt: Bolt, name: str) -> ObjectModel:
    """Build a bolt's mesh, physics pieces and contacts."""
    head, shaft = make_head(bolt), _shaft(bolt)
    mesh = to_trimesh(head + shaft)
    check_solid(mesh, name, genus=0)
    return ObjectModel(
        name=name,
        category="bolt",
        mesh=mesh,
        pieces=(hull(to_trimesh(shaft).vertices), hull(to_trimesh(head).vertices)),
        features={"bolt_head": bolt_head(bolt)},
        mass_kg=float(np.clip(DENSITY * mesh.volume, 0.05, HEAVIEST_KG)),
        style=bolt.head,
        landmarks={"top": np.array([0.0, 0.0, bolt.height_m]), "base": np.zeros(3)},
        top_radius_m=0.5 * bolt.head_width_m,
    )


def bolt_head(bolt: Bolt) -> ContactFeature:
    """Pads on the head's side (opposite flats of a hexagon), coming down the axis: origin on the axis, z down."""
    height = bolt.height_m - min(bolt.head_m / 2.0, HEAD_DEPTH_M)
    T_down = se3.transform(np.diag([1.0, -1.0, -1.0]), (0.0, 0.0, height))
    if bolt.head == "round":
        return ContactFeature(
            name="bolt_head",
            poses=T_down[None],
            part_thickness_m=bolt.head_width_m,
            constrained=("x", "y", "z", "rx", "ry"),
        )
    thirds = np.deg2rad([0.0, 60.0, 120.0])[:, None] * [0.0, 0.0, 1.0]
    return ContactFeature(
        name="bolt_head",
        poses=se3.transform(Rotation.from_rotvec(thirds)) @ T_down,
        part_thickness_m=bolt.head_width_m,
        connected=False,
        spin180=True,
    )


def make_head(bolt: Bolt) -> manifold3d.Manifold:
    """The head with its upper edge and washer face, at its height."""
    half = 0.5 * bolt.head_width_m
    corner = half / np.cos(np.pi / 6.0) if bolt.head == "hex" else half
    edge = 0.95 * half
    drop = (corner - edge) * np.tan(bolt.chamfer_rad)
    bend = bolt.edge_round_m
    upper = np.array([[corner, bolt.head_m - drop], [edge, bolt.head_m]])
    if bend > 0.0:
        upper = fillet((corner - bend, bolt.head_m - bend), bend, 0.0, 90.0, 7)
    low = bolt.washer_m if bolt.head == "hex" else 0.0
    ends = np.array([[0.0, low], [corner, low], [0.0, bolt.head_m]])
    cone = np.concatenate([ends[:2], upper, ends[2:]])
    solid = revolve(cone, NUM_SIDES)
    if bolt.head == "hex":
        angles = np.pi / 3.0 * np.arange(6)  # a flat looks along +y
        outline: Any = corner * np.column_stack([np.cos(angles), np.sin(angles)])
        prism = manifold3d.CrossSection([outline], manifold3d.FillRule.NonZero).extrude(bolt.head_m)
        solid = solid ^ prism
        if bolt.washer_m > 0.0:
            disc = np.array([[0.0, 0.0], [edge, 0.0], [edge, low + 1e-5], [0.0, low + 1e-5]])
            solid = solid + revolve(disc, NUM_SIDES)
    return solid.translate((0.0, 0.0, bolt.shaft_m))


def _shaft(bolt: Bolt) -> manifold3d.Manifold:
    """The shaft with a chamfered tip, a little of it inside the head."""
    radius = 0.5 * bolt.diameter_m
    tip, top = 0.15 * radius, bolt.shaft_m + 1e-5
    profile = np.array([[0.0, 0.0], [radius - tip, 0.0], [radius, tip], [radius, top], [0.0, top]])
    return revolve(profile, NUM_SIDES)
