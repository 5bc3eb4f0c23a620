"""Physics pieces of any surface: convex, few, on the surface, and what is open stays open."""

from collections.abc import Callable

import numpy as np
import pytest
import trimesh
from numpy.testing import assert_allclose

from lerobot_neuraltouch.objects.catalogue import make_object
from lerobot_neuraltouch.objects.convex import MAX_PIECES, convex_pieces
from lerobot_neuraltouch.objects.mesh_file import clean
from lerobot_neuraltouch.objects.model import to_trimesh
from lerobot_neuraltouch.objects.scan import scan_like
from lerobot_neuraltouch.objects.solid import HALF_SHEET_M, make_solid, march, to_manifold
from lerobot_neuraltouch.objects.views import make_scene, to_tensor

IN_THE_CUP = np.array([0.0, 0.0, 0.05])


def cup(wall: float = 0.004) -> trimesh.Trimesh:
    """80 mm wide, 90 mm high, 12 corners around."""
    r, h = 0.04, 0.09
    profile = [[0.0, 0.0], [r, 0.0], [r, h], [r - wall, h], [r - wall, 0.006], [0.0, 0.006]]
    return trimesh.creation.revolve(profile, sections=12)


def only(mesh: trimesh.Trimesh, kept: np.ndarray) -> trimesh.Trimesh:
    return clean(np.asarray(mesh.vertices), np.asarray(mesh.faces)[kept])


def without_base() -> trimesh.Trimesh:
    mesh = cup()
    return only(mesh, mesh.triangles_center[:, 2] > 1e-6)


def with_small_holes() -> trimesh.Trimesh:
    """One triangle in thirty is missing from a fine mesh."""
    mesh = cup().subdivide().subdivide().subdivide()
    return only(mesh, np.random.default_rng(0).random(len(mesh.faces)) > 0.03)


def of_overlapping_bodies() -> trimesh.Trimesh:
    """A ring and a floor that reach into each other."""
    ring = trimesh.creation.annulus(0.036, 0.04, 0.09, sections=12).apply_translation([0, 0, 0.045])
    floor = trimesh.creation.cylinder(0.038, 0.006, sections=12).apply_translation([0, 0, 0.003])
    return trimesh.util.concatenate([ring, floor])


def cracked() -> trimesh.Trimesh:
    """Every triangle is moved by up to 0.1 mm: nothing is closed, and none has a neighbour."""
    mesh = cup().subdivide()
    moved = mesh.triangles + np.random.default_rng(0).uniform(-1e-4, 1e-4, (len(mesh.faces), 1, 3))
    return clean(moved.reshape(-1, 3), np.arange(3 * len(moved)).reshape(-1, 3))


def of_one_sheet() -> trimesh.Trimesh:
    """No thickness: the outside of the cup, open at the top."""
    mesh = trimesh.creation.cylinder(0.04, 0.09, sections=12).apply_translation([0, 0, 0.045])
    return only(mesh, mesh.face_normals[:, 2] < 0.5)


def distances(pieces: tuple[trimesh.Trimesh, ...], points: np.ndarray) -> np.ndarray:
    """Signed distance of points (num, 3) to the union of convex pieces [m], at most that outside."""
    query = to_tensor(points)
    each = [make_scene(piece).compute_signed_distance(query).numpy() for piece in pieces]
    return np.min(each, axis=0)


def surface_points(mesh: trimesh.Trimesh, num: int = 1500) -> np.ndarray:
    return trimesh.sample.sample_surface(mesh, num, seed=0)[0]


