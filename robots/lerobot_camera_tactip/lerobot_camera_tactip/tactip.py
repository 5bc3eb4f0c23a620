"""The TacTip's camera: `{type: tactip, ...}` in `--robot.cameras`."""

import logging
from typing import Any

import cv2
import numpy as np
from lerobot.cameras.camera import Camera
from lerobot.cameras.opencv.camera_opencv import OpenCVCamera
from lerobot.utils.decorators import check_if_already_connected, check_if_not_connected

from .config_tactip import TacTipCameraConfig
from .opencv_device import DeviceSource
from .processing import Picture, mean_change, process
from .replay import ReplaySource
from .simulated import SimulatedSource
from .source import Source

logger = logging.getLogger(__name__)

_FIRST_PICTURE_S = 5.0
"""A device may take this long to deliver its first picture [s]."""


class TacTipCamera(Camera):
    """One finger's camera, with a reference taken without contact.

    Pictures are RGB uint8 (height, width, 3). A picture older than `max_age_ms` is an error, never an answer.
    """

    def __init__(self, config: TacTipCameraConfig) -> None:
        super().__init__(config)
        self.config = config
        self._source: Source | None = None
        self._reference: Picture | None = None

    def __str__(self) -> str:
        where = {"opencv": self.config.index_or_path, "replay": self.config.path}
        return f"TacTipCamera({self.config.source} {where.get(self.config.source, '')})"

    @staticmethod
    def find_cameras() -> list[dict[str, Any]]:
        """Devices that OpenCV finds."""
        return OpenCVCamera.find_cameras()

    @property
    def is_connected(self) -> bool:
        """Whether pictures are being delivered."""
        return self._source is not None

    @property
    def reference(self) -> Picture:
        """The mean picture without contact, as of the connection, shape (height, width, 3).

        Raises:
            RuntimeError: If the camera was not connected yet.
        """
        if self._reference is None:
            raise RuntimeError(
                f"{self} has no reference: connect it first, with nothing touching the finger."
            )
        return self._reference

    @check_if_already_connected
    def connect(self, warmup: bool = True) -> None:
        """Open the source and take the reference. Nothing may touch the finger.

        Raises:
            ConnectionError: If the device does not open, or ignores exposure, gain or white balance.
            FileNotFoundError: If there is nothing to replay.
            TimeoutError: If no picture comes.
            ValueError: If the crop reaches beyond the picture.
        """
        source = _make_source(self.config)
        try:
            source.open()
            for _ in range(self.config.warmup_frames if warmup else 0):
                source.next(_FIRST_PICTURE_S)
            self._reference = self._average(source)
        except BaseException:
            source.close()
            raise
        self._source = source
        if self.config.reference_path is not None:
            self.config.reference_path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(
                str(self.config.reference_path), cv2.cvtColor(self._reference, cv2.COLOR_RGB2BGR)
            )
        logger.info("%s connected.", self)

    @check_if_not_connected
    def read(self) -> Picture:
        """Wait for the next picture.

        Raises:
            TimeoutError: If none comes.
        """
        return process(self._open_source.next(_FIRST_PICTURE_S), self.config)

    @check_if_not_connected
    def async_read(self, timeout_ms: float = 200) -> Picture:
        """The next picture, waited for no longer than `timeout_ms` [ms].

        Raises:
            TimeoutError: If none comes.
        """
        return process(self._open_source.next(timeout_ms / 1e3), self.config)

    @check_if_not_connected
    def read_latest(self, max_age_ms: int | None = None) -> Picture:
        """The newest picture, at once.

        Args:
            max_age_ms: How old it may be [ms]; without it, as configured.

        Raises:
            TimeoutError: If it is older.
        """
        allowed = self.config.max_age_ms if max_age_ms is None else max_age_ms
        return process(self._open_source.latest(allowed / 1e3), self.config)

    @check_if_not_connected
    def change(self) -> float:
        """Mean absolute difference of the newest picture from the reference [gray levels]: how much is touched."""
        return mean_change(self.read_latest(), self.reference)

    @check_if_not_connected
    def press(self, indentation_m: float) -> None:
        """Press the simulated indenter this deep [m].

        Raises:
            TypeError: If the source is not `sim`.
        """
        if not isinstance(self._open_source, SimulatedSource):
            raise TypeError(f"Only source=sim can be pressed by a program, not {self}.")
        self._open_source.indentation_m = indentation_m

    @check_if_not_connected
    def disconnect(self) -> None:
        """Close the source."""
        source, self._source = self._open_source, None
        source.close()

    def _average(self, source: Source) -> Picture:
        pictures = [
            process(source.next(_FIRST_PICTURE_S), self.config)
            for _ in range(self.config.reference_frames)
        ]
        return np.rint(np.mean(pictures, axis=0)).astype(np.uint8)

    @property
    def _open_source(self) -> Source:
        assert self._source is not None
        return self._source


def _make_source(config: TacTipCameraConfig) -> Source:
    """The source that a configuration names."""
    if config.source == "replay":
        assert config.path is not None
        return ReplaySource(config.path, config.fps, config.loop)
    return SimulatedSource(config) if config.source == "sim" else DeviceSource(config)
