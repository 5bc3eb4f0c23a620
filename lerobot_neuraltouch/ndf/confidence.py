"""How far a found pose can be trusted: a logistic function of what the search knows about it, for each part its own.

The coefficients are fitted after the training (`calibrate`) on validation objects, foreign objects and blobs. A contact
that was not among those, such as a user's, is judged like the others at its part.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

MAX_GAP = 3.0
"""Larger gaps add no confidence."""
MAX_ENERGY = 1e3
"""Larger residuals are as bad as this one."""
DOUBT_M = (0.001, 0.1)
"""Expected errors of anchors outside this range count as its ends."""
ENOUGH_TOUCHED = 60
"""More points than this add no confidence."""
REMOTE_M = (0.02, 0.08)
"""From no farther than this to no nearer: how remote a contact is from all anchors, from 0 to 1."""


class Evidence(NamedTuple):
    """What speaks for and against a found pose."""

    energy: float
    """Mean squared descriptor residual."""
    gap: float
    """Logarithm of the energy of the best other pose over `energy`."""
    touched: int
    """Points of the cloud where a pad touches, see `sight.touched_points`."""
    obstruction: float
    """What is in the gripper's way, see `approach.obstruction`."""
    agreement: float
    """Share of the parts of the cloud that agree about which way the object stands, in (0.5, 1]."""
    doubt_m: float
    """How far the encoder expects the anchors that the contact hangs on to be off: the top, or the surer one of the handle's."""
    axis_doubt_m: float
    """The same of the less sure one of top and base: which way the object stands."""
    remote_m: float
    """From the shown grasp to the nearest of its anchors: farther away the energy of good poses is higher."""

    def features(self) -> np.ndarray:
        """The terms of the logistic function, (11,)."""
        energy = np.log(min(self.energy, MAX_ENERGY) + 1e-6)
        doubt, axis_doubt = (_log_doubt(value) for value in (self.doubt_m, self.axis_doubt_m))
        remote = float(np.interp(self.remote_m, REMOTE_M, (0.0, 1.0)))
        return np.array(
            [
                1.0,
                energy,
                min(max(self.gap, 0.0), MAX_GAP),
                np.log1p(min(self.touched, ENOUGH_TOUCHED)),
                min(self.obstruction, 1.0),
                self.agreement,
                doubt,
                axis_doubt,
                remote,
                remote * energy,
                remote * doubt,
            ]
        )


NUM_TERMS = 11


def confidence(coefficients: np.ndarray, evidence: Evidence) -> float:
    """Chance that a pose is good, by the coefficients of its part, (11,)."""
    return float(expit(coefficients @ evidence.features()))


def fit(evidence: list[Evidence], good: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Coefficients (11,) of the logistic function that explains best which poses were good, (N,) bool, each with a weight."""
    features = np.array([item.features() for item in evidence])
    share = weights / weights.sum()
    sign = np.where(good, -1.0, 1.0)
    ridge = np.full(features.shape[1], 1e-3)
    ridge[0] = 0.0

    def loss(coefficients: np.ndarray) -> tuple[float, np.ndarray]:
        score = sign * (features @ coefficients)
        value = share @ np.logaddexp(0.0, score) + ridge @ coefficients**2
        slope = features.T @ (share * sign * expit(score)) + 2.0 * ridge * coefficients
        return float(value), slope

    return minimize(loss, np.zeros(features.shape[1]), jac=True).x


def _log_doubt(doubt_m: float) -> float:
    """Natural logarithm of an expected error over the least one."""
    return float(np.log(np.clip(doubt_m, *DOUBT_M) / DOUBT_M[0]))
