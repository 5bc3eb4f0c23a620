"""The contract between policy, environments and robots: every observation and action component.

Frames: `base` is the robot's base (the world, for the free gripper), z up. `tcp` lies midway between the two
fingertip pads; z is the approach direction, y the closing direction (left pad at -y, right pad at +y). SI units.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

# --- dataset and policy keys (LeRobot names) ---------------------------------------------------------------------
ACTION = "action"
STATE = "observation.state"
"""tcp pose in base as position [m] and rotation vector [rad], then finger distance [m]; float32 (7,)."""
TACTILE_LEFT = "observation.images.tactile_left"
TACTILE_RIGHT = "observation.images.tactile_right"
"""Touch images, uint8 (H, W, 3) with three equal channels; 64 x 64 by default."""
POINT_CLOUD = "observation.point_cloud"
"""Visible surface of the object in base [m], float32 (NUM_CLOUD_POINTS, 3), finite, taken once per reset."""
WRIST_DEPTH = "observation.images.wrist_depth"
"""Depth picture of the wrist camera: uint16 [mm] live, float32 [mm] from datasets; 0 is invalid."""
PHASE = "observation.phase"
"""Phase of the episode, float32 (1,), one of `Phase`. In datasets only; never a network input."""
EXECUTED_ACTION = "observation.executed_action"
"""The action that moved the gripper, float32 (7,); in DAgger data `action` is the teacher's. Never a network input."""

NUM_CLOUD_POINTS = 1024
TACTILE_SIZE = 64
CONTROL_HZ = 10

ACTION_NAMES = (
    "tcp_vx.vel", "tcp_vy.vel", "tcp_vz.vel", "tcp_wx.vel", "tcp_wy.vel", "tcp_wz.vel", "gripper.pos",
)  # fmt: skip
"""Twist of the tcp in the tcp frame [m/s, rad/s], then the set point of the finger distance [m]."""
STATE_NAMES = (
    "tcp_x.pos", "tcp_y.pos", "tcp_z.pos", "tcp_rx.pos", "tcp_ry.pos", "tcp_rz.pos", "gripper.pos",
)  # fmt: skip

# --- limits ------------------------------------------------------------------------------------------------------
MAX_LINEAR_SPEED = 0.020
"""[m/s], largest component of the tcp's linear velocity."""
MAX_ANGULAR_SPEED = float(np.deg2rad(10.0))
"""[rad/s], largest component of the tcp's angular velocity."""
FINE_LINEAR_SPEED = 0.010
FINE_ANGULAR_SPEED = float(np.deg2rad(5.0))
"""Clamps of the fine phase [m/s, rad/s]."""
MIN_FINGER_DISTANCE = -0.016
MAX_FINGER_DISTANCE = 0.085
"""Range of the finger distance [m], measured between the undeformed pads: negative when both press into a thin wall.

The set point of a firm grip lies below the distance that the fingers reach: around a 4 mm wall both skins end on their stops at
-7 mm, and a set point of -16 mm grips with the 18 N that carrying a mug by its rim takes."""
PRESS_DEPTH = 0.002
"""How far each pad is pressed into its skin at the target [m]."""
OPENING_MARGIN = 0.040
"""A skill starts with the fingers this much wider than the part [m]."""

ACTION_LOW = np.array(
    [-MAX_LINEAR_SPEED] * 3 + [-MAX_ANGULAR_SPEED] * 3 + [MIN_FINGER_DISTANCE], dtype=np.float32
)
ACTION_HIGH = np.array(
    [MAX_LINEAR_SPEED] * 3 + [MAX_ANGULAR_SPEED] * 3 + [MAX_FINGER_DISTANCE], dtype=np.float32
)


class Phase:
    """Values of `observation.phase`."""

    COARSE = 0
    FINE = 1
    REPLAY = 2


FEATURES = {
    "mug_rim": "mug",
    "mug_wall": "mug",
    "right_angle_handle": "mug",
    "horizontal_handle": "mug",
    "bottle_head": "bottle",
    "bolt_head": "bolt",
}
"""Contact features and the category of objects that have them (the handle's, if their handle is of that style)."""

HELD_OUT_FEATURES = {"handle_bar": "mug", "lid_from_side": "bottle"}
"""Contact features that nothing of ours was ever trained on, and their objects: what a new skill from one demonstration has to do with."""

NEIGHBOURS = {"mug_rim": ("mug_wall",), "mug_wall": ("mug_rim",)}
"""Contacts that the fingers reach from another one by moving along the part that they hold."""

EXCHANGEABLE_FINGERS = frozenset(
    {"right_angle_handle", "horizontal_handle", "handle_bar", "bottle_head", "bolt_head"}
)
"""Contacts at which a grasp turned by 180 degrees about tcp z, the fingers having changed sides, is as good."""


@dataclass(frozen=True)
class Task:
    """One environment task: the contact it is about and the text that selects the skill."""

    name: str
    category: str
    feature: str
    text: str


