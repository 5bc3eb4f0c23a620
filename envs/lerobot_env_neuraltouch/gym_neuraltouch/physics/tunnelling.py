"""Checks that nothing passes through anything while the hand is driven at its limits."""

from collections.abc import Iterator

import mujoco
import numpy as np
import trimesh

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.features import ACTION_HIGH, ACTION_LOW, CONTROL_HZ, MAX_FINGER_DISTANCE
from lerobot_neuraltouch.objects.catalogue import make_object_with
from lerobot_neuraltouch.objects.model import ObjectModel
from lerobot_neuraltouch.objects.views import make_scene, to_tensor
from lerobot_neuraltouch.tactile import TacTipFinger

from .rig import Array, Rig, make_item
from .row import Row, at_most

_BLOCK_M = 0.040
_SECONDS = 4.0
_DOWN = np.diag([1.0, -1.0, -1.0])
"""Orientation of a hand that points down."""


def solids() -> dict[str, ObjectModel]:
    """Fixed objects thicker than the skin, around their own origin."""
    block = trimesh.creation.box((_BLOCK_M, _BLOCK_M, _BLOCK_M))
    return {
        "block": make_item("block", block, _BLOCK_M),
        "rod": make_item("rod", trimesh.creation.cylinder(0.0175, 0.06, sections=96), 0.035),
    }


def driving_in(finger: TacTipFinger, name: str) -> Iterator[Row]:
    """Every single axis at its limit into a solid, with and without the fingers closing."""
    speed = float(ACTION_HIGH[0])
    half = _BLOCK_M / 2
    side, ahead = finger.pad_radius_m + half + 0.001, half + finger.pad_radius_m + 0.004
    ways = {
        "pad along its normal": ((0, -0.2 * half, 0), (0, -speed, 0), MAX_FINGER_DISTANCE),
        "both fingers closing": ((0, 0, 0), (0, 0, 0), float(ACTION_LOW[6])),
        "edge of the pads from the side": ((-side, 0, 0), (speed, 0, 0), 0.030),
        "tips from above": ((0, 0, ahead), (0, 0, speed), 0.030),
        "tips from above, closing": ((0, 0, ahead), (0, 0, speed), float(ACTION_LOW[6])),
    }
    for shape, item in solids().items():
        rig = Rig(item, finger)
        for way, (place, velocity, set_point) in ways.items():
            pose = se3.transform(_DOWN, np.array(place, dtype=float))
            action = np.concatenate([velocity, np.zeros(3), [set_point]])
            opening = set_point if set_point > 0 else _BLOCK_M + 0.004
            rig.place(pose, opening)
            watcher = _drive(rig, [action] * round(CONTROL_HZ * _SECONDS))
            yield from watcher.rows(name, f"{shape}, {way}")


def random_driving(finger: TacTipFinger, name: str, seed: int, episodes: int) -> Iterator[Row]:
    """Random actions up to the limits, each held for half a second, around solids and a mug's wall of 4 mm."""
    rng = np.random.default_rng(seed)
    mug = make_object_with("mug_rim", "test", seed)
    cases = {shape: (item, "middle") for shape, item in solids().items()}
    for shape, (item, contact) in (cases | {"mug": (mug, "mug_rim")}).items():
        rig, watcher = Rig(item, finger, contact=contact), None
        for _ in range(episodes):
            target = item.feature(contact).sample(rng)
            rig.place(target if contact != "middle" else se3.transform(_DOWN), MAX_FINGER_DISTANCE)
            actions = np.repeat(rng.uniform(ACTION_LOW, ACTION_HIGH, (12, 7)), 5, axis=0)
            closing = rng.random(len(actions)) < 0.7
            actions[closing, 6] = ACTION_LOW[6]
            watcher = _drive(rig, list(actions), watcher)
        if watcher is not None:
            yield from watcher.rows(name, f"{shape}, {episodes} x 6 s of random actions")


def _drive(rig: Rig, actions: list[Array], watcher: "_Watcher | None" = None) -> "_Watcher":
    watcher = watcher or _Watcher(rig)
    for action in actions:
        rig.gripper.drive(action[:6], float(action[6]), watcher)
        watcher.sound = watcher.sound and not rig.gripper.failure()
    return watcher


class _Watcher:
    """The deepest that anything ever was inside the object, looked at every 20 ms: faster than a wall can be passed.

    Args:
        rig: The rig to watch.
    """

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._scene = make_scene(rig.piece.item.mesh)
        self._geoms = [f"{side}_{part}" for side in ("left", "right") for part in ("skin", "core")]
        self.pad_m = self.centre_m = self.overlap_m = 0.0
        self.sound = True

    def __call__(self) -> None:
        rig = self._rig
        mujoco.mj_kinematics(rig.model, rig.data)
        pads = [rig.data.body(name).xpos for name in ("left", "right")]
        centres = [rig.data.geom(name).xpos for name in self._geoms]
        points = se3.apply(se3.inverse(rig.piece.T_base_object), np.stack(pads + centres))
        inside = -self._scene.compute_signed_distance(to_tensor(points)).numpy()
        self.pad_m = max(self.pad_m, float(inside[:2].max()))
        self.centre_m = max(self.centre_m, float(inside[2:].max()))
        self.overlap_m = max(self.overlap_m, rig.overlap_m())

    def rows(self, name: str, case: str) -> Iterator[Row]:
        """What was seen with the finger of a name."""
        finger, part = self._rig.finger, self._rig.piece.feature.part_thickness_m
        bad = 0.0 if self.sound else np.inf
        kind = {"check": "tunnelling", "finger": name, "case": case, "unit": "mm"}
        if (
            part > 2 * finger.core_depth_m
        ):  # in a thin wall the undeformed pad's centre may be anywhere
            limit = 1e3 * finger.core_depth_m
            yield at_most(
                1e3 * self.pad_m + bad, limit, quantity="undeformed pad's centre inside", **kind
            )
        yield at_most(
            1e3 * self.centre_m + bad, 0.0, quantity="centre of skin or core inside", **kind
        )
        limit = 1e3 * min(finger.skin_height_m, finger.core_half_size_m[2])
        yield at_most(1e3 * self.overlap_m + bad, limit, quantity="overlap of hard geoms", **kind)
