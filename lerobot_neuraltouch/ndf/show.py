"""`neuraltouch show-ndf`: what the descriptor field sees of an object, and how it finds a contact there."""

from dataclasses import dataclass
from pathlib import Path

import draccus
import numpy as np
import open3d as o3d
import torch
from tqdm import tqdm

from lerobot_neuraltouch.features import NUM_CLOUD_POINTS
from lerobot_neuraltouch.ndf.cases import Case, make_case, place, seeded
from lerobot_neuraltouch.ndf.checkpoint import load_ndf, pretrained_path
from lerobot_neuraltouch.ndf.demonstrations import demonstrate, make_demonstrations
from lerobot_neuraltouch.ndf.look_inside import contact_energy, energy_slice, surface_points
from lerobot_neuraltouch.ndf.network import DescriptorField
from lerobot_neuraltouch.ndf.pose_search import (
    Demonstration,
    check_cloud,
    search_columns,
    search_pose,
)
from lerobot_neuraltouch.ndf.show_picture import FieldView, draw_view, record_view
from lerobot_neuraltouch.objects.user import load_object

SLICE_REACH_M = 0.06
SLICE_POINTS = 61


@dataclass(frozen=True, kw_only=True)
class ShowNdfConfig:
    """What to look at: a user's object, a cloud from a file, or a generated object."""

    output: Path = Path("outputs/show_ndf")
    """Folder for `ndf.png` and the Rerun recording `ndf.rrd`."""
    feature: str = "mug_rim"
    """The contact to find, for example mug_rim or bottle_head."""
    object: Path | None = None
    """YAML of a user's object, seen by a simulated depth camera."""
    cloud: Path | None = None
    """Points of one object in metres: `.npy` of shape (num_points, 3), or anything Open3D reads (.ply, .pcd, .xyz)."""
    index: int = 0
    """Which generated object to look at, if neither object nor cloud is given."""
    split: str = "test"
    """Stream of generated objects: train, val, test or ood."""
    views: int = 1
    """Simulated cameras."""
    skill: Path | None = None
    """YAML of an object on which the contact is shown; left out, it is shown on a training object."""
    num_demos: int = 1
    """Training objects on which the contact is shown."""
    ndf_path: Path | None = None
    """Field to look into; the one of the package if left out."""
    seed: int = 0
    """Of the object's pose, the camera and its noise."""

    def __post_init__(self) -> None:
        if self.object is not None and self.cloud is not None:
            raise ValueError(
                f"Give an object or a cloud, not both: got '{self.object}' and '{self.cloud}'."
            )
        for name in ("views", "num_demos"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}.")


def read_cloud(path: Path, seed: int = 0) -> np.ndarray:
    """Points of a file, float32 (at most NUM_CLOUD_POINTS, 3) [m].

    Raises:
        FileNotFoundError, ValueError: If there is no such file, or no cloud in it.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no point cloud '{path}'.")
    if path.suffix == ".npy":
        points = np.load(path, allow_pickle=False)
    else:
        points = np.asarray(o3d.io.read_point_cloud(path).points)
    points = check_cloud(points).numpy()
    keep = np.random.default_rng(seed).permutation(len(points))[:NUM_CLOUD_POINTS]
    return points[keep]


def look(config: ShowNdfConfig, field: DescriptorField) -> FieldView:
    """Search the contact, and collect everything that there is to see."""
    rng = seeded(config.seed, "show", config.feature, config.index)
    if config.cloud is not None:
        case, cloud = None, read_cloud(config.cloud, config.seed)
    else:
        case = _case(config, rng)
        cloud = case.cloud
    demos = _demonstrations(config, field)
    result = search_pose(field, cloud, demos)
    demo = demos[result.demonstration]
    columns = search_columns(field, demos)
    latent = field.encode(torch.from_numpy(cloud)[None])
    surface = surface_points(field, latent, cloud, 6000, rng)
    return FieldView(
        title=_title(config, case),
        cloud=cloud,
        surface=surface,
        surface_energy=contact_energy(field, latent, demo, surface, columns),
        slices={
            axes: energy_slice(
                field, latent, demo, result.T, number, SLICE_REACH_M, SLICE_POINTS, columns
            )
            for axes, number in (("yz", (1, 2)), ("xz", (0, 2)))
        },
        reach_m=SLICE_REACH_M,
        result=result,
        error=None if case is None else case.error(result.T),
    )


def _case(config: ShowNdfConfig, rng: np.random.Generator) -> Case:
    if config.object is None:
        return make_case(config.feature, config.split, config.index, rng, views=config.views)
    model = load_object(config.object, physics=False)
    return place(model, config.feature, rng, views=config.views)


def _demonstrations(config: ShowNdfConfig, field: DescriptorField) -> list[Demonstration]:
    if config.skill is None:
        return make_demonstrations(field, config.feature, config.num_demos, seed=config.seed)
    model = load_object(config.skill, physics=False)
    rng = seeded(config.seed, "skill", config.feature)
    return [demonstrate(field, place(model, config.feature, rng, views=4))]


def _title(config: ShowNdfConfig, case: Case | None) -> str:
    name = config.cloud.name if config.cloud else case.model.name if case else ""
    return f"{config.feature} on {name}"


@draccus.wrap()
def main(config: ShowNdfConfig) -> None:
    """Draw cloud, surface, descriptor energy, starts and the chosen pose of a search."""
    field = load_ndf(config.ndf_path or pretrained_path())
    view = look(config, field)
    config.output.mkdir(parents=True, exist_ok=True)
    draw_view(view, config.output / "ndf.png")
    record_view(view, config.output / "ndf.rrd")
    tqdm.write(view.caption())
    tqdm.write(f"Wrote {config.output / 'ndf.png'} and {config.output / 'ndf.rrd'}")
