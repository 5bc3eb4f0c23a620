"""What a TacTip camera needs of wherever its pictures come from."""

import time
from abc import ABC, abstractmethod

import numpy as np

from .processing import Picture


class Source(ABC):
    """Delivers captured pictures, RGB uint8 (capture_height, capture_width, 3)."""

    @abstractmethod
    def open(self) -> None:
        """Begin to deliver."""

    @abstractmethod
    def latest(self, max_age_s: float) -> Picture:
        """The newest picture.

        Raises:
            TimeoutError: If it is older than `max_age_s` [s].
        """

    @abstractmethod
    def next(self, timeout_s: float) -> Picture:
        """A picture that was not delivered yet.

        Raises:
            TimeoutError: If none comes within `timeout_s` [s].
        """

    @abstractmethod
    def close(self) -> None:
        """Deliver no more; harmless when done twice."""


class TimedSource(Source):
    """Pictures that follow a clock: number n is there n / fps after opening."""

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._delivered = -1

    @abstractmethod
    def picture(self, number: int) -> Picture:
        """Picture number n, n >= 0."""

    @property
    def end(self) -> float:
        """How many pictures there are; infinite if they never end."""
        return np.inf

    def open(self) -> None:
        """Start the clock."""
        self._start, self._delivered = time.monotonic(), -1

    def latest(self, max_age_s: float) -> Picture:
        """The newest picture."""
        elapsed = time.monotonic() - self._start
        number = int(min(elapsed * self._fps, self.end - 1))
        age = elapsed - number / self._fps
        if number == self.end - 1 and age > max(max_age_s, 1 / self._fps):
            raise TimeoutError(f"The newest picture is {age:.2f} s old: the replay is over.")
        self._delivered = number
        return self.picture(number)

    def next(self, timeout_s: float) -> Picture:
        """The next picture."""
        number = max(self._delivered + 1, int((time.monotonic() - self._start) * self._fps))
        if number >= self.end:
            raise TimeoutError(f"No picture within {timeout_s:g} s: the replay is over.")
        wait = self._start + number / self._fps - time.monotonic()
        if wait > timeout_s:
            raise TimeoutError(f"No picture within {timeout_s:g} s at {self._fps:g} per second.")
        time.sleep(max(wait, 0.0))
        self._delivered = number
        return self.picture(number)

    def close(self) -> None:
        """Nothing to close."""
