"""What the oracle does in each whole task."""

from collections.abc import Iterator
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from lerobot_neuraltouch import se3

from .insert_env import LIFT_M, InsertEnv
from .lid_env import STROKE_RAD, LidEnv
from .oracle import Hand, Steps, still
from .pick_place_env import CARRY_M, PickPlaceEnv
from .whole_env import WholeEnv

Array = NDArray[np.float64]

_EXACT_M, _EXACT_RAD = 0.0001, 0.003
_MAX_STROKES = 6
_INSERT_SPEED = 0.010
"""Before and while something goes into a hole [m, rad, m/s]."""


def oracle(env: WholeEnv) -> Iterator[Array]:
    """Actions for the episode that an environment has just begun, shape (7,) each; never ends."""
    hand = Hand(env)
    return chain(_PLANS[type(env)](env, hand), still(hand))


def _pick_and_place(env: PickPlaceEnv, hand: Hand) -> Steps:
    T_start, T_goal = env.T_base_start, env.T_base_goal
    way, T_target = _choose_way(env, hand)
    yield from hand.come_to(way)
    yield from hand.grasp(T_start @ T_target)
    up = se3.transform(translation=(0.0, 0.0, CARRY_M))
    down = se3.transform(translation=(0.0, 0.0, 0.002))
    yield from hand.go_to(up @ T_start, held=True, tolerance_m=0.003, tolerance_rad=0.03)
    yield from hand.go_to(up @ T_goal, held=True, tolerance_m=0.003, tolerance_rad=0.03)
    yield from hand.go_to(down @ T_goal, held=True)
    yield from hand.go_to(T_goal, held=True, speed=0.005)
    yield from hand.let_go()
    yield from hand.back_off()


def _out_and_in(env: InsertEnv, hand: Hand) -> Steps:
    T_start = env.T_base_start
    way, T_target = _choose_way(env, hand)
    yield from hand.come_to(way)
    yield from hand.grasp(T_start @ T_target)
    above, out = (
        se3.transform(translation=(0.0, 0.0, env.depth_m + rise)) for rise in (0.002, LIFT_M)
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
    way, T_target = _choose_way(env, hand)
    T_grasp = env.way_with(T_target)[1]
    yield from hand.come_to(way)
    yield from hand.grasp(T_grasp)
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
    targets = _targets(env)
    turn = se3.rotation_angle(se3.inverse(here) @ env.T_base_start @ targets)
    nearest = targets[np.argsort(turn)]
    ways = [(way, T) for T in nearest for way in hand.ways_to(env.way_with(T)[0])]
    for way, T in ways:
        if hand.gripper.can_move(here, *way, *env.way_with(T)):
            return way, T
    return ways[0]


def _targets(env: WholeEnv) -> Array:
    """Ideal contacts in the object's frame, shape (num, 4, 4)."""
    feature = env.piece.feature
    curve = feature.curve(16)
    if feature.free_spin == 2:
        spins = np.linspace(0.0, 2.0 * np.pi, 12, endpoint=False)[:, None] * np.eye(6)[5]
        return (curve[:, None] @ se3.exp(spins)).reshape(-1, 4, 4)
    if feature.spin180:
        return np.concatenate([curve, curve @ np.diag([-1.0, -1.0, 1.0, 1.0])])
    return curve


_PLANS = {
    PickPlaceEnv: _pick_and_place,
    InsertEnv: _out_and_in,
    LidEnv: _open_bottle,
}
