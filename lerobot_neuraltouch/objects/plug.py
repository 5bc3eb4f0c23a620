"""Seeded plugs: what a bolt's head and neck are above a panel, with prongs below it in place of the rest of the shaft.

Frame: object, [m]: z upwards along the axis, origin between the prongs' tips. The contact is `bolt_head`, so a plug is grasped as a
bolt is.
"""

from dataclasses import dataclass, replace

import manifold3d
import numpy as np
import trimesh

from lerobot_neuraltouch.objects.bolt import Bolt, bolt_head, draw_bolt, make_head
from lerobot_neuraltouch.objects.catalogue import CATEGORIES, SPLITS
from lerobot_neuraltouch.objects.model import ObjectModel, check_solid, to_trimesh
from lerobot_neuraltouch.objects.revolve import hull
from lerobot_neuraltouch.objects.solid import to_manifold

CHAMFER_M = 0.0005
"""Of the prongs' tips."""
DENSITY = 1400.0
"""Of a moulded plug [kg/m3]."""


@dataclass(frozen=True, kw_only=True)
class Prong:
    """A straight prong."""

    outline: np.ndarray
    """Convex section, counter-clockwise [m], shape (num_corners, 2)."""

    def solid(self, length_m: float) -> trimesh.Trimesh:
        """From its chamfered tip at z = 0 up."""
        middle = self.outline.mean(axis=0)
        reach = np.linalg.norm(self.outline - middle, axis=1, keepdims=True)
        tip = middle + (self.outline - middle) * (1.0 - CHAMFER_M / reach)
        return hull(
            np.concatenate(
                [_at(tip, 0.0), _at(self.outline, CHAMFER_M), _at(self.outline, length_m)]
            )
        )


@dataclass(frozen=True, kw_only=True)
class PlugKind:
    """One standard of plugs."""

    name: str
    prongs: tuple[Prong, ...]
    prong_m: float
    """Length of the prongs."""


def _disc(x: float, diameter_m: float, num: int = 24) -> np.ndarray:
    angles = 2.0 * np.pi * np.arange(num) / num
    return np.array([x, 0.0]) + 0.5 * diameter_m * np.column_stack([np.cos(angles), np.sin(angles)])


def _rectangle(width_m: float, height_m: float) -> np.ndarray:
    corners = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    return 0.5 * corners * (width_m, height_m)


PLUG_KINDS = {
    kind.name: kind
    for kind in (
        # pins of 4 mm, 18.6 mm apart, as on two-pin mains plugs (EN 50075)
        PlugKind(
            name="plug",
            prongs=(Prong(outline=_disc(-0.0093, 0.004)), Prong(outline=_disc(0.0093, 0.004))),
            prong_m=0.019,
        ),
        # the shell of a USB-A plug: 12 mm x 4.5 mm, 11.75 mm long
        PlugKind(name="usb", prongs=(Prong(outline=_rectangle(0.012, 0.0045)),), prong_m=0.01175),
    )
}


def plug_neck(kind: PlugKind, rng: np.random.Generator) -> Bolt:
    """Draw head and neck: those of a bolt, the neck wide enough to carry the prongs."""
    bolt = draw_bolt(rng)
    widest = max(float(np.linalg.norm(p.outline, axis=1).max()) for p in kind.prongs)
    diameter = max(bolt.diameter_m, 2.0 * widest + 0.002)
    return replace(
        bolt,
        diameter_m=diameter,
        head_width_m=max(bolt.head_width_m, diameter + 0.004),
        shaft_m=kind.prong_m + rng.uniform(0.018, 0.030),
    )


def make_plug(kind_name: str, split: str, index: int) -> ObjectModel:
    """Build plug number `index` of a kind and a split, always the same one.

    Raises:
        ValueError: If kind or split do not exist, or the index is negative.
    """
    if kind_name not in PLUG_KINDS:
        raise ValueError(f"Unknown plug '{kind_name}'. Available: {', '.join(PLUG_KINDS)}.")
    if split not in SPLITS:
        raise ValueError(f"Unknown split '{split}'. Available: {', '.join(SPLITS)}.")
    if index < 0:
        raise ValueError(f"An object's index must be at least 0, got {index}.")
    kind = PLUG_KINDS[kind_name]
    stream = len(CATEGORIES) + list(PLUG_KINDS).index(kind_name)
    rng = np.random.default_rng(np.random.SeedSequence((stream, SPLITS.index(split), index)))
    return _build(kind, plug_neck(kind, rng), f"{kind_name}-{split}-{index:04d}")


def _build(kind: PlugKind, bolt: Bolt, name: str) -> ObjectModel:
    neck = _neck(kind, bolt)
    head = to_trimesh(make_head(bolt))
    prongs = [prong.solid(kind.prong_m + 1e-5) for prong in kind.prongs]
    solids = [to_manifold(part.vertices, part.faces) for part in (neck, head, *prongs)]
    mesh = to_trimesh(manifold3d.Manifold.batch_boolean(solids, manifold3d.OpType.Add))
    check_solid(mesh, name, genus=0)
    return ObjectModel(
        name=name,
        category=kind.name,
        mesh=mesh,
        pieces=(hull(head.vertices), neck, *prongs),
        features={"bolt_head": bolt_head(bolt)},
        mass_kg=float(np.clip(DENSITY * mesh.volume, 0.02, 0.2)),
        style=bolt.head,
        landmarks={"top": np.array([0.0, 0.0, bolt.height_m]), "base": np.zeros(3)},
        top_radius_m=0.5 * bolt.head_width_m,
    )


def _neck(kind: PlugKind, bolt: Bolt) -> trimesh.Trimesh:
    ring = _disc(0.0, bolt.diameter_m, 96)
    return hull(np.concatenate([_at(ring, kind.prong_m), _at(ring, bolt.shaft_m + 1e-5)]))


def _at(outline: np.ndarray, z: float) -> np.ndarray:
    return np.column_stack([outline, np.full(len(outline), z)])
