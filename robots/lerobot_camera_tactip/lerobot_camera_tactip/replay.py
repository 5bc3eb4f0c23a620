"""Recorded pictures in the place of a device."""

from pathlib import Path

import cv2
import numpy as np

from .processing import Picture
from .source import TimedSource


class ReplaySource(TimedSource):
    """A folder of PNG files in the order of their names, or a video."""

    def __init__(self, path: Path, fps: float, loop: bool) -> None:
        super().__init__(fps)
        self._path, self._loop = path, loop
        self._files: list[Path] = []
        self._video: cv2.VideoCapture | None = None

    def open(self) -> None:
        """Find the pictures.

        Raises:
            FileNotFoundError: If there are none.
        """
        if self._path.is_dir():
            self._files = sorted(self._path.glob("*.png"))
            self._count = len(self._files)
        else:
            self._rewind()
            assert self._video is not None
            self._count = int(self._video.get(cv2.CAP_PROP_FRAME_COUNT))
        if self._count < 1:
            raise FileNotFoundError(f"There is no PNG file and no video in '{self._path}'.")
        super().open()

    @property
    def end(self) -> float:
        """How many pictures there are."""
        return np.inf if self._loop else self._count

    def picture(self, number: int) -> Picture:
        """Picture number n; after the last one the first one again.

        Raises:
            OSError: If it cannot be decoded.
        """
        number %= self._count
        bgr = cv2.imread(str(self._files[number])) if self._files else self._decode(number)
        if bgr is None:
            raise OSError(f"Picture {number} of '{self._path}' cannot be decoded.")
        return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)

    def close(self) -> None:
        """Close the video."""
        if self._video is not None:
            self._video.release()
            self._video = None

    def _rewind(self) -> None:
        self.close()
        self._video, self._at, self._last = cv2.VideoCapture(str(self._path)), -1, None

    def _decode(self, number: int) -> cv2.typing.MatLike | None:
        """Videos are decoded in order; what is skipped is not converted."""
        if number < self._at:
            self._rewind()
        assert self._video is not None
        while self._at < number - 1:
            self._video.grab()
            self._at += 1
        if self._at < number:
            self._last, self._at = self._video.read()[1], number
        return self._last
