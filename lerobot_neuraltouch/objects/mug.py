"""Seeded mugs: a conic cup with a rounded rim and a handle towards +x.

Frame: object, [m]. Ranges: everyday mugs; drawn uniformly.
"""

from dataclasses import dataclass
from itertools import pairwise

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
WALL_MARGIN_M = 0.013
"""The ideal wall contact keeps this far from rim and floor: a pad's radius and 3 mm."""
FINGER_REACH_M = 0.085
"""The ideal wall contact is no deeper below the rim, or the palm would meet it."""
WALL_SPIN_RAD = float(np.deg2rad(20.0))
"""A hand that is turned further about the wall's normal, half way down, meets rim or wall with a finger or the palm."""
HANDLE_SLIDE_M = 0.008
"""The ideal contact at a loop's outermost point may lie this far along its centre line."""
ROUND_SHARE = 1.0 / 3.0
"""Part of the mugs that are round where the wall meets the floor."""
FLAT_SHARE = 0.45
"""Largest radius of the edge at the base, as a share of the base's own."""
CORNER_FIT_M = 0.0002
"""Physics pieces follow the rounding between wall and floor inside a mug this well."""
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

    @property
    def inner_round_m(self) -> float:
        """Radius of the corner between wall and floor inside: what leaves between wall and floor a thickness between theirs."""
        return max(0.0, self.base_round_m - max(self.wall_m, self.floor_m))

    @property
    def straight_m(self) -> float:
        """Height above which both faces of the wall are straight up to the rim."""
        rise = 1.0 - float(np.sin(self.taper_rad))
        return max(self.base_round_m * rise, self.floor_m + self.inner_round_m * rise)

    def outer_radius[Number: (float, np.ndarray)](self, z: Number) -> Number:
        """Radius of the outer face of the wall at a height."""
        return self.radius_m + (z - self.height_m) * np.tan(self.taper_rad)

    def middle_radius[Number: (float, np.ndarray)](self, z: Number) -> Number:
        """Radius of the middle of the wall at a height."""
        return self.outer_radius(z) - 0.5 * self.wall_m / np.cos(self.taper_rad)

    def inner_radius[Number: (float, np.ndarray)](self, z: Number) -> Number:
        """Radius of the inner face of the wall at a height."""
        return self.outer_radius(z) - self.wall_m / np.cos(self.taper_rad)


