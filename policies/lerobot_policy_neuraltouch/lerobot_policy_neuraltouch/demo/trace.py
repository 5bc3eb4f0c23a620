"""What one demonstration run leaves behind, step by step."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Step:
    """One control step, as seen after it."""

    phase: int
    """Phase of the policy, one of `features.Phase`."""
    T_base_tcp: NDArray[np.float64]
    """Gripper pose, shape (4, 4)."""
    finger_distance_m: float
    pos_error_m: float
    """Translation error along the feature's constrained directions [m]."""
    cos_error: float
    force_n: float
    """Largest normal force on one finger so far [N]."""
    touch: NDArray[np.uint8]
    """Left and right touch image, shape (2, H, W)."""
    scene: NDArray[np.uint8] | None
    """Scene picture, shape (height, width, 3); kept for every few steps only."""


@dataclass
class Trace:
    """A whole run on one object."""

    object_name: str
    feature: str
    seed: int
    cloud: NDArray[np.float32]
    """The one look, base frame [m], shape (num_points, 3)."""
    T_base_object: NDArray[np.float64]
    coarse_pos_error_m: float = float("nan")
    coarse_cos_error: float = float("nan")
    final_pos_error_m: float = float("nan")
    final_cos_error: float = float("nan")
    max_touch_force_n: float = float("nan")
    """Largest force until the grasp was found [N]; the lift squeezes harder on purpose."""
    success: bool = False
    seconds: dict[str, float] = field(default_factory=dict)
    """Computing time spent in each phase [s]."""
    steps: list[Step] = field(default_factory=list)

    def summary(self) -> dict[str, object]:
        """The run's row in summary.json."""
        return {
            "object": self.object_name,
            "feature": self.feature,
            "seed": self.seed,
            "coarse_pos_mm": 1e3 * self.coarse_pos_error_m,
            "coarse_cos": self.coarse_cos_error,
            "final_pos_mm": 1e3 * self.final_pos_error_m,
            "final_cos": self.final_cos_error,
            "success": self.success,
            "steps": len(self.steps),
            "max_force_n": self.max_touch_force_n,
            "seconds": self.seconds,
        }
