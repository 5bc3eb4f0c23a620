"""The running episodes of all environments of a batch: which go on, and which begin."""

import logging
from collections import deque
from collections.abc import Mapping
from typing import Any

from lerobot_neuraltouch.ndf.network import DescriptorField
from lerobot_policy_neuraltouch import observations as obs
from lerobot_policy_neuraltouch.coarse_search import begin_coarse
from lerobot_policy_neuraltouch.configuration_neuraltouch import NeuralTouchConfig
from lerobot_policy_neuraltouch.episode import Diagnostics, Episode
from lerobot_policy_neuraltouch.fine import ClosingOnly, FineServo
from lerobot_policy_neuraltouch.motion import Feel
from lerobot_policy_neuraltouch.settings import CoarseSettings
from lerobot_policy_neuraltouch.skills import Skill, SkillSet

logger = logging.getLogger(__name__)


class Episodes:
    """One episode per environment, in the order of the batch.

    Args:
        config: The policy's settings.
        field: Its descriptor field.
        skills: Its skills.
    """

    def __init__(self, config: NeuralTouchConfig, field: DescriptorField, skills: SkillSet):
        self._config, self._field, self._skills = config, field, skills
        self._running: list[Episode | None] = []

    def reports(self) -> list[Diagnostics]:
        """What is known of each environment."""
        return [episode.report() for episode in self._running if episode is not None]

    def current(self, batch: Mapping[str, Any], feels: list[Feel]) -> list[Episode]:
        """The running episodes; new ones begin at the start, with a new cloud, a new task or another batch size.

        A new task whose contact lies next to the one in hand goes on from there, by touch alone.
        """
        if len(self._running) != len(feels):
            self._running = [None] * len(feels)
        episodes = []
        for i, (task, feel) in enumerate(zip(obs.tasks_of(batch, len(feels)), feels, strict=True)):
            episode, mark = self._running[i], obs.cloud_mark(batch, i)
            if episode is None or episode.cloud_mark != mark:
                episode = self._running[i] = self._begin(batch, i, self._skills[task], feel, mark)
            elif episode.skill.spec.task != task:
                episode = self._running[i] = self._change(batch, i, episode, feel, task)
            episodes.append(episode)
        return episodes

    def _change(
        self, batch: Mapping[str, Any], index: int, episode: Episode, feel: Feel, task: str
    ) -> Episode:
        """The episode after a new task: the same one where touch leads there, else one from the beginning."""
        skill, known = self._skills[task], episode.skill.spec.task
        if episode.reaches(skill):
            logger.info("Environment %d: from '%s' on to '%s' by touch.", index, known, task)
            episode.switch(skill)
            return episode
        logger.info(
            "Environment %d: '%s' ends, '%s' begins with the coarse phase.", index, known, task
        )
        return self._begin(batch, index, skill, feel, episode.cloud_mark)

    def _begin(
        self, batch: Mapping[str, Any], index: int, skill: Skill, feel: Feel, mark: int | None
    ) -> Episode:
        config = self._config
        start = begin_coarse(self._field, skill, batch, index, feel, config)
        if start.confidence < config.coarse.min_confidence:
            _doubt(config.coarse, skill.spec.task, index, start.confidence)
        fine = (
            FineServo(config.fine)
            if config.refiner == "learned"
            else ClosingOnly(config.fine, float(skill.finger_distance))
        )
        return Episode(
            skill,
            start.T_base_tcp,
            start.confidence,
            start.motion,
            config.coarse,
            fine,
            deque(maxlen=1 - config.history_deltas[0]),
            mark,
            config.replay,
        )


def _doubt(settings: CoarseSettings, task: str, index: int, confidence: float) -> None:
    """Say that the cloud does not look like an object of the skill.

    Raises:
        ValueError: Unless the settings ask for a warning only.
    """
    message = (
        f"Environment {index}: the pose found for '{task}' has confidence {confidence:.2f}, below "
        f"coarse.min_confidence = {settings.min_confidence:.2f}. Is the object of the skill's category, and the contact "
        "in sight? (coarse.doubt=warn acts all the same.)"
    )
    if settings.doubt == "refuse":
        raise ValueError(message)
    logger.warning(message)
