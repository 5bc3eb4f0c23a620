"""What `show-ndf` looks at, draws and records."""

from pathlib import Path

import numpy as np
import pytest
import torch

from lerobot_neuraltouch.ndf.checkpoint import load_ndf, pretrained_path
from lerobot_neuraltouch.ndf.demonstrations import make_demonstrations
from lerobot_neuraltouch.ndf.look_inside import energy_slice, pose_energy, surface_points
from lerobot_neuraltouch.ndf.network import DescriptorField
from lerobot_neuraltouch.ndf.pose_search import search_columns
from lerobot_neuraltouch.ndf.show import ShowNdfConfig, look, read_cloud
from lerobot_neuraltouch.ndf.show_picture import draw_view, record_view
from lerobot_neuraltouch.objects.catalogue import make_object
from lerobot_neuraltouch.objects.export import export_object


@pytest.fixture(scope="module")
def shipped() -> DescriptorField:
    return load_ndf(pretrained_path())


def test_a_users_object_is_drawn_and_recorded(shipped: DescriptorField, tmp_path: Path) -> None:
    path = export_object(make_object("bottle", "test", 0), tmp_path)
    view = look(ShowNdfConfig(object=path, skill=path, feature="bottle_head", views=4), shipped)
    draw_view(view, tmp_path / "ndf.png")
    record_view(view, tmp_path / "ndf.rrd")
    assert (tmp_path / "ndf.png").stat().st_size > 50_000
    assert (tmp_path / "ndf.rrd").stat().st_size > 10_000
    assert view.error is not None and view.error[0] < 0.02  # shown on the very same bottle
    assert "bottle-test-0000" in view.caption()


def test_the_fields_surface_lies_on_the_object(shipped: DescriptorField, tmp_path: Path) -> None:
    cloud = make_object("bottle", "test", 0).mesh.sample(1024, seed=0).astype(np.float32)
    np.save(tmp_path / "cloud.npy", cloud)
    again = read_cloud(tmp_path / "cloud.npy")
    latent = shipped.encode(torch.from_numpy(again)[None])
    points = surface_points(shipped, latent, again, 500, np.random.default_rng(0))
    gaps = np.linalg.norm(points[:, None] - cloud, axis=-1).min(axis=1)
    assert len(points) > 300 and np.median(gaps) < 0.006


def test_a_slices_middle_is_the_poses_energy(shipped: DescriptorField) -> None:
    demos = make_demonstrations(shipped, "bottle_head")
    columns = search_columns(shipped, demos)
    cloud = make_object("bottle", "val", 1).mesh.sample(600, seed=0).astype(np.float32)
    latent = shipped.encode(torch.from_numpy(cloud)[None])
    T = np.eye(4)
    T[2, 3] = 0.1
    slices = energy_slice(shipped, latent, demos[0], T, (1, 2), 0.02, 3, columns)
    middle = pose_energy(shipped, latent, demos[0], T, columns)
    np.testing.assert_allclose(slices[1, 1], middle, rtol=1e-4)
    shifted = T.copy()
    shifted[1, 3] += 0.02  # columns are the first axis, here y
    np.testing.assert_allclose(
        slices[1, 2], pose_energy(shipped, latent, demos[0], shifted, columns), rtol=1e-4
    )


def test_missing_clouds_and_double_wishes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no point cloud"):
        read_cloud(tmp_path / "none.npy")
    np.save(tmp_path / "flat.npy", np.zeros((100, 2)))
    with pytest.raises(ValueError, match="shape"):
        read_cloud(tmp_path / "flat.npy")
    with pytest.raises(ValueError, match="not both"):
        ShowNdfConfig(object=tmp_path, cloud=tmp_path)
