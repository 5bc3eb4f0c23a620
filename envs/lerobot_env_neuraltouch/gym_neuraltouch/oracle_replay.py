"""One of the oracle's motions, replayed open loop from its grasp of another object: what a skill of one demonstration can do at best."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from lerobot_neuraltouch import replay

from .oracle import Hand, Steps, still
from .oracle_plans import oracle, reach
from .whole_env import WholeEnv

Array = NDArray[np.float64]

_MAX_TRIES = 10
"""Episodes played for one demonstration that succeeds."""


@dataclass(frozen=True, eq=False)
class Demonstration:
    """What a hand did after its touch, in L control steps."""

    motion: Array
    """Displacements from the grasp, see `lerobot_neuraltouch.replay`, shape (L, 4, 4)."""
    finger_changes: Array
    """Set point of the fingers less their distance at the grasp [m], shape (L,)."""


def demonstrate(env: WholeEnv, seed: int) -> Demonstration:
    """The oracle's motion in its first right episode from a seed on.

    Raises:
        RuntimeError: If there is none in ten.
    """
    for attempt in range(_MAX_TRIES):
        demonstration = _play(env, seed + attempt)
        if demonstration is not None:
            return demonstration
    raise RuntimeError(f"The oracle fails at {env.task.name} in {_MAX_TRIES} seeds from {seed} on.")


def replayed(env: WholeEnv, demonstration: Demonstration) -> Iterator[Array]:
    """Actions for the episode that an environment has just begun: the oracle's grasp, then the demonstration; never ends."""
    hand = Hand(env)
    return chain(_repeat(env, hand, demonstration), still(hand))


def _play(env: WholeEnv, seed: int) -> Demonstration | None:
    """One episode; None if it ends wrong."""
    _, info = env.reset(seed=seed)
    hand, ended = Hand(env), False
    poses, set_points = [], []
    actions = oracle(env, hand)
    while not ended:
        action = next(actions)
        *_, terminated, truncated, info = env.step(action)
        ended = terminated or truncated
        if hand.T_base_grasp is not None:
            poses.append(hand.gripper.T_base_tcp)
            set_points.append(action[6])
    if not info["is_success"] or hand.T_base_grasp is None:
        return None
    motion = replay.displacements(np.array(poses), hand.T_base_grasp)
    return Demonstration(motion, np.array(set_points) - hand.grasp_distance_m)


def _repeat(env: WholeEnv, hand: Hand, demonstration: Demonstration) -> Steps:
    yield from reach(env, hand)
    assert hand.T_base_grasp is not None
    way = replay.poses_from(hand.T_base_grasp, demonstration.motion)
    for T_base_tcp, change in zip(way, demonstration.finger_changes, strict=True):
        yield hand.follow(T_base_tcp, hand.grasp_distance_m + float(change))
