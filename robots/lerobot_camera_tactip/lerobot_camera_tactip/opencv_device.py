"""A device with fixed exposure, gain and white balance, on top of LeRobot's OpenCV camera."""

import math

import cv2
from lerobot.cameras.opencv.camera_opencv import OpenCVCamera
from lerobot.cameras.opencv.configuration_opencv import OpenCVCameraConfig

from .config_tactip import TacTipCameraConfig
from .processing import Picture
from .source import Source

_TOLERANCE = 0.05
"""Drivers round: a value counts as taken within this share."""


class FixedOpenCVCamera(OpenCVCamera):
    """LeRobot's camera sets size, rate and format; this one also fixes what would change a TacTip's picture on its own.

    Args:
        config: Device, size, rate and the values to be fixed.
    """

    def __init__(self, config: TacTipCameraConfig) -> None:
        assert config.index_or_path is not None
        super().__init__(
            OpenCVCameraConfig(
                index_or_path=config.index_or_path,
                fps=config.fps,
                width=config.capture_width,
                height=config.capture_height,
                fourcc=config.fourcc,
            )
        )
        self._fixed = _fixed_properties(config)

    def _configure_capture_settings(self) -> None:
        """LeRobot calls this before its thread begins to read.

        Raises:
            ConnectionError: If the driver ignores a value.
        """
        super()._configure_capture_settings()
        capture = self.videocapture
        assert capture is not None
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # an old picture in a queue is worse than none
        for name, number, value in self._fixed:
            capture.set(number, value)
            found = capture.get(number)
            if not math.isclose(found, value, rel_tol=_TOLERANCE, abs_tol=1e-6):
                raise ConnectionError(
                    f"{self} was told {name} = {value:g} but has {found:g}. Choose a value that its driver offers "
                    f"(v4l2-ctl --list-ctrls), or leave {name} alone: null."
                )


def _fixed_properties(config: TacTipCameraConfig) -> list[tuple[str, int, float]]:
    """Name, OpenCV's number and value of what is to be fixed, in order: automatics go off first."""
    fixed: list[tuple[str, int, float]] = []
    if config.exposure is not None:
        fixed.append(("auto_exposure_off", cv2.CAP_PROP_AUTO_EXPOSURE, config.auto_exposure_off))
        fixed.append(("exposure", cv2.CAP_PROP_EXPOSURE, config.exposure))
    if config.gain is not None:
        fixed.append(("gain", cv2.CAP_PROP_GAIN, config.gain))
    if config.white_balance is not None:
        fixed.append(("automatic white balance", cv2.CAP_PROP_AUTO_WB, 0.0))
        fixed.append(("white_balance", cv2.CAP_PROP_WB_TEMPERATURE, config.white_balance))
    return fixed


class DeviceSource(Source):
    """A device, read by LeRobot's own OpenCV camera."""

    def __init__(self, config: TacTipCameraConfig) -> None:
        self._camera = FixedOpenCVCamera(config)

    def open(self) -> None:
        """Open the device with fixed exposure, gain and white balance.

        Raises:
            ConnectionError: If it does not open, or ignores one of them.
        """
        self._camera.connect(warmup=False)

    def latest(self, max_age_s: float) -> Picture:
        """The newest picture."""
        return self._camera.read_latest(max_age_ms=round(1e3 * max_age_s))

    def next(self, timeout_s: float) -> Picture:
        """The next picture."""
        return self._camera.async_read(timeout_ms=1e3 * timeout_s)

    def close(self) -> None:
        """Close the device."""
        if self._camera.is_connected:
            self._camera.disconnect()
