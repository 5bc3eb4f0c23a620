"""Who shows a whole task to a recorder: the oracle, step by step, with the phase it is in."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lerobot_neuraltouch.features import Phase

from .oracle import Hand
from .oracle_plans import oracle
from .whole_env import WholeEnv

Array = NDArray[np.float64]


class Demonstrator:
    """The oracle in the episode that an environment has just begun; see `WholeEnv.demonstrator`."""

    def __init__(self, env: WholeEnv) -> None:
        self._hand = Hand(env)
        self._actions: Iterator[Array] = oracle(env, self._hand)

    def act(self) -> Array:
        """The action of the next control step, shape (7,)."""
        return next(self._actions)

    @property
    def phase(self) -> int:
        """One of `features.Phase`: coarse on the way, fine until the grasp is right, then the motion that is to be learned."""
        if self._hand.T_base_grasp is not None:
            return Phase.REPLAY
        return Phase.FINE if self._hand.has_come else Phase.COARSE
