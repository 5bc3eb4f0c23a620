"""Seeded bottles with lids: solids of revolution about z.

Frame: object, [m]. Ranges: everyday bottles; drawn uniformly. Bottles are solid: nothing touches their inside.
"""

from dataclasses import dataclass

import numpy as np

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.objects.contact import ContactFeature
from lerobot_neuraltouch.objects.model import ObjectModel, check_solid, to_trimesh
from lerobot_neuraltouch.objects.revolve import convex_slice, fillet, revolve

NUM_SIDES = 128
"""Of the exact mesh: facets stay within 0.005 mm of a round lid."""
NUM_PIECE_SIDES = 64
"""Of the convex pieces: facets stay within 0.02 mm of a round lid."""
SHOULDERS = ("conic", "round", "superellipse")
HELD_OUT_SHOULDER = "step"
"""Never in the streams that are trained on."""
HEAD_DEPTH_M = 0.006
"""The ideal contact is this far below the lid's top, or at half of a lower lid."""
FINGER_REACH_M = 0.024
"""From the lid's top down to where the shoulder may begin: a finger at the ideal contact ends 18 mm below the top."""


@dataclass(frozen=True, kw_only=True)
class Bottle:
    """Shape of a bottle."""

    body_radius_m: float
    height_m: float
    """Lid included."""
    shoulder: str
    """`conic`, `round`, `superellipse` or `step` (flat, with a small rounding at the body)."""
    shoulder_m: float
    """Height of the shoulder."""
    neck_radius_m: float
    neck_m: float
    """Height of the neck that is seen between shoulder and lid."""
    lid_radius_m: float
    lid_m: float
    """Height of the lid."""
    chamfer_m: float
    """Of the lid's upper edge; 0 for a sharp one."""
    base_round_m: float
    """Radius of the edge at the base."""

    def __post_init__(self) -> None:
        if self.shoulder not in (*SHOULDERS, HELD_OUT_SHOULDER):
            raise ValueError(
                f"Unknown shoulder '{self.shoulder}'. Available: {', '.join((*SHOULDERS, HELD_OUT_SHOULDER))}."
            )


def draw_bottle(rng: np.random.Generator, held_out: bool = False) -> Bottle:
    """Draw the shape of a bottle, with the shoulder that is held out or with one of the others."""
    lid_radius, lid = rng.uniform(0.013, 0.0225), rng.uniform(0.010, 0.025)
    body_radius = max(rng.uniform(0.025, 0.0475), lid_radius + 0.003)
    height = rng.uniform(0.120, 0.280)
    return Bottle(
        body_radius_m=body_radius,
        height_m=height,
        shoulder=HELD_OUT_SHOULDER if held_out else str(rng.choice(SHOULDERS)),
        shoulder_m=rng.uniform(0.004, 0.008) if held_out else rng.uniform(0.15, 0.35) * height,
        neck_radius_m=max(lid_radius - rng.uniform(0.001, 0.004), 0.009),
        neck_m=max(rng.uniform(0.004, 0.018), FINGER_REACH_M - lid),
        lid_radius_m=lid_radius,
        lid_m=lid,
        chamfer_m=rng.uniform(0.0, 0.0015) * rng.integers(2),
        base_round_m=rng.uniform(0.002, 0.008),
    )


