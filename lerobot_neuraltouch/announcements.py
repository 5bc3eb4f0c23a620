"""Hear when an episode begins.

LeRobot's recording commands call neither robot nor teleoperator between episodes, but they announce each one to the person
beside the robot, aloud and in the log: "Recording episode 3". A simulated robot and a scripted teleoperator listen to the log.
"""

import logging
import re

_ANNOUNCEMENT = re.compile(r"Recording episode (\d+)")


class EpisodeAnnouncements(logging.Handler):
    """Remembers the last announced episode until somebody takes it."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._episode: int | None = None

    def listen(self) -> None:
        """Begin to listen to the root logger."""
        logging.getLogger().addHandler(self)

    def stop(self) -> None:
        """Listen no longer, and forget."""
        logging.getLogger().removeHandler(self)
        self._episode = None

    def emit(self, record: logging.LogRecord) -> None:
        """Note an announcement; whatever else is logged does not count."""
        found = _ANNOUNCEMENT.fullmatch(record.getMessage())
        if found:
            self._episode = int(found[1])

    def take(self) -> int | None:
        """Number of the episode announced since the last call, or None."""
        episode, self._episode = self._episode, None
        return episode
