"""What a trained field still needs: the metric of its descriptors, and how far a found pose can be trusted.

The confidence is fitted on validation objects seen from one side, on objects of another category and on blobs, which
have no good pose.
"""

from collections.abc import Iterator

import numpy as np
import torch
from tqdm import tqdm

from lerobot_neuraltouch.features import FEATURES, NUM_CLOUD_POINTS
from lerobot_neuraltouch.ndf.cases import make_case, seeded
from lerobot_neuraltouch.ndf.confidence import Evidence, fit
from lerobot_neuraltouch.ndf.data import ShapeSet
from lerobot_neuraltouch.ndf.demonstrations import make_demonstrations
from lerobot_neuraltouch.ndf.metric import fit_metric
from lerobot_neuraltouch.ndf.network import DescriptorField
from lerobot_neuraltouch.ndf.pose_search import search_pose

GOOD_M = 0.010
"""A found pose nearer than this to an ideal one is good [m], if the contact is seen."""
FOREIGN_SHARE = 4
"""One foreign object and one blob for so many validation objects."""


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
        poses = tqdm(_found_poses(field, categories, num_poses, seed), desc="calibrate")
        evidence, good = zip(*poses, strict=True)
        found = fit(list(evidence), np.array(good))
        field.calibration.copy_(torch.from_numpy(found).to(field.calibration.dtype))


def _found_poses(
    field: DescriptorField, categories: tuple[str, ...], num: int, seed: int
) -> Iterator[tuple[Evidence, bool]]:
    """What is known of searched poses, and whether they were good."""
    features = {name: its for name, its in FEATURES.items() if its in categories}
    for feature, category in features.items():
        demos = make_demonstrations(field, feature, seed=seed)
        strangers = [name for name, its in features.items() if its != category]
        for index in range(num):
            rng = seeded(seed, "calibrate", feature, index)
            case = make_case(feature, "val", index, rng)
            result = search_pose(field, case.cloud, demos)
            good = not case.hidden and case.error(result.T)[0] < GOOD_M
            yield result.evidence, good
            if index % FOREIGN_SHARE == 0:
                clouds = [blob(rng)]
                if strangers:
                    stranger = strangers[index % len(strangers)]
                    clouds.append(make_case(stranger, "val", index, rng).cloud)
                for cloud in clouds:
                    yield search_pose(field, cloud, demos).evidence, False


def blob(rng: np.random.Generator) -> np.ndarray:
    """A cloud of nothing in particular, float32 (NUM_CLOUD_POINTS, 3) [m]."""
    sizes = rng.uniform(0.01, 0.08, 3)
    return (rng.standard_normal((NUM_CLOUD_POINTS, 3)) * sizes).astype(np.float32)
