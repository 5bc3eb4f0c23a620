"""What a trained field still needs: the metric of its descriptors, and how far a found pose can be trusted.

Confidence is a logistic function of the search's energy and gap, fitted on validation objects seen from one side,
on objects of another category and on blobs, which have no good pose.
"""

from collections.abc import Iterator

import numpy as np
import torch
from scipy.optimize import minimize
from tqdm import tqdm

from lerobot_neuraltouch.features import NUM_CLOUD_POINTS
from lerobot_neuraltouch.ndf.cases import make_case, seeded
from lerobot_neuraltouch.ndf.data import HEAD_FEATURES, ShapeSet
from lerobot_neuraltouch.ndf.demonstrations import make_demonstrations
from lerobot_neuraltouch.ndf.metric import fit_metric
from lerobot_neuraltouch.ndf.network import DescriptorField
from lerobot_neuraltouch.ndf.pose_search import confidence_features, search_pose

GOOD_M = 0.010
"""A found pose nearer than this to an ideal one is good [m]."""
FOREIGN_SHARE = 4
"""One foreign object and one blob for so many validation objects."""


def finish(
    field: DescriptorField,
    shapes: ShapeSet,
    categories: tuple[str, ...],
    *,
    num_poses: int = 60,
    seed: int = 0,
) -> None:
    """Fit the field's metric on training shapes and its confidence on validation objects, in place.

    Args:
        field: Trained, in evaluation mode.
        shapes: Training shapes.
        categories: The ones it was trained on.
        num_poses: Validation objects per category for the confidence; 0 leaves it out.
        seed: Of all draws.
    """
    fit_metric(field, shapes, seeded(seed, "metric"))
    if num_poses:
        poses = tqdm(_found_poses(field, categories, num_poses, seed), desc="calibrate")
        energies, gaps, good = (np.array(column) for column in zip(*poses, strict=True))
        fit_confidence(field, energies, gaps, good)


def fit_confidence(
    field: DescriptorField, energies: np.ndarray, gaps: np.ndarray, good: np.ndarray
) -> None:
    """Set `field.calibration` from found poses, in place.

    Args:
        field: The searched field.
        energies: Of the found poses, (N,).
        gaps: `PoseSearchResult.gap` of each, (N,).
        good: Whether each pose was good, (N,).
    """
    features = np.array([confidence_features(e, g) for e, g in zip(energies, gaps, strict=True)])

    def loss(weights: np.ndarray) -> float:
        score = features @ weights
        surprise = np.logaddexp(0.0, np.where(good, -score, score))
        return float(np.mean(surprise) + 1e-3 * weights @ weights)

    found = minimize(loss, np.zeros(features.shape[1])).x
    field.calibration.copy_(torch.from_numpy(found).to(field.calibration.dtype))


def _found_poses(
    field: DescriptorField, categories: tuple[str, ...], num: int, seed: int
) -> Iterator[tuple[float, float, bool]]:
    """Energy, gap and goodness of searched poses."""
    for number, category in enumerate(categories):
        feature = HEAD_FEATURES[category]
        demos = make_demonstrations(field, feature, seed=seed)
        foreign = HEAD_FEATURES[categories[(number + 1) % len(categories)]]
        for index in range(num):
            rng = seeded(seed, "calibrate", feature, index)
            case = make_case(feature, "val", index, rng)
            result = search_pose(field, case.cloud, demos)
            yield result.energy, result.gap, case.error(result.T)[0] < GOOD_M
            if index % FOREIGN_SHARE == 0:
                clouds = [blob(rng)]
                if foreign != feature:
                    clouds.append(make_case(foreign, "val", index, rng).cloud)
                for cloud in clouds:
                    result = search_pose(field, cloud, demos)
                    yield result.energy, result.gap, False


def blob(rng: np.random.Generator) -> np.ndarray:
    """A cloud of nothing in particular, float32 (NUM_CLOUD_POINTS, 3) [m]."""
    sizes = rng.uniform(0.01, 0.08, 3)
    return (rng.standard_normal((NUM_CLOUD_POINTS, 3)) * sizes).astype(np.float32)
