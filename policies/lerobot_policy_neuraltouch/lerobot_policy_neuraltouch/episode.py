"""One environment's way through the phases: coarse, fine, replay."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from lerobot_neuraltouch.features import NEIGHBOURS, Phase
from lerobot_policy_neuraltouch.fine import ClosingOnly, FineServo, Refined
from lerobot_policy_neuraltouch.motion import Array, CoarseMotion, Feel, ReplayMotion
from lerobot_policy_neuraltouch.progress import APPROACH
from lerobot_policy_neuraltouch.settings import CoarseSettings
from lerobot_policy_neuraltouch.skills import Skill

MISSED_M = 0.003
"""Closed on nothing: no touch with the pads this far past each other [m], or past the demonstrated distance where that is less."""
SEEKING_STEPS = 60
"""Closing and centring take half as many control steps; then something holds the fingers up."""


@dataclass(frozen=True)
class Diagnostics:
    """What the policy knows about one environment; for logs, demos and benchmarks."""

    task: str
    phase: int
    """One of `features.Phase`."""
    T_base_coarse: Array
    """Where the fine phase was meant to begin (4, 4)."""
    confidence: float
    """Of the pose search, in [0, 1]; 1 where none was needed."""
    expected_error_m: float
    """The refiner's expected error of position [m]; NaN before the fine phase."""
    expected_error_rad: float
    """And of orientation [rad]."""
    converged: bool
    """The fine phase has come to rest."""
    fine_steps: int
    """Control steps spent in the fine phase, since its last beginning."""
    retries: int
    """How often the fingers closed on nothing or were held up, opened and tried further on."""
    searches: int
    """How often the hand slid along the part because touch did not tell where it is, since the fine phase's last beginning."""
    switches: int
    """How often another contact of the part in hand was asked for and taken up."""
    servo_gain: Array
    """Share of each component of the refiner's twist that the fine phase let through, shape (6,)."""
    T_base_grasp: Array | None
    """Refined grasp (4, 4), once converged."""


