"""What a trained field still needs: the metric of its descriptors, and how far a found pose can be trusted.

The confidence is fitted on validation objects seen from a few sides, one at a time, on objects of another category and
on blobs, which have no good pose.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from tqdm import tqdm

from lerobot_neuraltouch.features import FEATURES, NUM_CLOUD_POINTS
from lerobot_neuraltouch.ndf.cases import make_case, place, seeded
from lerobot_neuraltouch.ndf.confidence import Evidence, fit
from lerobot_neuraltouch.ndf.data import ShapeSet
from lerobot_neuraltouch.ndf.demonstrations import make_demonstrations
from lerobot_neuraltouch.ndf.metric import PARTS, fit_metric
from lerobot_neuraltouch.ndf.network import DescriptorField
from lerobot_neuraltouch.ndf.pose_search import search_pose
from lerobot_neuraltouch.objects.catalogue import make_object_with

GOOD_M = 0.010
"""A found pose nearer than this to an ideal one is good [m], if the contact is seen."""
VIEWS = 3
"""Of every validation object."""
FOREIGN_SHARE = 4
"""One foreign object and one blob for so many validation objects."""
HIDDEN_HANDLE_WEIGHT = 1.5
"""A handle out of sight that is taken for found costs a grasp in the air; one in sight that is not costs another look."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One searched pose."""

    feature: str
    part: str
    evidence: Evidence
    hidden: bool
    """Whether the contact was out of sight, or there was none."""
    good: bool


def finish(
    field: DescriptorField,
    shapes: ShapeSet,
    categories: tuple[str, ...],
    *,
    num_poses: int = 40,
    seed: int = 0,
) -> None:
    """Fit the field's metric on training shapes and its confidence on validation objects, in place.

    Args:
        field: Trained, in evaluation mode.
        shapes: Training shapes.
        categories: The ones it was trained on.
        num_poses: Validation objects per contact for the confidence; 0 leaves it out.
        seed: Of all draws.
    """
    fit_metric(field, shapes, seeded(seed, "metric"))
    if num_poses:
        calibrate(field, list(tqdm(samples(field, categories, num_poses, seed), desc="calibrate")))


def calibrate(field: DescriptorField, found: list[Sample]) -> None:
    """Fit the field's confidence on searched poses, in place; a part without any is judged like the other one."""
    weight = dict(zip(map(id, found), sample_weights(found), strict=True))
    for row, part in enumerate(PARTS):
        some = [sample for sample in found if sample.part == part] or found
        coefficients = fit(
            [sample.evidence for sample in some],
            np.array([sample.good for sample in some]),
            np.array([weight[id(sample)] for sample in some]),
        )
        field.calibration[row] = torch.from_numpy(coefficients).to(field.calibration.dtype)


def sample_weights(found: list[Sample]) -> np.ndarray:
    """Weights (N,): rims, walls and heads are out of sight so seldom that a fit would not heed those poses.

    Each of them weighs as many times one in sight as the root of how much rarer they are at their contact; a hidden handle more.
    """
    weights = np.ones(len(found))
    for feature in {sample.feature for sample in found}:
        own = np.array([sample.feature == feature for sample in found])
        hidden = own & np.array([sample.hidden for sample in found])
        if hidden.any():
            weights[hidden] = np.sqrt(max((own.sum() - hidden.sum()) / hidden.sum(), 1.0))
    weights[[sample.hidden and sample.part == "handle" for sample in found]] *= HIDDEN_HANDLE_WEIGHT
    return weights


def samples(
    field: DescriptorField, categories: tuple[str, ...], num: int, seed: int
) -> Iterator[Sample]:
    """Searched poses on `num` validation objects per contact, and on foreign objects and blobs."""
    features = {name: its for name, its in FEATURES.items() if its in categories}
    for feature, category in features.items():
        demos = make_demonstrations(field, feature, seed=seed)
        part = demos[0].part(field)
        strangers = [name for name, its in features.items() if its != category]
        for index in range(num):
            model = make_object_with(feature, "val", index)
            for view in range(VIEWS):
                case = place(model, feature, seeded(seed, "calibrate", feature, index, view))
                result = search_pose(field, case.cloud, demos)
                good = not case.hidden and case.error(result.T)[0] < GOOD_M
                yield Sample(feature, part, result.evidence, case.hidden, good)
            if index % FOREIGN_SHARE == 0:
                for cloud in _foreign_clouds(strangers, index, seeded(seed, feature, index)):
                    evidence = search_pose(field, cloud, demos).evidence
                    yield Sample(feature, part, evidence, True, False)


def _foreign_clouds(
    strangers: list[str], index: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """A blob, and an object of another category where there is one."""
    yield blob(rng)
    if strangers:
        stranger = strangers[index // FOREIGN_SHARE % len(strangers)]
        yield make_case(stranger, "val", index, rng).cloud


def blob(rng: np.random.Generator) -> np.ndarray:
    """A cloud of nothing in particular, float32 (NUM_CLOUD_POINTS, 3) [m]."""
    sizes = rng.uniform(0.01, 0.08, 3)
    return (rng.standard_normal((NUM_CLOUD_POINTS, 3)) * sizes).astype(np.float32)
