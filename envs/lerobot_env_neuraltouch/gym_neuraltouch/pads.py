"""The fingertips' mechanics in a compiled model, changed in place: no model is built anew for another episode's hand."""

from collections.abc import Callable
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from lerobot_neuraltouch.tactile import TacTipFinger


class PadMechanics:
    """Springs and friction of both fingertips.

    Args:
        model: From `scene.compile_model`; private to the caller.
        finger: The fingertips that it was compiled with.
    """

    def __init__(self, model: mujoco.MjModel, finger: TacTipFinger) -> None:
        self._model, self._finger = model, finger
        sides = ("left", "right")
        self._normal = _ids(model.joint, [f"{side}_normal" for side in sides])
        self._shear = _ids(model.joint, [f"{side}_shear_{axis}" for side in sides for axis in "xz"])
        self._geoms = _ids(
            model.geom, [f"{side}_{part}" for side in sides for part in ("core", "skin")]
        )

    def set(self, tip_stiffness_n_per_m: float, friction: float) -> None:
        """Make both pads this stiff, as felt along the normal [N/m], with this Coulomb friction.

        Raises:
            ValueError: If springs of the pads' mass cannot be this stiff.
        """
        finger, nominal = self._finger, self._finger.normal_stiffness_n_per_m
        is_own = tip_stiffness_n_per_m == finger.tip_stiffness_n_per_m
        normal = nominal if is_own else finger.spring_for(tip_stiffness_n_per_m)
        shear = min(
            finger.shear_stiffness_n_per_m * (normal / nominal), finger.max_stiffness_n_per_m
        )
        self._set_springs(self._normal, normal)
        self._set_springs(self._shear, shear)
        torsional = finger.torsional_friction_m * (friction / finger.friction)
        self._model.geom_friction[self._geoms, :2] = (friction, torsional)

    def _set_springs(self, joints: NDArray[np.intp], stiffness: float) -> None:
        model = self._model
        model.jnt_stiffness[joints] = stiffness
        dofs = model.jnt_dofadr[joints]
        inertia = self._finger.pad_mass_kg + model.dof_armature[dofs]
        model.dof_damping[dofs] = 2 * np.sqrt(stiffness * inertia)  # critical


def _ids(find: Callable[[str], Any], names: list[str]) -> NDArray[np.intp]:
    return np.array([find(name).id for name in names])