@dataclass
class Episode:
    """State machine of one environment."""

    skill: Skill
    T_base_coarse: Array
    confidence: float
    coarse: CoarseMotion | None
    """None where the episode starts at the coarse pose."""
    coarse_settings: CoarseSettings
    """How another try goes in, and how many there may be."""
    fine: FineServo | ClosingOnly
    history: deque[NDArray[np.float32]]
    """States of the fine phase, the newest last."""
    cloud_mark: int | None
    """Fingerprint of the cloud the episode began with."""
    replays: bool = True
    """Whether the skill's recorded motion follows the fine phase."""
    replay: ReplayMotion | None = field(default=None, init=False)
    retries: int = field(default=0, init=False)
    switches: int = field(default=0, init=False)
    expected_error: tuple[float, float] = field(default=(np.nan, np.nan), init=False)
    """Of position [m] and orientation [rad]."""
    _coarse_twist: Array | None = field(default=None, init=False)

    @property
    def phase(self) -> int:
        """One of `features.Phase`."""
        if self.replay is not None:
            return Phase.REPLAY
        return Phase.FINE if self.coarse is None else Phase.COARSE

    def reaches(self, skill: Skill) -> bool:
        """Whether the contact of another skill can be reached from here by touch alone."""
        here, there = self.skill.spec.feature, skill.spec.feature
        touching = self.phase == Phase.FINE and isinstance(self.fine, FineServo)
        return touching and (there == here or there in NEIGHBOURS.get(here, ()))

    def switch(self, skill: Skill) -> None:
        """Go on with another skill from where the fingers are; how they have moved so far stays known."""
        self.skill = skill
        # The other contact may be farther off than an estimate reaches, where the filter's noise was not chosen.
        self.fine = FineServo(replace(self.fine.settings, memory=False))
        self.expected_error = (np.nan, np.nan)
        self.retries = 0
        self.switches += 1

    def lead(self, aside: Array) -> None:
        """Let the hand come to rest beside the target [m, rad], shape (6,)."""
        if isinstance(self.fine, FineServo):
            self.fine.aside = aside

    def advance(self, state: NDArray[np.float32], feel: Feel) -> int:
        """Change the phase where its time has come, and return it. To be called once per step, before `act`."""
        if self.coarse is not None:
            self._coarse_twist = self.coarse.step(feel)
            if self._coarse_twist is None:
                self.coarse = None
        elif self.replay is None and self.fine.converged:
            length = len(self.skill.replay_fingers) if self.replays else 0
            self.replay = ReplayMotion(
                feel.T_base_tcp,
                feel.finger_distance,
                self.skill.replay_motion[:length].double().cpu().numpy(),
                self.skill.replay_fingers[:length].double().cpu().numpy(),
                self.fine.set_point,
            )
        elif self.replay is None and (direction := self._way_on(feel)) is not None:
            self._try_again(feel, direction)
        if self.phase == Phase.FINE:
            self.history.append(state)
        return self.phase

    def _way_on(self, feel: Feel) -> Array | None:
        """Where the part must be, in the tcp frame (3,), if the fingers closed on nothing or are held up; None if all is well."""
        if isinstance(self.fine, ClosingOnly) or self.retries >= self.coarse_settings.max_retries:
            return None
        limit = min(float(self.skill.finger_distance), 0.0) - MISSED_M
        missed = not feel.any and feel.finger_distance < limit
        if missed or self.fine.seeking_steps > SEEKING_STEPS:
            return APPROACH
        return self.fine.progress.held_up(feel)

    def _try_again(self, feel: Feel, direction: Array) -> None:
        opening = float(self.skill.opening)
        self.coarse = CoarseMotion.onwards(
            feel.T_base_tcp, direction, opening, self.coarse_settings
        )
        self._coarse_twist = self.coarse.step(feel)
        if self._coarse_twist is None:  # open already, and touching
            self.coarse = None
        self.fine = FineServo(self.fine.settings, self.fine.aside)
        self.history.clear()
        self.retries += 1

    def act(self, feel: Feel, refined: Refined | None) -> Array:
        """The action of this step, shape (7,).

        Args:
            feel: State and touch.
            refined: What the refiner says; needed in the fine phase with a refiner.
        """
        if self.replay is not None:
            twist, finger = self.replay.step(feel)
        elif self.coarse is not None:
            assert self._coarse_twist is not None
            twist, finger = self._coarse_twist, float(self.skill.opening)
        elif isinstance(self.fine, ClosingOnly):
            twist, finger = self.fine.step(feel)
        else:
            assert refined is not None
            twist, finger = self.fine.step(refined, feel)
            self._expect(self.fine)
        return np.append(twist, finger)

    def _expect(self, fine: FineServo) -> None:
        settings, error = fine.settings, fine.expected
        self.expected_error = (
            settings.expected_position_scale * float(np.linalg.norm(error[:3])),
            settings.expected_angle_scale * float(np.linalg.norm(error[3:])),
        )

    def past(self, deltas: Sequence[int]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """States of the fine phase at steps relative to now, and whether there was a fine phase then.

        Args:
            deltas: Steps, at most 0; shape (history,).

        Returns:
            States, shape (history, 7), the earliest one where there was none yet; and validity, shape (history,).
        """
        wanted = [len(self.history) - 1 + delta for delta in deltas]
        states = np.stack([self.history[max(i, 0)] for i in wanted])
        return states, np.array([i >= 0 for i in wanted])

    def report(self) -> Diagnostics:
        """A snapshot for the outside."""
        return Diagnostics(
            task=self.skill.spec.task,
            phase=self.phase,
            T_base_coarse=self.T_base_coarse,
            confidence=self.confidence,
            expected_error_m=self.expected_error[0],
            expected_error_rad=self.expected_error[1],
            converged=self.fine.converged or self.replay is not None,
            fine_steps=self.fine.steps,
            retries=self.retries,
            searches=self.fine.search.count if isinstance(self.fine, FineServo) else 0,
            switches=self.switches,
            servo_gain=self.fine.gain if isinstance(self.fine, FineServo) else np.ones(6),
            T_base_grasp=None if self.replay is None else self.replay.T_base_grasp,
        )