TASKS = {
    task.name: task
    for task in (
        Task("RefineMugRim", "mug", "mug_rim", "Grasp the mug by its rim"),
        Task("RefineMugWall", "mug", "mug_wall", "Grasp the mug by its wall"),
        Task(
            "RefineRightAngleHandle",
            "mug",
            "right_angle_handle",
            "Grasp the mug by the corner of its handle",
        ),
        Task(
            "RefineHorizontalHandle",
            "mug",
            "horizontal_handle",
            "Grasp the mug by the loop of its handle",
        ),
        Task("RefineBottleHead", "bottle", "bottle_head", "Grasp the bottle by its lid"),
        Task("RefineBoltHead", "bolt", "bolt_head", "Grasp the bolt by its head"),
    )
}
"""Tasks that end with a refined grasp, one for each contact feature."""

HELD_OUT_TASKS = {
    task.name: task
    for task in (
        Task("RefineHandleBar", "mug", "handle_bar", "Grasp the mug by the bar of its handle"),
        Task(
            "RefineLidFromSide",
            "bottle",
            "lid_from_side",
            "Grasp the bottle by its lid from the side",
        ),
    )
}
"""The same for the held-out features."""
REFINE_TASKS = TASKS | HELD_OUT_TASKS

WHOLE_TASKS = {
    task.name: task
    for task in (
        Task("PickPlaceMugHandle", "mug", "horizontal_handle", "Move the mug by its handle"),
        Task("PickPlaceMugRim", "mug", "mug_rim", "Move the mug by its rim"),
        Task("PickPlaceBottleLid", "bottle", "bottle_head", "Move the bottle by its lid"),
        Task("BoltOutInHole", "bolt", "bolt_head", "Pull the bolt out and put it back in"),
        Task("PlugOutInHole", "plug", "bolt_head", "Pull the plug out and put it back in"),
        Task("UsbOutInHole", "usb", "bolt_head", "Pull the USB plug out and put it back in"),
        Task("BottleLidOpening", "bottle", "bottle_head", "Open the bottle"),
    )
}
"""Tasks that go on with the object in hand."""


def get_task(name: str, among: Mapping[str, Task] = REFINE_TASKS | WHOLE_TASKS) -> Task:
    """Look up a task by its name, in all or in some that it has to be among.

    Raises:
        ValueError: If there is no such task; the message lists the ones that exist.
    """
    if name not in among:
        raise ValueError(f"Unknown task '{name}'. Available: {', '.join(sorted(among))}.")
    return among[name]


def task_of_feature(feature: str) -> Task:
    """Look up the task that refines a contact feature.

    Raises:
        ValueError: If no task does; the message lists the features that exist.
    """
    for task in REFINE_TASKS.values():
        if task.feature == feature:
            return task
    raise ValueError(
        f"Unknown feature '{feature}'. Available: {', '.join(sorted(t.feature for t in REFINE_TASKS.values()))}."
    )


def neighbours_in_turn(feature: str, then: str | None) -> list[Task]:
    """The tasks of contacts that are wanted after another one, each a neighbour of the one before it.

    Args:
        feature: The contact to begin with.
        then: Contact features, comma-separated; None or nothing for none.

    Raises:
        ValueError: If one is no neighbour of the one before; the message lists those that are.
    """
    tasks: list[Task] = []
    for name in [part.strip() for part in (then or "").split(",") if part.strip()]:
        known = NEIGHBOURS.get(feature, ())
        if name not in known:
            raise ValueError(
                f"'{name}' is not reached from '{feature}' by touch. Available: {', '.join(known) or 'none'}."
            )
        tasks.append(task_of_feature(name))
        feature = name
    return tasks


def route_of(text: str) -> list[Task]:
    """The tasks of contacts that follow one another, written FIRST>SECOND or longer.

    Raises:
        ValueError: If there are fewer than two, or one is no neighbour of the one before.
    """
    first, *later = [part.strip() for part in text.split(">")]
    if not later:
        raise ValueError(
            f"Contacts that follow one another are written FIRST>SECOND, got '{text}'."
        )
    return [task_of_feature(first), *neighbours_in_turn(first, ",".join(later))]


def check_action(action: ArrayLike) -> NDArray[np.float64]:
    """Check an action at the boundary and clip it to the limits, shape (7,).

    Raises:
        ValueError: If the action has another shape or holds NaN or infinity.
    """
    checked = np.asarray(action, dtype=np.float64)
    if checked.shape != (len(ACTION_NAMES),):
        raise ValueError(
            f"An action has shape ({len(ACTION_NAMES)},): {', '.join(ACTION_NAMES)}; got {checked.shape}."
        )
    if not np.isfinite(checked).all():
        bad = [
            name
            for name, value in zip(ACTION_NAMES, checked, strict=True)
            if not np.isfinite(value)
        ]
        raise ValueError(f"An action must be finite; got NaN or infinity in {', '.join(bad)}.")
    return np.minimum(np.maximum(checked, ACTION_LOW), ACTION_HIGH)  # `np.clip` takes twice as long


def start_opening(part_thickness_m: float) -> float:
    """Finger distance [m] at which a skill approaches a part of the given thickness [m]."""
    return min(part_thickness_m + OPENING_MARGIN, MAX_FINGER_DISTANCE)
