"""Where the target is, from all that was felt so far.

One touch may not tell: on a flat that is wider than the pads every place feels alike. What was felt a moment ago, at the
flat's end, does tell. So the refiner's estimates are fused over time by a Kalman filter on the pose of the target,
which stands still in base while the hand moves by a known way. An estimate counts by the error that the refiner
expects of it; estimates of neighbouring moments share their errors, so each counts for less than one of many.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lerobot_neuraltouch import se3

Array = NDArray[np.float64]

LEVER_M = 0.01
"""A turn moves what is felt by the pad's radius times its angle [m]."""


@dataclass(frozen=True, kw_only=True)
class BeliefConfig:
    """Noise of the filter. Chosen on validation objects."""

    correlation_steps: float = 4.0
    """Estimates in a row that tell as much as one with independent errors, while the hand moves by `correlation_m` a step or more;"""
    correlation_m: float = 0.0005
    """with less motion, what is felt is the same once more, and so are the errors: it counts for less in proportion [m],"""
    least_news: float = 0.05
    """but for this share at least, as the noise is new."""
    drift_m: float = 0.0001
    """What the target is thought to move by per step, so that old estimates fade [m]."""
    drift_rad: float = float(np.deg2rad(0.2))
    """[rad]"""
    sigma_per_error: float = 1.3
    """Standard deviation over expected absolute error; 1.25 for normal errors."""
    least_sigma_m: float = 0.00005
    """No estimate is better than this [m],"""
    least_sigma_rad: float = float(np.deg2rad(0.1))
    """nor than this [rad]."""
    prior_m: float = 0.004
    """An estimate whose standard deviation is this large tells nothing: the refiner knows as much without touching [m]."""
    prior_rad: float = float(np.deg2rad(4.0))
    """[rad]"""
    surprise: float = 9.0
    """Estimates farther from the belief than this squared Mahalanobis distance count for less, in proportion."""
    far: float = 0.9
    """An estimate beyond this share of the largest that can be told means "at least so far"."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0.0:
                raise ValueError(f"belief.{name} must be positive, got {value}.")
        if self.least_news > 1.0:
            raise ValueError(f"belief.least_news is a share, at most 1, got {self.least_news}.")


class TargetBelief:
    """A Kalman filter on the pose of the target. Errors are twists in the target's own frame [m, rad].

    Args:
        config: Noise.
        reach: Largest estimate that the refiner can tell, of each component of a twist [m, rad], shape (6,).
    """

    def __init__(self, config: BeliefConfig, reach: Array) -> None:
        self.config, self._reach = config, np.asarray(reach, dtype=np.float64)
        self._drift = np.repeat([config.drift_m, config.drift_rad], 3)
        self._prior = np.repeat([config.prior_m, config.prior_rad], 3)
        self._least = np.repeat([config.least_sigma_m, config.least_sigma_rad], 3)
        self._T_base_target: Array | None = None
        self._T_base_tcp = np.eye(4)
        self._P = np.zeros((6, 6))

    @property
    def sigma(self) -> Array:
        """Standard deviations of the target's pose [m, rad], shape (6,)."""
        return np.sqrt(np.diag(self._P))

    @property
    def expected_error(self) -> Array:
        """Expected absolute error of each component of the believed twist [m, rad], shape (6,)."""
        return self.sigma / self.config.sigma_per_error

    def way(self, T_base_tcp: Array) -> Array:
        """The believed twist to the target from a pose (4, 4) [m, rad], shape (6,).

        Raises:
            ValueError: If nothing is believed yet.
        """
        if self._T_base_target is None:
            raise ValueError("There is no estimate of the target yet.")
        return se3.log(se3.inverse(T_base_tcp) @ self._T_base_target)

    def doubt(self, axis: int, sigma: float) -> None:
        """Take back what was believed along an axis of the target's frame: at least this standard deviation [m or rad]."""
        self._P[axis, axis] += sigma**2

    def update(self, T_base_tcp: Array, estimate: Array, error: Array) -> Array:
        """Take in one estimate.

        Args:
            T_base_tcp: Where it was made, shape (4, 4).
            estimate: Twist from there to the target [m, rad], shape (6,).
            error: Expected absolute error of each component [m, rad], shape (6,).

        Returns:
            The believed twist to the target [m, rad], shape (6,).
        """
        config = self.config
        sigma = self._without_prior(np.maximum(config.sigma_per_error * error, self._least))
        far = np.abs(estimate) >= config.far * self._reach
        if self._T_base_target is None:
            self._T_base_tcp = T_base_tcp
            self._P = np.diag(np.maximum(sigma, 0.4 * far * self._reach) ** 2)
            self._P *= config.correlation_steps
            self._T_base_target = T_base_tcp @ se3.exp(estimate)
            return np.array(estimate, dtype=np.float64)
        believed = self.way(T_base_tcp)
        beyond = far & (believed * estimate > 0.0) & (np.abs(believed) > np.abs(estimate))
        news = np.where(beyond, 0.0, estimate - believed)
        sigma = np.where(beyond, np.maximum(sigma, self._reach), sigma)  # it tells nothing new
        share = self._news(T_base_tcp)
        P = self._P + share * np.diag(self._drift**2)
        R = config.correlation_steps / share * np.diag(sigma**2)
        distance = float(news @ np.linalg.solve(P + R, news))
        R *= max(distance / config.surprise, 1.0)
        gain = np.linalg.solve(P + R, P).T
        believed = believed + gain @ news
        P = P - gain @ P
        self._P = 0.5 * (P + P.T)
        self._T_base_target = T_base_tcp @ se3.exp(believed)
        return believed

    def _news(self, T_base_tcp: Array) -> float:
        """How much of an estimate made here is new since the last one, in (0, 1]; takes note of where it was made."""
        config = self.config
        way = np.abs(se3.log(se3.inverse(self._T_base_tcp) @ T_base_tcp))
        moved = max(float(np.linalg.norm(way[:3])), LEVER_M * float(np.linalg.norm(way[3:])))
        self._T_base_tcp = T_base_tcp
        return float(np.clip(moved / config.correlation_m, config.least_news, 1.0))

    def _without_prior(self, sigma: Array) -> Array:
        """Standard deviations of what touch alone says: of an estimate that holds the prior as well, the prior is taken out."""
        information = np.maximum(sigma**-2 - self._prior**-2, 1e-4 * self._prior**-2)
        return information**-0.5
