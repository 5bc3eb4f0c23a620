"""How far a found pose can be trusted: a logistic function of what the search knows about it.

The coefficients are fitted after the training (`calibrate`) on validation objects, foreign objects and blobs.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

MAX_GAP = 3.0
"""Larger gaps add no confidence."""
MAX_ENERGY = 1e3
"""Larger residuals are as bad as this one."""
SEEN_M = 0.025
"""Points of the cloud within this of the tcp show the contact."""
DOUBT_M = (0.001, 0.1)
"""Expected errors of anchors outside this range count as its ends."""
ENOUGH_SEEN = 80
"""More points than this add no confidence."""


class Evidence(NamedTuple):
    """What speaks for and against a found pose."""

    energy: float
    """Mean squared descriptor residual."""
    gap: float
    """Logarithm of the energy of the best other pose over `energy`."""
    seen: int
    """Points of the cloud within SEEN_M of the tcp."""
    obstruction: float
    """What is in the gripper's way, see `approach.obstruction`."""
    agreement: float
    """Share of the parts of the cloud that agree about which way the object stands, in (0.5, 1]."""
    doubt_m: float
    """How far the encoder expects the anchors that the contact hangs on to be off."""

    def features(self) -> np.ndarray:
        """The terms of the logistic function, (7,)."""
        return np.array(
            [
                1.0,
                np.log(min(self.energy, MAX_ENERGY) + 1e-6),
                min(max(self.gap, 0.0), MAX_GAP),
                np.log1p(min(self.seen, ENOUGH_SEEN)),
                min(self.obstruction, 1.0),
                self.agreement,
                np.log(np.clip(self.doubt_m, *DOUBT_M) / DOUBT_M[0]),
            ]
        )


NUM_TERMS = 7


def confidence(coefficients: np.ndarray, evidence: Evidence) -> float:
    """Chance that a pose is good."""
    return float(1.0 / (1.0 + np.exp(-np.dot(coefficients, evidence.features()))))


def fit(evidence: list[Evidence], good: np.ndarray) -> np.ndarray:
    """Coefficients (7,) of the logistic function that explains best which poses were good, (N,) bool."""
    features = np.array([item.features() for item in evidence])

    def loss(weights: np.ndarray) -> float:
        score = features @ weights
        surprise = np.logaddexp(0.0, np.where(good, -score, score))
        return float(np.mean(surprise) + 1e-3 * weights @ weights)

    return minimize(loss, np.zeros(features.shape[1])).x