@pytest.mark.parametrize(
    ("make", "tolerance_m"),
    [
        (cup, 0.0003),
        (without_base, 0.0003),
        (with_small_holes, 0.0006),
        (of_overlapping_bodies, 0.0003),
        pytest.param(cracked, 0.0007, marks=pytest.mark.slow),
        pytest.param(of_one_sheet, HALF_SHEET_M + 0.0004, marks=pytest.mark.slow),
    ],
)
def test_a_cup_of_any_make_keeps_wall_and_hollow(
    make: Callable[[], trimesh.Trimesh], tolerance_m: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closed, torn, cracked or a sheet: convex pieces lie on the surface on both sides, and the cup can be reached into."""
    monkeypatch.setattr("lerobot_neuraltouch.objects.solid.STEP_M", 0.002)  # quicker
    mesh = make()
    pieces = convex_pieces(mesh)
    assert len(pieces) <= MAX_PIECES
    assert all(piece.is_convex and piece.is_watertight for piece in pieces)
    assert np.quantile(distances(pieces, surface_points(mesh)), 0.99) < tolerance_m
    corners = np.concatenate([piece.vertices for piece in pieces])
    inner = np.concatenate([surface_points(piece, 40) for piece in pieces])
    whole = trimesh.convex.convex_hull(mesh)
    outside = make_scene(whole).compute_signed_distance(to_tensor(corners)).numpy()
    assert outside.max() < tolerance_m
    radius, height = np.linalg.norm(inner[:, :2], axis=1), inner[:, 2]
    in_the_hollow = (height > 0.012) & (radius < 0.036 * np.cos(np.pi / 12.0) - 2.0 * tolerance_m)
    assert not in_the_hollow.any()
    assert distances(pieces, IN_THE_CUP[None])[0] > 0.03


def test_a_torn_mug_becomes_the_whole_mug_again() -> None:
    """One triangle in a hundred and the base are missing: volume and number of handles are the whole mug's."""
    whole = make_object("mug", "train", 0).mesh
    fine = to_trimesh(to_manifold(whole.vertices, whole.faces).refine_to_length(0.004))
    present = np.random.default_rng(0).random(len(fine.faces)) > 0.01
    solid = make_solid(only(fine, present & (fine.triangles_center[:, 2] > 1e-6)))
    assert solid.genus() == 1
    assert_allclose(solid.volume(), whole.volume, rtol=0.02)


def test_bodies_that_overlap_are_united_and_cavities_filled() -> None:
    inner = trimesh.creation.box([0.02, 0.02, 0.02])
    outer = trimesh.creation.box([0.04, 0.04, 0.04])
    beside = trimesh.creation.box([0.04, 0.04, 0.04]).apply_translation([0.02, 0.0, 0.0])
    solid = make_solid(trimesh.util.concatenate([outer, inner, beside]))
    assert_allclose(solid.volume(), 0.04 * 0.04 * 0.06, rtol=1e-6)


def test_pieces_do_not_depend_on_a_corner_being_sharp() -> None:
    """A box is one piece, a step of two boxes two."""
    assert len(convex_pieces(trimesh.creation.box([0.06, 0.06, 0.09]))) == 1
    profile = [[0.0, 0.0], [0.03, 0.0], [0.03, 0.08], [0.012, 0.08], [0.012, 0.1], [0.0, 0.1]]
    assert len(convex_pieces(trimesh.creation.revolve(profile, sections=32))) == 2


def test_march_closes_every_sign_change() -> None:
    """Any field gives a closed surface that faces outwards; a ball's has the ball's volume."""
    grid = np.stack(np.meshgrid(*[np.arange(-12.0, 13.0)] * 3, indexing="ij"), axis=-1)
    ball = np.linalg.norm(grid, axis=-1) - 9.3
    noise = np.random.default_rng(0).standard_normal(ball.shape)
    noise[[0, -1]] = noise[:, [0, -1]] = noise[:, :, [0, -1]] = 1.0
    for field, volume in ((ball, 4.0 / 3.0 * np.pi * 9.3**3), (noise, None)):
        edges, faces = march(field)
        ends = np.stack(np.unravel_index(edges, field.shape), axis=-1).astype(np.float64)
        values = field.ravel()[edges]
        share = (values[:, 0] / (values[:, 0] - values[:, 1]))[:, None]
        mesh = trimesh.Trimesh(ends[:, 0] + share * (ends[:, 1] - ends[:, 0]), faces, process=False)
        assert mesh.is_watertight and mesh.is_winding_consistent
        if volume is not None:
            assert_allclose(mesh.volume, volume, rtol=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("category", ["mug", "bottle", "bolt"])
def test_a_scan_gets_few_pieces_that_follow_it(category: str) -> None:
    """50,000 triangles, noise of 0.3 mm, holes, no base: pieces within three sigma of the clean surface."""
    model = make_object(category, "test", 0)
    scan = scan_like(model.mesh, np.random.default_rng(0))
    pieces = convex_pieces(clean(np.asarray(scan.vertices), np.asarray(scan.faces)))
    assert len(pieces) <= MAX_PIECES
    assert np.quantile(distances(pieces, surface_points(model.mesh)), 0.99) < 0.001
    inner = np.concatenate([surface_points(piece, 60) for piece in pieces])
    sticks_out = make_scene(model.mesh).compute_signed_distance(to_tensor(inner)).numpy()
    assert np.quantile(sticks_out, 0.99) < 0.001
