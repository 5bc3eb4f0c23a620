"""Open a bottle: turn its lid to the end of the thread and lift it off."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.objects.catalogue import SPLITS
from lerobot_neuraltouch.objects.model import ObjectModel

from .holder import Holder, Thread
from .whole_env import WholeEnv

Array = NDArray[np.float64]

LIFTED_M = 0.020
"""The lid is off when it is this far above where it sat [m]."""
STROKE_RAD = float(np.deg2rad(100.0))
"""The robot can turn a grasped lid this far in one go [rad]."""
TURN_RAD = (float(np.deg2rad(120.0)), float(np.deg2rad(220.0)))
PITCH_M = (0.003, 0.005)
FRICTION_NM = (0.04, 0.12)
"""Ranges of the threads, drawn with each bottle: turn to their end [rad], rise per turn [m], torque [Nm]."""
_LID_DENSITY = 500.0
"""Of a lid with nothing in it [kg/m3]."""
_STREAM = 100
"""Seed of the threads, apart from those of the shapes."""


class LidEnv(WholeEnv):
    """Bottle lid opening.

    ## Description
    The bottle is fixed; its lid sits on a thread with friction that ends after 120 to 220 deg, then the lid is free and to be lifted off.
    It turns counter-clockwise seen from above and rises as it does; no tighter than it is at the start. Touch images show the neck below
    the lid, off the bottle too.

    ## Success
    Needs the lid turned to the end of the thread and 20 mm or more above where it sat, at rest, between both pads.

    ## Info
    - `turned_rad`: how far the lid has been turned [rad].
    - `thread_rad`: where the thread ends [rad].
    """

    task_steps: ClassVar[int] = 1100
    _is_free_at_start: ClassVar[bool] = False

    @property
    def thread(self) -> Thread:
        """The thread of this episode's bottle."""
        assert self.piece.holder is not None
        assert self.piece.holder.thread is not None
        return self.piece.holder.thread

    @property
    def is_open(self) -> bool:
        """Whether the lid has been turned to the end of the thread."""
        return self._is_open

    def way_with(self, T_object_target: Array) -> tuple[Array, ...]:
        """Before the grasp, there, turned by a stroke, and lifted off, each of shape (4, 4)."""
        before, grasp = super().way_with(T_object_target)
        turned = self.turned(grasp, STROKE_RAD)
        return before, grasp, turned, se3.transform(translation=(0.0, 0.0, 0.060)) @ turned

    def turned(self, T_base_tcp: Array, angle_rad: float) -> Array:
        """A pose of the tcp moved along with the thread, shape (4, 4)."""
        rise = self.thread.pitch_m * angle_rad / (2.0 * np.pi)
        screw = se3.exp(np.array([0.0, 0.0, rise, 0.0, 0.0, angle_rad]))
        T_base_lid = self._T_base_object  # its own motion is along and about the same axis
        return T_base_lid @ screw @ se3.inverse(T_base_lid) @ T_base_tcp

    def _make_item(self, index: int) -> ObjectModel:
        if self.object_path:
            raise ValueError(f"{self.task.name} has its own objects and takes no object_path.")
        return super()._make_item(index)

    def _make_holder(self, item: ObjectModel) -> Holder:
        *bottle, lid = item.pieces
        rng = np.random.default_rng(
            (_STREAM, SPLITS.index(self.split), int(item.name.rpartition("-")[2]))
        )
        thread = Thread(
            turn_rad=rng.uniform(*TURN_RAD),
            pitch_m=rng.uniform(*PITCH_M),
            friction_nm=rng.uniform(*FRICTION_NM),
            height_m=float(lid.bounds[:, 2].mean()),
        )
        mass = float(np.clip(_LID_DENSITY * lid.volume, 0.003, 0.03))
        moving = replace(item, mesh=lid, pieces=(lid,), mass_kg=mass)
        return Holder(pieces=tuple(bottle), moving=moving, thread=thread)

    def _begin(self) -> None:
        self._is_open = False
        super()._begin()

    def _watch(self) -> None:
        if not self._is_open and self.piece.turned_rad >= self.thread.turn_rad:
            self._is_open = True
            self.piece.release()

    def _progress(self) -> dict[str, float]:
        return {"turned_rad": self.piece.turned_rad, "thread_rad": self.thread.turn_rad}

    def _is_done(self) -> bool:
        rise = self._T_base_object[2, 3] - self.T_base_start[2, 3]
        held = self.piece.gripper.both_touch
        return bool(self._is_open and rise >= LIFTED_M and held and self._at_rest)
