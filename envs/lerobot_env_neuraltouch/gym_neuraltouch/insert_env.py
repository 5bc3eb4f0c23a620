"""Pull something out of its hole, lift it, and put it back in."""

from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.objects.bolt import draw_bolt
from lerobot_neuraltouch.objects.catalogue import object_rng
from lerobot_neuraltouch.objects.model import ObjectModel
from lerobot_neuraltouch.objects.plug import PLUG_KINDS, make_plug

from .carry_env import CarryEnv
from .holder import Holder, plate_with_holes

Array = NDArray[np.float64]

CLEARANCE_M = {"BoltOutInHole": 0.002, "PlugOutInHole": 0.001, "UsbOutInHole": 0.0005}
"""By how much the hole is wider than what goes in [m]."""
OUT_M = 0.005
"""It is out of the hole when its tip is this far above the table [m]."""
LIFT_M = 0.020
"""The oracle's way lifts the tip of the longest this far above the table [m]."""
_SHANK_M, _DEEPEST_M = 0.020, 0.060
"""A bolt stands in its hole by half of its shaft, at most so deep, with so much of the shaft above the table: room for fingers [m]."""
_BOLT_SIDES = 24


class InsertEnv(CarryEnv):
    """Out of the hole and back in.

    ## Description
    A bolt or a plug stands in a hole of the table, free but for the hole's walls; above the table is what can be grasped as a bolt's
    head. It is to be pulled out and put back to where it was. The hole is wider than what goes in by 2 mm (bolt), 1 mm (mains plug, two
    holes) or 0.5 mm (USB plug): half of it on either side of a centred one. It has no chamfer; the tips have.

    ## Success
    Needs the tip to have been 5 mm above the table on the way, and the object back where it was within the clearance, both
    in height and aside; at rest, let go or still held.
    """

    task_steps: ClassVar[int] = 500

    @property
    def T_base_goal(self) -> Array:
        """Where the object was at the start, shape (4, 4)."""
        return self.T_base_start

    @property
    def depth_m(self) -> float:
        """How deep the object stands in its hole [m]."""
        assert self.piece.holder is not None
        return self.piece.holder.sink_m

    @property
    def lift_m(self) -> float:
        """How far the oracle lifts: all objects of a task alike, so that the motion can be replayed on another one [m]."""
        return LIFT_M + (_DEEPEST_M if self.task.category == "bolt" else self.depth_m)

    @cached_property
    def clearance_m(self) -> float:
        """By how much the hole is wider than what goes in [m]."""
        return CLEARANCE_M[self.task.name]

    def way_with(self, T_object_target: Array) -> tuple[Array, ...]:
        """Before the grasp, there, out of the hole, back in, and back from it, each of shape (4, 4)."""
        before, grasp = super().way_with(T_object_target)
        up = se3.transform(translation=(0.0, 0.0, self.lift_m))
        return before, grasp, up @ grasp, grasp, before

    def _make_item(self, index: int) -> ObjectModel:
        if self.object_path:
            raise ValueError(f"{self.task.name} has its own objects and takes no object_path.")
        if self.task.category in PLUG_KINDS:
            return make_plug(self.task.category, self.split, index)
        return super()._make_item(index)

    def _make_holder(self, item: ObjectModel) -> Holder:
        if item.category in PLUG_KINDS:
            kind = PLUG_KINDS[item.category]
            outlines = [prong.outline for prong in kind.prongs]
            return plate_with_holes(outlines, self.clearance_m, kind.prong_m, floor_m=0.002)
        index = int(item.name.rpartition("-")[2])
        bolt = draw_bolt(object_rng("bolt", self.split, index))
        angles = 2.0 * np.pi * np.arange(_BOLT_SIDES) / _BOLT_SIDES
        radius = 0.5 * bolt.diameter_m / np.cos(np.pi / _BOLT_SIDES)  # the sides touch the shaft
        outline = radius * np.column_stack([np.cos(angles), np.sin(angles)])
        depth = min(0.5 * bolt.shaft_m, bolt.shaft_m - _SHANK_M, _DEEPEST_M)
        return plate_with_holes([outline], self.clearance_m, depth, floor_m=0.0)

    def _draw_place(self) -> Array:
        T = super()._draw_place()
        T[2, 3] = -self.depth_m
        return T

    def _is_done(self) -> bool:
        gap = self._gap_m
        aside = float(np.linalg.norm(gap[:2]))
        return bool(
            self._highest_m >= self.depth_m + OUT_M
            and gap[2] <= self.clearance_m
            and aside <= self.clearance_m
            and self._at_rest
        )
