"""An arm that follows twists exactly, and places to start it from."""

from dataclasses import dataclass

import numpy as np

from lerobot_neuraltouch import kinematics, se3
from lerobot_neuraltouch.kinematics import ArmModel
from lerobot_robot_ur5_tactip.arm import ArmState
from lerobot_robot_ur5_tactip.limits import LimitsConfig

READY = np.array([0.2, -1.8, 2.0, -1.7, -1.5, 0.4])
"""Elbow and wrist bent, the flange pointing down."""
T_FLANGE_TCP = se3.transform(None, (0.0, 0.0, 0.18))


@dataclass
class KinematicArm:
    model: ArmModel
    q: np.ndarray

    @property
    def T_base_tcp(self) -> np.ndarray:
        return kinematics.forward(self.model, self.q) @ T_FLANGE_TCP

    @property
    def state(self) -> ArmState:
        return ArmState(
            stamp_s=0.0,
            q=self.q,
            tcp=se3.to_rotvec_pose(self.T_base_tcp),
            wrench=np.zeros(6),
        )

    def follow(self, twist: np.ndarray, period_s: float) -> None:
        """Move for one period; the Jacobian of its middle keeps the tcp on its way to a micrometre."""
        middle = self.q + 0.5 * period_s * self._speeds(self.q, twist)
        self.q = self.q + period_s * self._speeds(middle, twist)

    def _speeds(self, q: np.ndarray, twist: np.ndarray) -> np.ndarray:
        J = kinematics.jacobian(self.model, q, T_FLANGE_TCP, frame="base")
        return np.linalg.solve(J, twist)


def box_around(arm: KinematicArm, half_m: float, **settings: float) -> LimitsConfig:
    """Limits with a cube around where the arm is."""
    centre = arm.T_base_tcp[:3, 3]
    low, high = centre - half_m, centre + half_m
    return LimitsConfig(
        workspace_min_m=tuple(low.tolist()), workspace_max_m=tuple(high.tolist()), **settings
    )
