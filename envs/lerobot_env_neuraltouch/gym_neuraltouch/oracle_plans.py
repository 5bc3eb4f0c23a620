"""What the oracle does in each whole task."""

from collections.abc import Generator, Iterator
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from lerobot_neuraltouch import se3

from .insert_env import InsertEnv
from .lid_env import STROKE_RAD, LidEnv
from .oracle import Hand, Steps, still
from .pick_place_env import PickPlaceEnv
from .whole_env import WholeEnv

Array = NDArray[np.float64]

_EXACT_M, _EXACT_RAD = 0.0001, 0.003
_MAX_STROKES = 6
_ALONG, _SPINS = 16, 12
"""Contacts among which the oracle chooses."""
_INSERT_SPEED = 0.010
"""Before and while something goes into a hole [m, rad, m/s]."""
_ABOVE = se3.transform(translation=(0.0, 0.0, 0.003))
"""From here on objects are set down slowly."""


def oracle(env: WholeEnv, hand: Hand) -> Iterator[Array]:
    """Actions for the episode that an environment has just begun, shape (7,) each; never ends."""
    return chain(_PLANS[type(env)](env, hand), still(hand))


def reach(env: WholeEnv, hand: Hand) -> Generator[Array, None, Array]:
    """Come to a contact and touch it gently; which one, in the object's frame, shape (4, 4)."""
    way, T_target = _choose_way(env, hand)
    yield from hand.come_to(way)
    yield from hand.go_to(env.way_with(T_target)[1])
    yield from hand.touch()
    return T_target


def _pick_and_place(env: PickPlaceEnv, hand: Hand) -> Steps:
    T_target = yield from reach(env, hand)
    up, over, down = env.carry(T_target)
    # A mug leans in the hand by what it weighs: its own pose is led. A bottle hangs upright by itself; to follow it would make it swing.
    hangs = env.task.category == "bottle"
    T_from = hand.gripper.T_base_tcp if hangs else env.T_base_start
    held = not hangs
    yield from hand.squeeze()
    yield from hand.go_to(up @ T_from, held=held, tolerance_m=0.003, tolerance_rad=0.03)
    yield from hand.go_to(over @ T_from, held=held, tolerance_m=0.003, tolerance_rad=0.03)
    yield from hand.go_to(_ABOVE @ down @ T_from, held=held)
    yield from hand.go_to(down @ T_from, held=held, speed=0.005)
    yield from hand.let_go()
    yield from hand.back_off()


def _out_and_in(env: InsertEnv, hand: Hand) -> Steps:
    T_start = env.T_base_start
    yield from reach(env, hand)
    yield from hand.squeeze()
    above, out = (
        se3.transform(translation=(0.0, 0.0, rise)) for rise in (env.depth_m + 0.002, env.lift_m)
    )
    yield from hand.go_to(out @ T_start, held=True)
    yield from hand.go_to(
        above @ T_start, held=True, tolerance_m=_EXACT_M, tolerance_rad=_EXACT_RAD
    )
    yield from hand.go_to(
        T_start, held=True, speed=_INSERT_SPEED, tolerance_m=_EXACT_M, tolerance_rad=_EXACT_RAD
    )
    yield from hand.let_go()
    yield from hand.back_off()


def _open_bottle(env: LidEnv, hand: Hand) -> Steps:
    yield from reach(env, hand)
    yield from hand.squeeze()
    for _ in range(_MAX_STROKES):
        T_begin = hand.gripper.T_base_tcp
        yield from hand.go_to(env.turned(T_begin, STROKE_RAD), unless=lambda: env.is_open)
        if env.is_open:
            break
        yield from hand.let_go()
        yield from hand.go_to(T_begin)
        yield from hand.touch()
        yield from hand.squeeze()
    up = se3.transform(translation=(0.0, 0.0, 0.050))
    yield from hand.go_to(up @ hand.gripper.T_base_tcp)


def _choose_way(env: WholeEnv, hand: Hand) -> tuple[list[Array], Array]:
    """How to come to before a contact, and the contact in the object's frame: of those that let the robot do the whole task, the one
    that asks for the least turning."""
    here = hand.gripper.T_base_tcp
    targets = env.contacts(_ALONG, _SPINS)
    turn = se3.rotation_angle(se3.inverse(here) @ env.T_base_start @ targets)
    nearest = targets[np.argsort(turn)]
    ways = [(way, T) for T in nearest for way in hand.ways_to(env.way_with(T)[0])]
    for way, T in ways:
        if hand.gripper.can_move(here, *way, *env.way_with(T)):
            return way, T
    return ways[0]


_PLANS = {
    PickPlaceEnv: _pick_and_place,
    InsertEnv: _out_and_in,
    LidEnv: _open_bottle,
}
