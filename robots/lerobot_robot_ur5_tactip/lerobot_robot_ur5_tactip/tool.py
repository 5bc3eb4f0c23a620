"""Whether the controller has the tool where the config puts it: another model or tcp is off by centimetres."""

import numpy as np
from numpy.typing import NDArray

from lerobot_neuraltouch import kinematics, se3
from lerobot_neuraltouch.kinematics import ArmModel

Array = NDArray[np.float64]

MAX_OFF_M, MAX_OFF_RAD = 0.01, 0.04
"""How far the controller's tcp may be from the nominal kinematics': each arm is calibrated on its own, by millimetres."""


def off_nominal(
    model: ArmModel, T_flange_tcp: Array, q: Array, T_base_tcp: Array
) -> tuple[float, float]:
    """How far a tcp, shape (4, 4), is from where the nominal arm has it at joint angles q, shape (6,) [m, rad]."""
    nominal = kinematics.forward(model, q) @ T_flange_tcp
    off = se3.inverse(nominal) @ T_base_tcp
    return float(np.linalg.norm(off[:3, 3])), float(se3.rotation_angle(off))
