"""Mesh files of any origin come out as one clean surface: the same, wherever they come from."""

from pathlib import Path

import numpy as np
import pytest
import trimesh
from numpy.testing import assert_allclose

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.objects.catalogue import make_object
from lerobot_neuraltouch.objects.mesh_file import FORMATS, clean, read_mesh

MUG = make_object("mug", "test", 0).mesh
"""Closed, one body, 10 cm."""


BALL = trimesh.creation.icosphere(4, 0.05)
"""Even triangles, none of them small."""


def soup(mesh: trimesh.Trimesh) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and triangles that share no vertex, as STL has them."""
    return mesh.triangles.reshape(-1, 3).copy(), np.arange(3 * len(mesh.faces)).reshape(-1, 3)


def ball(radius: float, centre: tuple[float, float, float]) -> trimesh.Trimesh:
    return trimesh.creation.icosphere(1, radius).apply_translation(centre)


@pytest.mark.parametrize("ending", [ending for ending in FORMATS if ending != "gltf"])
def test_every_format_gives_the_same_closed_surface(tmp_path: Path, ending: str) -> None:
    """To single precision, in which most formats keep a mesh; STL and textured files come with doubled corners."""
    MUG.export(tmp_path / f"mug.{ending}")
    mesh = read_mesh(tmp_path / f"mug.{ending}")
    assert mesh.is_watertight and mesh.is_winding_consistent and mesh.volume > 0.0
    assert_allclose(mesh.bounds, MUG.bounds, atol=1e-6)
    assert_allclose(mesh.area, MUG.area, rtol=1e-4)


def test_nodes_of_a_scene_are_put_in_place(tmp_path: Path) -> None:
    """A bottle and its cap are two nodes, each with its own transform."""
    scene = trimesh.Scene()
    lid = trimesh.creation.cylinder(0.014, 0.015)
    turned = se3.from_rotvec_pose(np.array([0.1, 0.0, 0.2, np.pi / 2.0, 0.0, 0.0]))
    scene.add_geometry(
        trimesh.creation.cylinder(0.03, 0.12), transform=se3.transform(None, (0.1, 0.0, 0.0))
    )
    scene.add_geometry(lid, transform=turned)
    scene.export(tmp_path / "bottle.glb")
    mesh = read_mesh(tmp_path / "bottle.glb")
    assert_allclose(mesh.bounds[:, 2], [-0.06, 0.214], atol=1e-6)
    assert_allclose(mesh.volume, np.pi * (0.03**2 * 0.12 + 0.014**2 * 0.015), rtol=0.02)


def test_files_of_one_object_are_put_together(tmp_path: Path) -> None:
    ball(0.03, (0.0, 0.0, 0.0)).export(tmp_path / "body.stl")
    ball(0.01, (0.0, 0.0, 0.06)).export(tmp_path / "cap.ply")
    mesh = read_mesh(tmp_path / "body.stl", tmp_path / "cap.ply")
    assert mesh.body_count == 2
    assert_allclose(mesh.bounds[:, 2], [-0.03, 0.07], atol=1e-6)


def test_triangles_are_the_files_own() -> None:
    """Doubled corners and triangles, and triangles without area, go; every other triangle stays exactly as it is."""
    rng = np.random.default_rng(0)
    vertices, faces = soup(BALL)
    extra = faces[rng.integers(len(faces), size=200)]
    flat = np.stack([faces[:50, 0], faces[:50, 1], faces[:50, 1]], axis=1)
    mesh = clean(vertices, rng.permutation(np.concatenate([faces, extra[:, ::-1], flat])))
    assert mesh.is_watertight
    assert_allclose(np.sort(mesh.area_faces), np.sort(BALL.area_faces), rtol=1e-9)
    found, wanted = (m.triangles_center[np.lexsort(m.triangles_center.T)] for m in (mesh, BALL))
    assert_allclose(found, wanted, atol=1e-12)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_triangles_face_outwards_however_they_came(share: float) -> None:
    """Two bodies, each with a share of its triangles turned."""
    rng = np.random.default_rng(0)
    both = trimesh.util.concatenate([MUG, ball(0.02, (0.2, 0.0, 0.0))])
    vertices, faces = soup(both)
    wrong = rng.random(len(faces)) < share
    faces[wrong] = faces[wrong, ::-1]
    mesh = clean(vertices, faces)
    assert mesh.is_winding_consistent
    assert_allclose(
        [body.volume for body in mesh.split()], [b.volume for b in both.split()], rtol=1e-4
    )


def test_a_strip_with_one_side_only_stays_as_it_is() -> None:
    """A Moebius strip cannot face outwards; it is still a surface that cameras see."""
    angle = np.linspace(0.0, 2.0 * np.pi, 41)[:-1]
    across = np.stack(
        [
            np.cos(angle / 2.0) * np.cos(angle),
            np.cos(angle / 2.0) * np.sin(angle),
            np.sin(angle / 2.0),
        ],
        1,
    )
    middle = 0.05 * np.stack([np.cos(angle), np.sin(angle), np.zeros(40)], axis=1)
    vertices = np.concatenate([middle - 0.01 * across, middle + 0.01 * across])
    i = np.arange(39)
    strip = np.concatenate([np.stack([i, i + 1, i + 40], 1), np.stack([i + 1, i + 41, i + 40], 1)])
    twisted = np.array([[39, 40, 79], [40, 0, 79]])  # joined upside down
    mesh = clean(vertices, np.concatenate([strip, twisted]))
    assert len(mesh.faces) == 80


@pytest.mark.parametrize("far", [0.003, 0.05, 5.0])
def test_strays_do_not_move_the_bounding_box(far: float) -> None:
    """Crumbs of 2 mm around a mug are left out, 3 mm away from it or 5 m; the mug's triangles stay."""
    low, high = MUG.bounds
    places = [(0.0, 0.0, low[2] - far), (high[0] + far, 0.0, 0.05), (0.0, high[1] + far, 0.2)]
    crumbs = [ball(0.001, place) for place in places]
    mesh = clean(*soup(trimesh.util.concatenate([*crumbs, MUG])))
    assert_allclose(mesh.bounds, MUG.bounds, atol=1e-6)
    assert mesh.is_watertight
    assert_allclose(mesh.area, MUG.area, rtol=1e-5)


