"""Users' meshes become objects; mistakes in their YAML are explained."""

from pathlib import Path
from typing import Any

import numpy as np
import open3d as o3d
import pytest
import trimesh
import yaml
from numpy.testing import assert_allclose
from scipy.spatial.transform import Rotation

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.features import FEATURES
from lerobot_neuraltouch.objects import user
from lerobot_neuraltouch.objects.catalogue import make_object, make_object_with
from lerobot_neuraltouch.objects.export import export_object
from lerobot_neuraltouch.objects.model import ObjectModel
from lerobot_neuraltouch.objects.scan import scan_like
from lerobot_neuraltouch.objects.user import load_object
from lerobot_neuraltouch.objects.views import make_scene, orbit_camera, render_depth, to_tensor
from lerobot_neuraltouch.pointcloud import D435, deproject

RIM_POSE = [38.0, 0.0, 87.0, 0.0, 0.0, 0.0]


def rim_pose() -> list[float]:
    """On the wall at 38 mm, 3 mm below the rim: z down, y outwards (x), in the mesh's frame and millimetres."""
    rotation = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
    return se3.to_rotvec_pose(se3.transform(rotation, (38.0, 0.0, 87.0))).tolist()


def rim(**changes: Any) -> dict[str, Any]:
    """A sound entry of the ring's contact, but for the changes."""
    return {"poses": [rim_pose()], "part_thickness_m": 0.004} | changes


def write_object(folder: Path, shape: trimesh.Trimesh | None = None, **changes: Any) -> Path:
    if shape is None:
        shape = trimesh.creation.annulus(36.0, 40.0, 90.0, sections=24)
        shape.apply_translation([0.0, 0.0, 45.0])
    shape.export(folder / "cup.stl")
    data = {
        "mesh": "cup.stl", "scale": 0.001, "category": "mug", "features": {"mug_rim": rim()},
    }  # fmt: skip
    path = folder / "cup.yaml"
    path.write_text(yaml.safe_dump({k: v for k, v in (data | changes).items() if v is not None}))
    return path


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> ObjectModel:
    return load_object(write_object(tmp_path_factory.mktemp("ring")))


def test_a_mesh_in_millimetres_becomes_an_object(ring: ObjectModel) -> None:
    assert ring.name == "cup"
    assert ring.category == "mug"
    assert_allclose(ring.mesh.extents, [0.08, 0.08, 0.09], atol=1e-4)
    assert_allclose(ring.mesh.bounds[0, 2], 0.0, atol=1e-9)
    rim = ring.feature("mug_rim")
    assert rim.part_thickness_m == 0.004
    error = rim.nearest(rim.poses[0] @ se3.transform(None, (0.003, 0.001, 0.0)))
    assert_allclose(error.pos_error_m, 0.001, atol=1e-9)  # x is free at a rim


def test_poses_move_with_the_mesh_to_the_object_frame(tmp_path: Path) -> None:
    """A block that stands elsewhere in its file: mesh and poses are moved alike."""
    mesh = trimesh.creation.box([80.0, 80.0, 90.0])
    mesh.apply_translation([100.0, 50.0, 245.0])
    T = se3.from_rotvec_pose(np.array(rim_pose()))
    T[:3, 3] += [100.0, 50.0, 200.0]
    feature = {"poses": [T.round(5).tolist()], "part_thickness_m": 0.004}
    model = load_object(write_object(tmp_path, mesh, features={"mug_rim": feature}))
    assert_allclose(model.feature("mug_rim").poses[0][:3, 3], [0.038, 0.0, 0.087], atol=1e-6)


