"""Seeded mugs: a conic cup with a rounded rim and a handle towards +x.

Frame: object, [m]. Ranges: everyday mugs; drawn uniformly.
"""

from dataclasses import dataclass

import manifold3d
import numpy as np
import trimesh
from scipy.spatial.transform import Rotation

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.objects import handle as handles
from lerobot_neuraltouch.objects.contact import ContactFeature
from lerobot_neuraltouch.objects.handle import Handle
from lerobot_neuraltouch.objects.model import ObjectModel, check_solid, to_trimesh
from lerobot_neuraltouch.objects.revolve import (
    convex_slice,
    even_radius,
    fillet,
    hull,
    revolve,
    ring,
)

NUM_SIDES = 144
"""Of the exact mesh: facets stay within 0.012 mm of the round wall."""
NUM_WALL_PIECES = 36
"""For physics: inner faces stay within 0.08 mm of the round wall."""
NUM_HANDLE_PIECES = 16
RIM_DEPTH_M = 0.003
"""The ideal rim contact is this far below the rim's edge."""
FINGER_HALF_WIDTH_M = 0.0105
HANDLE_CLEARANCE_M = 0.006
"""A finger centred on the rim keeps this far from the handle's side."""
DENSITY = 1900.0
"""Of stoneware, glaze and pores included [kg/m3]."""


@dataclass(frozen=True, kw_only=True)
class Mug:
    """Shape of a mug."""

    radius_m: float
    """Outer radius at the rim."""
    height_m: float
    wall_m: float
    """Thickness of the wall, across it."""
    floor_m: float
    taper_rad: float
    """Lean of the wall outwards; negative where the mug narrows towards the rim."""
    rim_round_m: float
    """Radius of the rim's rounded edges, at most half the wall."""
    base_round_m: float
    """Radius of the outer edge at the base."""
    handle: Handle

    def outer_radius[Number: (float, np.ndarray)](self, z: Number) -> Number:
        """Radius of the outer face of the wall at a height."""
        return self.radius_m + (z - self.height_m) * np.tan(self.taper_rad)

    def middle_radius[Number: (float, np.ndarray)](self, z: Number) -> Number:
        """Radius of the middle of the wall at a height."""
        return self.outer_radius(z) - 0.5 * self.wall_m / np.cos(self.taper_rad)

    def inner_radius[Number: (float, np.ndarray)](self, z: Number) -> Number:
        """Radius of the inner face of the wall at a height."""
        return self.outer_radius(z) - self.wall_m / np.cos(self.taper_rad)


def draw_mug(rng: np.random.Generator) -> Mug:
    """Draw the shape of a mug."""
    radius, height = rng.uniform(0.035, 0.050), rng.uniform(0.075, 0.120)
    wall = rng.uniform(0.0025, 0.005)
    # A slender tall mug must not taper to a point: its base keeps 60 % of the rim's radius.
    steepest = np.arctan(0.4 * radius / height)
    taper = min(np.deg2rad(rng.uniform(-5.0, 8.0)), steepest)
    thickness = rng.uniform(0.005, 0.012)
    span = rng.uniform(0.45, 0.75) * height
    margin = span / 2.0 + thickness / 2.0 + 0.006
    droop = rng.uniform(0.0, 0.004)
    return Mug(
        radius_m=radius,
        height_m=height,
        wall_m=wall,
        floor_m=rng.uniform(0.004, 0.008),
        taper_rad=taper,
        rim_round_m=min(rng.uniform(0.001, 0.0025), 0.48 * wall),
        base_round_m=rng.uniform(0.002, 0.006),
        handle=Handle(
            style=str(rng.choice(handles.STYLES)),
            reach_m=rng.uniform(0.022, 0.040),
            span_m=span,
            middle_m=rng.uniform(margin + droop, max(height - margin, margin + droop)),
            width_m=rng.uniform(0.008, 0.016),
            thickness_m=thickness,
            roundness=rng.uniform(2.0, 4.0),
            corner_m=rng.uniform(0.0, 0.008),
            droop_m=droop,
        ),
    )


def make_mug(mug: Mug, name: str) -> ObjectModel:
    """Build a mug's mesh, physics pieces and contacts."""
    rings = handles.sections(mug.handle, lambda y, z: np.sqrt(mug.middle_radius(z) ** 2 - y**2))
    bars = handles.hulls(rings)
    cup = revolve(_outline(mug), NUM_SIDES)
    # The handle ends in the middle of the wall, so it cannot enter the cup.
    mesh = to_trimesh(manifold3d.Manifold.batch_boolean([cup, *bars], manifold3d.OpType.Add))
    check_solid(mesh, name, genus=1)
    rough = rings[
        np.unique(
            np.linspace(0, len(rings) - 1, min(len(rings), NUM_HANDLE_PIECES + 1))
            .round()
            .astype(int)
        )
    ]
    pieces = (*_wall_pieces(mug), _floor_piece(mug), *map(to_trimesh, handles.hulls(rough)))
    return ObjectModel(
        name=name,
        category="mug",
        mesh=mesh,
        pieces=pieces,
        features={"mug_rim": mug_rim(mug)},
        mass_kg=float(np.clip(DENSITY * mesh.volume, 0.1, 0.4)),
        style=mug.handle.style,
    )