def test_parts_that_belong_to_the_object_stay() -> None:
    """A knob as small as a crumb that touches the wall between its corners, and a lid held above the body."""
    box = trimesh.creation.box([0.08, 0.08, 0.1])
    knob = ball(0.001, (0.0407, 0.01, 0.01))
    lid = trimesh.creation.cylinder(0.02, 0.01).apply_translation([0.0, 0.0, 0.09])
    mesh = clean(*soup(trimesh.util.concatenate([box, knob, lid])))
    assert mesh.body_count == 3


def test_triangles_that_nearly_touch_are_one_object() -> None:
    """Every triangle is moved by up to 0.05 mm, so none shares a vertex with another and each is smaller than a crumb."""
    vertices, faces = soup(MUG)
    vertices += np.repeat(np.random.default_rng(0).uniform(-5e-5, 5e-5, (len(faces), 3)), 3, axis=0)
    assert_allclose(clean(vertices, faces).area, MUG.area, rtol=1e-6)


def test_what_is_no_surface_is_refused(tmp_path: Path) -> None:
    vertices, faces = np.asarray(BALL.vertices).copy(), np.asarray(BALL.faces)
    unused = np.concatenate([vertices, [[np.nan] * 3]])
    assert len(clean(unused, faces).faces) == len(faces)  # no triangle uses it
    vertices[7] = np.nan
    with pytest.raises(ValueError, match=rf"1 of {len(vertices)} vertices are NaN"):
        clean(vertices, faces)
    with pytest.raises(ValueError, match="name vertices 0 to"):
        clean(np.asarray(BALL.vertices)[:10], faces)
    with pytest.raises(ValueError, match="none of its triangles has an area"):
        clean(np.outer(np.arange(3.0), [1.0, 2.0, 3.0]), np.array([[0, 1, 2], [0, 0, 1]]))
    with pytest.raises(FileNotFoundError, match="There is no mesh"):
        read_mesh(tmp_path / "nothing.stl")
    (tmp_path / "mug.step").write_text("solid")
    with pytest.raises(ValueError, match=r"not read here\. Available: obj, stl, ply, glb"):
        read_mesh(tmp_path / "mug.step")
    trimesh.PointCloud(vertices[:5]).export(tmp_path / "cloud.ply")
    with pytest.raises(ValueError, match="holds no triangles; a cloud of points"):
        read_mesh(tmp_path / "cloud.ply")