def test_pieces_of_a_solid_leave_its_hole_free(ring: ObjectModel) -> None:
    """A ring cut into convex pieces: the wall is covered, and nothing sticks out by more than 0.4 mm."""
    assert all(piece.is_convex for piece in ring.pieces)
    scene = make_scene(ring.mesh)
    corners = np.concatenate([piece.vertices.mean(axis=0)[None] for piece in ring.pieces])
    assert scene.compute_occupancy(o3d.core.Tensor(corners.astype(np.float32))).numpy().all()
    merged = trimesh.util.concatenate(ring.pieces)
    samples = trimesh.sample.sample_surface(merged, 3000, seed=0)[0].astype(np.float32)
    assert scene.compute_signed_distance(o3d.core.Tensor(samples)).numpy().max() < 0.0004
    assert sum(piece.volume for piece in ring.pieces) > 0.999 * ring.mesh.volume


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"category": "cup"}, "unknown category 'cup'. Available: mug, bottle"),
        ({"features": {"lid": {}}}, "unknown feature 'lid' of a mug. Available: handle_bar, horizontal_handle, mug_rim"),
        ({"features": {}}, "at least one of handle_bar, horizontal_handle, mug_rim"),
        ({"features": {"mug_rim": {"poses": [RIM_POSE]}}}, "missing part_thickness_m"),
        ({"features": {"mug_rim": {"poses": [[1, 2]], "part_thickness_m": 0.004}}}, "6 finite numbers"),
        ({"features": {"mug_rim": {"poses": [], "part_thickness_m": 0.004}}}, "at least one pose"),
        (
            {"features": {"mug_rim": {"poses": [np.ones((4, 4)).tolist()], "part_thickness_m": 0.004}}},
            "not a rotation",
        ),
        (
            {"features": {"mug_rim": {"poses": [RIM_POSE], "part_thickness_m": "thin"}}},
            "positive number",
        ),
        ({"scale": 1.0}, "is 90 m long at scale 1.*likely it is 0.001, the mesh in millimetres"),
        ({"scale": 1e-5}, "is 0.0009 m long"),
        ({"scale": -1}, "scale must be a positive number"),
        ({"scale": "big"}, "scale must be a positive number, got .big."),
        ({"scale": 12.0}, "is 1080 m long at scale 12"),
        ({"up": "w"}, "unknown up .w.. Available: x, -x, y"),
        ({"up": ["z"]}, "unknown up"),
        ({"mesh": 3}, "mesh must be a file name or a list of them, got"),
        ({"features": {"mug_rim": rim(part_thickness_m=4.0)}}, "is 4, but the fingers open 0.085 m; it is in metres"),
        ({"features": {"mug_rim": rim(poses=[[0.038, 0.0, 0.087, 0.0, 0.0, 0.0]])}}, "pose 0 .* a pad would touch .* mm away"),
        ({"features": {"mug_rim": rim(poses=[[38.0, 0.0, 87.0, np.pi, 0.0, 0.0]])}}, "meet a surface in 0 of 2 places"),
        ({"features": {"mug_rim": rim(constrained="y")}}, "constrained must be a list"),
        ({"features": {"mug_rim": rim(constrained=["w"])}}, "cup.yaml.*unknown direction .w."),
        ({"features": {"mug_rim": rim(connected="maybe")}}, "connected must be true or false"),
        ({"features": {"mug_rim": rim(slide_m=3)}}, "slide_m must be two numbers"),
        ({"mesh": None}, "missing mesh"),
        ({"colour": "red"}, "unknown key 'colour'. Available: mesh, scale, up, category, features"),
    ],
)  # fmt: skip
def test_mistakes_are_explained(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_object(write_object(tmp_path, **changes))


def test_a_mesh_without_convex_pieces_is_refused_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(mesh: object) -> None:
        raise ValueError("The mesh encloses nothing solid.")

    monkeypatch.setattr(user, "convex_pieces", fails)
    with pytest.raises(ValueError, match=r"cup.yaml': .*encloses nothing solid. Available: meshes"):
        load_object(write_object(tmp_path))
    assert load_object(write_object(tmp_path), physics=False).pieces == ()


def test_files_that_are_no_meshes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no object file"):
        load_object(tmp_path / "nothing.yaml")
    with pytest.raises(FileNotFoundError, match=r"no mesh"):
        load_object(write_object(tmp_path, mesh="other.stl"))
    path = write_object(tmp_path)
    (tmp_path / "cup.stl").write_bytes(b"this is no mesh")
    with pytest.raises(ValueError, match="does not load as a mesh|holds no triangles"):
        load_object(path)
    path.write_text("mesh: [")
    with pytest.raises(ValueError, match="no valid YAML"):
        load_object(path)
    path.write_bytes(b"mesh: \xff")
    with pytest.raises(ValueError, match="no valid YAML"):
        load_object(path)
    path.write_text("just words")
    with pytest.raises(ValueError, match="must hold the keys"):
        load_object(path)


@pytest.mark.parametrize("up", ["x", "y", "-z"])
def test_any_axis_may_be_up(tmp_path: Path, ring: ObjectModel, up: str) -> None:
    """The same ring in a file with another axis upwards gives the same object and the same contact."""
    axis = {"x": [1, 0, 0], "y": [0, 1, 0], "-z": [0, 0, -1]}[up]
    turn = Rotation.align_vectors([axis], [[0.0, 0.0, 1.0]])[0]
    T = se3.transform(turn)
    shape = trimesh.Trimesh(ring.mesh.vertices * 1000.0, ring.mesh.faces).apply_transform(T)
    pose = T @ se3.from_rotvec_pose(np.array(rim_pose()))
    feature = {"poses": [pose.tolist()], "part_thickness_m": 0.004}
    path = write_object(tmp_path, shape, up=up, features={"mug_rim": feature})
    model = load_object(path, physics=False)
    assert_allclose(model.mesh.extents, ring.mesh.extents, atol=1e-6)
    found = model.feature("mug_rim").poses[0]
    assert_allclose(found[:3, 2], [0.0, 0.0, -1.0], atol=1e-5)  # still down the wall
    place = found[:3, 3] + 0.5 * 0.004 * found[:3, 1]
    query = o3d.core.Tensor(place[None].astype(np.float32))
    assert make_scene(model.mesh).compute_distance(query).numpy()[0] < 0.0002
    assert model.pieces == ()


@pytest.mark.parametrize(
    ("longest", "category", "guess"),
    [
        (105.0, "mug", r"0\.001, the mesh in millimetres \(0\.105 m\)"),
        (21.0, "bottle", r"0\.01, the mesh in centimetres"),
        (3.2, "bolt", r"0\.0254, the mesh in inches"),
        (1.0, "mug", r"for a mug of 0\.12 m it is 0\.12"),
    ],
)
def test_a_wrong_scale_comes_with_the_likely_one(
    tmp_path: Path, longest: float, category: str, guess: str
) -> None:
    path = write_object(tmp_path, trimesh.creation.box([longest] * 3), category=category, scale=1.0)
    with pytest.raises(ValueError, match=f"{longest:g} m long at scale 1.*{guess}"):
        load_object(path)


def test_a_number_may_be_written_as_yaml_takes_for_text(tmp_path: Path, ring: ObjectModel) -> None:
    """`1e-3` without a dot is text to YAML."""
    model = load_object(write_object(tmp_path, scale="1e-3"), physics=False)
    assert_allclose(model.mesh.extents, ring.mesh.extents)


def test_cameras_see_a_scan_where_the_clean_object_is(tmp_path: Path) -> None:
    """Fifty thousand noisy triangles, holes, no base, loose bits around: seen from anywhere within 1 mm, in the same frame."""
    rng = np.random.default_rng(0)
    mug = make_object("mug", "test", 0)
    scan = scan_like(mug.mesh, rng)
    assert 40_000 < len(scan.faces) < 60_000 and not scan.is_watertight
    model = load_object(export_object(mug, tmp_path, scan, "scan"), physics=False)
    assert_allclose(model.mesh.extents, mug.mesh.extents, atol=0.003)  # three sigma on both sides
    # The noise moves the bounding box, and with it the frame.
    low, high = mug.mesh.bounds
    moved = se3.transform(None, model.mesh.bounds.mean(0) - 0.5 * (low + high))
    clean = make_scene(mug.mesh)
    for azimuth in np.arange(0.0, 2.0 * np.pi, 1.5):
        camera = orbit_camera(0.5 * (low + high), 0.4, azimuth, rng.uniform(-0.4, 1.2))
        seen = deproject(render_depth(model, moved @ camera, D435), D435)
        wanted = np.count_nonzero(render_depth(clean, camera, D435))
        distance = clean.compute_distance(to_tensor(se3.apply(camera, seen))).numpy()
        assert 0.97 < len(seen) / wanted < 1.03
        # Through holes, cameras see the far wall from inside.
        assert np.quantile(distance, 0.97) < 0.001
    for name, feature in mug.features.items():
        assert_allclose(model.feature(name).length_m, feature.length_m, rtol=0.01)


@pytest.mark.parametrize("feature", FEATURES)
def test_a_written_object_reads_the_same(tmp_path: Path, feature: str) -> None:
    """Errors of random poses near every contact are the same before and after, to the rounding of the file."""
    rng = np.random.default_rng(0)
    model = make_object_with(feature, "test", 0)
    again = load_object(export_object(model, tmp_path), physics=False)
    assert set(again.features) == set(model.features)
    moved = se3.transform(None, again.mesh.bounds[0] - model.mesh.bounds[0])
    for _ in range(10):
        T = model.feature(feature).sample(rng) @ se3.exp(rng.normal(0.0, [0.003] * 3 + [0.05] * 3))
        one, two = model.feature(feature).nearest(T), again.feature(feature).nearest(moved @ T)
        assert_allclose(one.pos_error_m, two.pos_error_m, atol=1e-4)
        assert_allclose(one.angle_rad, two.angle_rad, atol=5e-3)


def test_bodies_that_touch_or_not_are_one_object(tmp_path: Path) -> None:
    """A bottle whose lid is a body of its own, and a soup of triangles that share no corner, keep all their surface."""
    bottle = trimesh.creation.cylinder(30.0, 120.0).apply_translation([0, 0, 60.0])
    lid = trimesh.creation.cylinder(14.0, 15.0).apply_translation([0, 0, 128.0])
    both = trimesh.util.concatenate([bottle, lid])
    moved = both.triangles + np.random.default_rng(0).normal(0, 0.01, (len(both.faces), 1, 3))
    faces = np.arange(moved.size // 3).reshape(-1, 3)
    soup = trimesh.Trimesh(moved.reshape(-1, 3), faces, process=False)
    head = {"poses": [[0.0, 0.0, 130.0, np.pi, 0.0, 0.0]], "part_thickness_m": 0.028}
    for shape in (both, soup):
        path = write_object(tmp_path, shape, category="bottle", features={"bottle_head": head})
        model = load_object(path, physics=False)
        assert_allclose(model.mesh.area, both.area / 1e6, rtol=1e-4)


def test_several_files_are_one_object(tmp_path: Path) -> None:
    """Body and cap of a bottle, each in its own file, in one frame."""
    trimesh.creation.cylinder(30.0, 120.0).export(tmp_path / "body.stl")
    trimesh.creation.cylinder(14.0, 15.0).apply_translation([0, 0, 67.5]).export(
        tmp_path / "cap.ply"
    )
    head = {"poses": [[0.0, 0.0, 69.0, np.pi, 0.0, 0.0]], "part_thickness_m": 0.028}
    names = ["body.stl", "cap.ply"]
    path = write_object(tmp_path, mesh=names, category="bottle", features={"bottle_head": head})
    model = load_object(path)
    assert_allclose(model.mesh.bounds[:, 2], [0.0, 0.135], atol=1e-6)
    assert_allclose(model.feature("bottle_head").poses[0, :3, 3], [0.0, 0.0, 0.129], atol=1e-6)
    assert len(model.pieces) == 2


def test_ten_triangles_are_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A box without a lid: five sheets become plates."""
    monkeypatch.setattr("lerobot_neuraltouch.objects.solid.STEP_M", 0.002)  # quicker
    box = trimesh.creation.box([60.0, 60.0, 90.0])
    lidless = trimesh.Trimesh(box.vertices, box.faces[box.face_normals[:, 2] < 0.5])
    T = se3.from_rotvec_pose(np.array(rim_pose()))
    T[:3, 3] = 30.0, 0.0, 42.0
    feature = {"poses": [T.tolist()], "part_thickness_m": 0.002}
    model = load_object(write_object(tmp_path, lidless, features={"mug_rim": feature}))
    assert len(model.mesh.faces) == 10
    assert 5 <= len(model.pieces) <= 40


@pytest.mark.slow
def test_a_million_triangles_load(tmp_path: Path) -> None:
    """Seen and decomposed for physics as well."""
    mesh = trimesh.creation.annulus(36.0, 40.0, 90.0, sections=24)
    mesh.apply_translation([0.0, 0.0, 45.0])
    while len(mesh.faces) < 1_000_000:
        mesh = mesh.subdivide()
    model = load_object(write_object(tmp_path, mesh))
    assert len(model.mesh.faces) == len(mesh.faces) and len(model.pieces) == 24