def mug_rim(mug: Mug) -> ContactFeature:
    """The wall between the pads, the left one inside, the rim's edge 3 mm above the pads' centres.

    Target frame: z down along the wall, y out of the cup across the wall. Free along the rim, except where a finger would
    meet the handle.
    """
    lean = mug.taper_rad
    down = np.array([-np.sin(lean), 0.0, -np.cos(lean)])
    outward = np.array([np.cos(lean), 0.0, -np.sin(lean)])
    edge = np.array([mug.middle_radius(mug.height_m), 0.0, mug.height_m])
    rotation = np.stack([np.cross(outward, down), outward, down], axis=-1)
    T_front = se3.transform(rotation, edge + RIM_DEPTH_M * down)
    reserved = FINGER_HALF_WIDTH_M + mug.handle.width_m / 2.0 + HANDLE_CLEARANCE_M
    blocked = np.arcsin(reserved / mug.middle_radius(mug.height_m))
    turns = np.linspace(blocked, 2.0 * np.pi - blocked, 9)
    about_z = se3.transform(Rotation.from_rotvec(turns[:, None] * [0.0, 0.0, 1.0]))
    return ContactFeature(
        name="mug_rim",
        poses=about_z @ T_front,
        part_thickness_m=mug.wall_m,
        constrained=("y", "z", "rx", "ry", "rz"),
    )


def _outline(mug: Mug, num_rim: int = 7, num_base: int = 5) -> np.ndarray:
    """Profile of the cup, counter-clockwise from the centre of the base to the centre of the floor, shape (num_points, 2)."""
    outer = _outer_profile(mug, num_rim, num_base)
    inner = _inner_rim(mug, num_rim)
    corner = [mug.inner_radius(mug.floor_m), mug.floor_m]
    return np.concatenate([[[0.0, 0.0]], outer, inner, [corner, [0.0, mug.floor_m]]])


def _outer_profile(mug: Mug, num_rim: int, num_base: int) -> np.ndarray:
    """Outer face from the base's edge to the rim's outer rounding."""
    lean, bend = np.rad2deg(mug.taper_rad), mug.base_round_m
    centre_r = mug.outer_radius(bend) - bend / np.cos(mug.taper_rad)
    base = fillet((centre_r, bend), bend, -90.0, -lean, num_base)
    round_ = mug.rim_round_m
    height = mug.height_m - round_
    rim_r = mug.outer_radius(height) - round_ / np.cos(mug.taper_rad)
    return np.concatenate([base, fillet((rim_r, height), round_, -lean, 90.0, num_rim)])


def _inner_rim(mug: Mug, num_rim: int) -> np.ndarray:
    """The rim's inner rounding, from the top inwards and down."""
    round_ = mug.rim_round_m
    height = mug.height_m - round_
    centre_r = mug.inner_radius(height) + round_ / np.cos(mug.taper_rad)
    return fillet((centre_r, height), round_, 90.0, 180.0 - np.rad2deg(mug.taper_rad), num_rim)


def _split_at_floor(mug: Mug) -> tuple[np.ndarray, np.ndarray]:
    """Coarse profile of the outer face below and above the floor's height, each with a point at that height."""
    profile = _outer_profile(mug, num_rim=5, num_base=7)
    below = profile[:, 1] < mug.floor_m
    at_floor = [[np.interp(mug.floor_m, profile[:, 1], profile[:, 0]), mug.floor_m]]
    return np.concatenate([profile[below], at_floor]), np.concatenate([at_floor, profile[~below]])


def _wall_pieces(mug: Mug) -> list[trimesh.Trimesh]:
    """The wall above the floor in sectors, whose faces lie evenly about the round wall."""
    outer = _split_at_floor(mug)[1]
    inner = np.concatenate(
        [_inner_rim(mug, num_rim=5), [[mug.inner_radius(mug.floor_m), mug.floor_m]]]
    )
    width = 2.0 * np.pi / NUM_WALL_PIECES
    # The outer face gets a corner in the middle too; the inner one is concave and cannot have it.
    outer_r = even_radius(outer[:, 0], 2 * NUM_WALL_PIECES)
    inner_r = even_radius(inner[:, 0], NUM_WALL_PIECES)
    pieces = []
    for start in width * np.arange(NUM_WALL_PIECES):
        ends = start + np.array([0.0, width / 2.0, width])
        corners = ring(inner_r, inner[:, 1], ends[[0, 2]])
        pieces.append(hull(np.concatenate([ring(outer_r, outer[:, 1], ends), corners])))
    return pieces


def _floor_piece(mug: Mug) -> trimesh.Trimesh:
    """The floor as a disc that reaches to the outer face."""
    return convex_slice(_split_at_floor(mug)[0], 2 * NUM_WALL_PIECES)