def draw_mug(rng: np.random.Generator, held_out: bool = False) -> Mug:
    """Draw the shape of a mug, with the handle that is held out or with one of the others; a third have a round base.

    No rounding reaches up to the handle, and a flat of more than half the base's radius remains to stand on.
    """
    radius, height = rng.uniform(0.035, 0.050), rng.uniform(0.075, 0.120)
    wall = rng.uniform(0.0025, 0.005)
    # A slender tall mug must not taper to a point: its base keeps 60 % of the rim's radius.
    steepest = np.arctan(0.4 * radius / height)
    taper = min(np.deg2rad(rng.uniform(-5.0, 8.0)), steepest)
    thickness = rng.uniform(0.005, 0.012)
    span = rng.uniform(0.45, 0.75) * height
    margin = span / 2.0 + thickness / 2.0 + 0.006
    droop = rng.uniform(0.0, 0.004)
    floor = rng.uniform(0.004, 0.008)
    is_round = rng.random() >= 1.0 - ROUND_SHARE
    base_round = rng.uniform(0.006, 0.020) if is_round else rng.uniform(0.002, 0.006)
    rim_round = min(rng.uniform(0.001, 0.0025), 0.48 * wall)
    handle = Handle(
        style=handles.HELD_OUT_STYLE if held_out else str(rng.choice(handles.STYLES)),
        reach_m=rng.uniform(0.022, 0.040),
        span_m=span,
        middle_m=rng.uniform(margin + droop, max(height - margin, margin + droop)),
        width_m=rng.uniform(0.008, 0.016),
        thickness_m=thickness,
        roundness=rng.uniform(1.15, 1.4) if held_out else rng.uniform(2.0, 4.0),
        corner_m=rng.uniform(0.0, 0.008),
        droop_m=droop,
    )
    handle_low = handle.middle_m - 0.5 * (span + thickness)
    base_radius = radius - height * float(np.tan(taper))
    return Mug(
        radius_m=radius,
        height_m=height,
        wall_m=wall,
        floor_m=floor,
        taper_rad=taper,
        rim_round_m=rim_round,
        base_round_m=min(base_round, handle_low, FLAT_SHARE * base_radius),
        handle=handle,
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
    pieces = (
        *_wall_pieces(mug),
        *_corner_pieces(mug),
        _floor_piece(mug),
        *map(to_trimesh, handles.hulls(rough)),
    )
    return ObjectModel(
        name=name,
        category="mug",
        mesh=mesh,
        pieces=pieces,
        features={feature.name: feature for feature in _contacts(mug)},
        mass_kg=float(np.clip(DENSITY * mesh.volume, 0.1, 0.4)),
        style=mug.handle.style,
        landmarks=_landmarks(mug),
        top_radius_m=mug.middle_radius(mug.height_m),
    )


def _landmarks(mug: Mug) -> dict[str, np.ndarray]:
    reach, corner = _handle_line(mug)[:, 0].max(), _corner(mug)
    # The outer bar of a right angle follows a leaning wall, so its corner need not be what juts out most.
    corner_x = corner[0] if mug.handle.style == "right_angle" else reach
    return {
        "top": np.array([0.0, 0.0, mug.height_m]),
        "base": np.zeros(3),
        "handle": np.array([reach, 0.0, mug.handle.middle_m - mug.handle.droop_m]),
        "corner": np.array([corner_x, 0.0, corner[1]]),
    }


def _handle_line(mug: Mug) -> np.ndarray:
    """The handle's centre line from the upper to the lower end as (x, z), shape (num_points, 2)."""
    path = handles.centre_line(mug.handle)
    return np.column_stack([mug.middle_radius(path[:, 1]) + path[:, 0], path[:, 1]])


def _corner(mug: Mug) -> np.ndarray:
    """Where the centre lines of upper and outer bar cross (x, z), shape (2,)."""
    z = mug.handle.middle_m + mug.handle.span_m / 2.0 - mug.handle.droop_m
    return np.array([mug.middle_radius(z) + mug.handle.reach_m, z])


def _contacts(mug: Mug) -> list[ContactFeature]:
    bar = [handle_bar(mug)] if mug.handle.style == "right_angle" else []
    return [mug_rim(mug), mug_wall(mug), handle_contact(mug), *bar]


def mug_rim(mug: Mug) -> ContactFeature:
    """The wall between the pads, the left one inside, the rim's edge 3 mm above the pads' centres.

    Target frame: z down along the wall, y out of the cup across the wall. Free along the rim, except where a finger would
    meet the handle.
    """
    return ContactFeature(
        name="mug_rim",
        poses=_around_the_wall(mug, mug.height_m, RIM_DEPTH_M),
        part_thickness_m=mug.wall_m,
        constrained=("y", "z", "rx", "ry", "rz"),
    )


def mug_wall(mug: Mug) -> ContactFeature:
    """The wall between the pads, the left one inside, clear of rim and floor and of the rounding between wall and floor.

    Target frame as at the rim. Free around the wall (as at the rim), up and down, and any spin about the wall's normal; drawn are the
    spins at which a whole hand comes in over the rim.
    """
    high = mug.height_m - WALL_MARGIN_M
    low = max(mug.straight_m + WALL_MARGIN_M, mug.height_m - FINGER_REACH_M)
    half = 0.5 * (high - low) / float(np.cos(mug.taper_rad))
    return ContactFeature(
        name="mug_wall",
        poses=_around_the_wall(mug, 0.5 * (high + low), 0.0),
        part_thickness_m=mug.wall_m,
        constrained=("y", "rx", "rz"),
        slide_m=(-half, half),
        drawn_spin_rad=WALL_SPIN_RAD,
    )


def handle_contact(mug: Mug) -> ContactFeature:
    """`right_angle_handle` or `horizontal_handle`, by the handle's style: pads on the bar's sides, closing along y."""
    return right_angle_handle(mug) if mug.handle.style == "right_angle" else horizontal_handle(mug)


def right_angle_handle(mug: Mug) -> ContactFeature:
    """At the upper corner, where the centre lines of the bars cross; z halves the angle between the bars."""
    path, corner = _handle_line(mug), _corner(mug)
    bars = np.array([path[0], [mug.middle_radius(path[-1, 1]) + mug.handle.reach_m, path[-1, 1]]])
    inward, downward = (bar / np.linalg.norm(bar) for bar in bars - corner)
    return ContactFeature(
        name="right_angle_handle",
        poses=_in_handle_plane(corner[None], (inward + downward)[None]),
        part_thickness_m=mug.handle.width_m,
        spin180=True,
    )


def horizontal_handle(mug: Mug) -> ContactFeature:
    """At the bar's outermost point, z towards the mug, across the bar; free a little along its centre line."""
    path = _handle_line(mug)
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    places = arc[np.argmax(path[:, 0])] + np.linspace(-HANDLE_SLIDE_M, HANDLE_SLIDE_M, 9)
    points = np.column_stack([np.interp(places, arc, column) for column in path.T])
    tangents = np.column_stack(
        [np.interp(places, arc, np.gradient(column, arc)) for column in path.T]
    )
    across = np.column_stack([tangents[:, 1], -tangents[:, 0]])
    return ContactFeature(
        name="horizontal_handle",
        poses=_in_handle_plane(points, across * -np.sign(across[:, :1])),
        part_thickness_m=mug.handle.width_m,
        constrained=("y", "z", "rx", "ry", "rz"),
        spin180=True,
    )


def handle_bar(mug: Mug) -> ContactFeature:
    """In the middle of a right-angle handle's outer bar, z towards the mug, across the bar; free along it."""
    path = _handle_line(mug)
    upper, lower = path[len(path) // 2 - 1], path[len(path) // 2]
    along = (lower - upper) / np.linalg.norm(lower - upper)
    return ContactFeature(
        name="handle_bar",
        poses=_in_handle_plane(0.5 * (upper + lower)[None], np.array([[along[1], -along[0]]])),
        part_thickness_m=mug.handle.width_m,
        constrained=("y", "z", "rx", "ry", "rz"),
        spin180=True,
    )


def _in_handle_plane(points: np.ndarray, approach: np.ndarray) -> np.ndarray:
    """Poses at points (num, 2) in the x-z plane that close along the object's y, with approach directions (num, 2)."""
    z = np.column_stack([approach[:, 0], np.zeros(len(points)), approach[:, 1]])
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    y = np.tile([0.0, 1.0, 0.0], (len(points), 1))
    origins = np.column_stack([points[:, 0], np.zeros(len(points)), points[:, 1]])
    return se3.transform(np.stack([np.cross(y, z), y, z], axis=-1), origins)


def _around_the_wall(mug: Mug, height: float, depth: float) -> np.ndarray:
    """Poses in the wall's middle around the mug, except where a finger would meet the handle, shape (9, 4, 4).

    z down along the wall, y outwards across it.

    Args:
        mug: The shape.
        height: Where on the wall.
        depth: How far below that along the wall.
    """
    lean = mug.taper_rad
    down = np.array([-np.sin(lean), 0.0, -np.cos(lean)])
    outward = np.array([np.cos(lean), 0.0, -np.sin(lean)])
    edge = np.array([mug.middle_radius(height), 0.0, height])
    rotation = np.stack([np.cross(outward, down), outward, down], axis=-1)
    T_front = se3.transform(rotation, edge + depth * down)
    reserved = FINGER_HALF_WIDTH_M + mug.handle.width_m / 2.0 + HANDLE_CLEARANCE_M
    blocked = np.arcsin(reserved / mug.middle_radius(height))
    turns = np.linspace(blocked, 2.0 * np.pi - blocked, 9)
    return se3.transform(Rotation.from_rotvec(turns[:, None] * [0.0, 0.0, 1.0])) @ T_front


def _outline(mug: Mug, num_rim: int = 7, num_base: int = 9) -> np.ndarray:
    """Profile of the cup, counter-clockwise from the centre of the base to the centre of the floor, shape (num_points, 2)."""
    outer = _outer_profile(mug, num_rim, num_base)
    inner = _inner_rim(mug, num_rim)
    corner = _inner_corner(mug, num_base)[::-1]
    return np.concatenate([[[0.0, 0.0]], outer, inner, corner, [[0.0, mug.floor_m]]])


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


def _inner_corner(mug: Mug, num: int) -> np.ndarray:
    """From the floor up to the inner face of the wall, shape (num, 2); (1, 2) where the corner is sharp."""
    bend = mug.inner_round_m
    if bend == 0.0:
        return np.array([[mug.inner_radius(mug.floor_m), mug.floor_m]])
    height = mug.floor_m + bend
    centre_r = mug.inner_radius(height) - bend / np.cos(mug.taper_rad)
    return fillet((centre_r, height), bend, -90.0, -np.rad2deg(mug.taper_rad), num)


def _outer_between(mug: Mug, low: float, high: float) -> np.ndarray:
    """Coarse profile of the outer face between two heights, with a point at each, shape (num_points, 2)."""
    profile = _outer_profile(mug, num_rim=5, num_base=9)
    radius, height = profile.T
    ends = np.array([low, min(high, mug.height_m)])
    corners = np.column_stack([np.interp(ends, height, radius), ends])
    within = (height > low + 1e-9) & (height < ends[1] - 1e-9)
    return np.concatenate([corners[:1], profile[within], corners[1:]])


def _wall_pieces(mug: Mug) -> list[trimesh.Trimesh]:
    """The wall above floor and inner rounding in sectors, whose faces lie evenly about the round wall."""
    corner = _inner_corner(mug, 2)[-1:]
    outer = _outer_between(mug, corner[0, 1], mug.height_m)
    return _sectors(outer, np.concatenate([_inner_rim(mug, num_rim=5), corner]))


def _corner_pieces(mug: Mug) -> list[trimesh.Trimesh]:
    """The rounding between wall and floor: sectors in as many layers as the inner face, which is concave, needs."""
    bend = mug.inner_round_m
    if bend == 0.0:
        return []
    half_step = np.arccos(max(1.0 - CORNER_FIT_M / bend, 0.0))
    num = int(np.ceil((0.5 * np.pi - mug.taper_rad) / (2.0 * half_step)))
    arc = _inner_corner(mug, num + 1)
    pieces = []
    for low, high in pairwise(arc):
        pieces += _sectors(_outer_between(mug, low[1], high[1]), np.stack([low, high]))
    return pieces


def _sectors(outer: np.ndarray, inner: np.ndarray) -> list[trimesh.Trimesh]:
    """Convex pieces around the axis between two profiles, shapes (num_points, 2)."""
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
    return convex_slice(_outer_between(mug, 0.0, mug.floor_m), 2 * NUM_WALL_PIECES)
