"""How far the pose search can be trusted: a logistic fit of its confidence on validation objects."""

import numpy as np
import torch
from scipy.optimize import minimize

from lerobot_neuraltouch.ndf.network import DescriptorField

MAX_GAP = 3.0


def fit_confidence(
    field: DescriptorField, energies: np.ndarray, gaps: np.ndarray, good: np.ndarray
) -> None:
    """Set `field.calibration` from found poses, in place.

    Args:
        field: The searched field.
        energies: Of the found poses, (N,).
        gaps: `PoseSearchResult.gap` of each, (N,).
        good: Whether the pose was within 10 mm, (N,).
    """
    features = np.column_stack(
        [np.ones(len(energies)), np.log(energies + 1e-9), np.clip(gaps, 0.0, MAX_GAP)]
    )

    def loss(weights: np.ndarray) -> float:
        score = features @ weights
        return float(
            np.mean(np.logaddexp(0.0, np.where(good, -score, score))) + 1e-3 * weights @ weights
        )

    found = minimize(loss, np.zeros(3)).x
    field.calibration.copy_(torch.from_numpy(found).to(field.calibration.dtype))