def make_bottle(bottle: Bottle, name: str) -> ObjectModel:
    """Build a bottle's mesh, physics pieces and contacts."""
    body, neck, lid = _profiles(bottle)
    top = [[0.0, bottle.height_m]]
    outline = np.concatenate([[[0.0, 0.0]], body, neck[1:], lid, top])
    mesh = to_trimesh(revolve(outline, NUM_SIDES))
    check_solid(mesh, name, genus=0)
    return ObjectModel(
        name=name,
        category="bottle",
        mesh=mesh,
        pieces=(
            convex_slice(np.concatenate([[[0.0, 0.0]], body]), NUM_PIECE_SIDES),
            convex_slice(neck, NUM_PIECE_SIDES),
            convex_slice(lid, NUM_PIECE_SIDES),
        ),
        features={f.name: f for f in (bottle_head(bottle), lid_from_side(bottle))},
        mass_kg=float(
            np.clip(300.0 * mesh.volume, 0.05, 0.35)
        ),  # a hollow bottle, little left in it
        style=bottle.shoulder,
        landmarks={"top": np.array([0.0, 0.0, bottle.height_m]), "base": np.zeros(3)},
        top_radius_m=bottle.lid_radius_m,
    )


def bottle_head(bottle: Bottle) -> ContactFeature:
    """Pads on the lid's side, coming down the axis: origin on the axis, z down, any spin about it."""
    return ContactFeature(
        name="bottle_head",
        poses=se3.transform(np.diag([1.0, -1.0, -1.0]), (0.0, 0.0, _grasped_height(bottle)))[None],
        part_thickness_m=2.0 * bottle.lid_radius_m,
        constrained=("x", "y", "z", "rx", "ry"),
    )


def lid_from_side(bottle: Bottle) -> ContactFeature:
    """The same place, but coming from the side: x up, z horizontal through the axis, from anywhere around it."""
    inwards = np.array([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    return ContactFeature(
        name="lid_from_side",
        poses=se3.transform(inwards, (0.0, 0.0, _grasped_height(bottle)))[None],
        part_thickness_m=2.0 * bottle.lid_radius_m,
        constrained=("x", "y", "z", "ry", "rz"),
    )


def _grasped_height(bottle: Bottle) -> float:
    return bottle.height_m - min(bottle.lid_m / 2.0, HEAD_DEPTH_M)


def _profiles(bottle: Bottle) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Profiles of body with shoulder, neck, and lid, each from bottom to top, shapes (num_points, 2)."""
    lid_low = bottle.height_m - bottle.lid_m
    neck_low = lid_low - bottle.neck_m
    shoulder_low = neck_low - bottle.shoulder_m
    bend = bottle.base_round_m
    base = fillet((bottle.body_radius_m - bend, bend), bend, -90.0, 0.0, 6)
    body = np.concatenate([base, _shoulder(bottle, shoulder_low)])
    neck = np.array([[bottle.neck_radius_m, neck_low], [bottle.neck_radius_m, lid_low]])
    edge = bottle.lid_radius_m - bottle.chamfer_m
    corner = [[bottle.lid_radius_m, bottle.height_m - bottle.chamfer_m]]
    lid = np.array([[bottle.lid_radius_m, lid_low], *corner, [edge, bottle.height_m]])
    return body, neck, lid[:2] if bottle.chamfer_m == 0.0 else lid


def _shoulder(bottle: Bottle, low: float) -> np.ndarray:
    """From the body's wall up to the neck, shape (num_points, 2); bulges outwards or is straight."""
    if bottle.shoulder == "step":
        bend = min(bottle.shoulder_m, bottle.body_radius_m - bottle.neck_radius_m - 1e-4)
        top = low + bottle.shoulder_m
        bent = fillet((bottle.body_radius_m - bend, top - bend), bend, 0.0, 90.0, 8)
        return np.concatenate([bent, [[bottle.neck_radius_m, top]]])
    exponent = {"conic": 1.0, "round": 2.0, "superellipse": 3.0}[bottle.shoulder]
    num = 2 if exponent == 1.0 else 20
    angles = np.linspace(0.0, np.pi / 2.0, num)
    inwards = 1.0 - np.cos(angles) ** (2.0 / exponent)
    upwards = np.sin(angles) ** (2.0 / exponent)
    drop = bottle.body_radius_m - bottle.neck_radius_m
    return np.column_stack(
        [bottle.body_radius_m - drop * inwards, low + bottle.shoulder_m * upwards]
    )
