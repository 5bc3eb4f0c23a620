"""Watches the tactile cameras in a thread of its own, so that a slow camera never delays the arm."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from lerobot.cameras import Camera
from numpy.typing import NDArray

from .errors import CameraStalledError, UR5TacTipError

FINGERS = ("tactile_left", "tactile_right")

_FIRST_MS = 1000
"""How long a picture of the reference may take."""
_HANGING_S = 0.5
"""A watch that has not finished a round for so long hangs in a camera's driver."""


@dataclass(frozen=True, kw_only=True)
class TouchConfig:
    """How the tactile cameras guard the arm."""

    rate_hz: float = 30.0
    """Pictures looked at per second [1/s]."""
    max_age_s: float = 0.15
    """Age at which a picture, of any camera, stops the arm [s]."""
    reference_frames: int = 5
    """Pictures averaged for the contact-free reference when connecting: the fingers must touch nothing then."""

    def __post_init__(self) -> None:
        if self.reference_frames < 1:
            raise ValueError(f"reference_frames must be at least 1, got {self.reference_frames}.")
        for name in ("rate_hz", "max_age_s"):
            if not getattr(self, name) > 0.0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}.")


class TouchWatch:
    """How far the tactile pictures are from their references.

    Args:
        cameras: All cameras by name, connected; those named as fingers are watched.
        config: Rates and ages.
    """

    def __init__(self, cameras: Mapping[str, Camera], config: TouchConfig) -> None:
        self._cameras = {name: cameras[name] for name in FINGERS if name in cameras}
        self._config = config
        self._references: dict[str, NDArray[np.float32]] = {}
        self._touch: tuple[float, ...] = tuple(0.0 for _ in FINGERS)
        self._looked_at = 0.0
        self._fault: UR5TacTipError | None = None
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def references(self) -> dict[str, NDArray[np.float32]]:
        """Contact-free pictures by camera, float32 (H, W, 3)."""
        return self._references

    def start(self) -> None:
        """Take the references, then watch.

        Raises:
            CameraStalledError: If a camera delivers no pictures.
        """
        for name in self._cameras:
            frames = [self._next(name) for _ in range(self._config.reference_frames)]
            self._references[name] = np.asarray(np.mean(frames, axis=0), dtype=np.float32)
        self._looked_at = time.perf_counter()
        if self._cameras:
            self._thread = threading.Thread(target=self._run, name="ur5_tactip touch", daemon=True)
            self._thread.start()

    def guard(self) -> tuple[float, ...]:
        """Mean absolute difference from the references, left and right [gray levels]; 0 without camera. Never blocks.

        Raises:
            CameraStalledError: If a tactile camera delivers no new pictures.
        """
        if self._fault is not None:
            raise self._fault
        silent_s = time.perf_counter() - self._looked_at
        if self._thread is not None and silent_s > _HANGING_S:
            raise CameraStalledError(
                f"A tactile camera has not answered for {silent_s:.1f} s: check its cable, then connect again."
            )
        return self._touch

    def close(self) -> None:
        """End the thread; may be called twice."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(2.0)
            self._thread = None

    def _run(self) -> None:
        try:
            while not self._closing.wait(1.0 / self._config.rate_hz):
                touch = [
                    float(np.abs(self._read(name) - self._references[name]).mean())
                    if name in self._cameras
                    else 0.0
                    for name in FINGERS
                ]
                self._touch, self._looked_at = tuple(touch), time.perf_counter()
        except CameraStalledError as error:
            self._fault = error

    def _next(self, name: str) -> NDArray[np.uint8]:
        try:
            return self._cameras[name].async_read(timeout_ms=_FIRST_MS)
        except (TimeoutError, RuntimeError, ConnectionError) as error:
            raise CameraStalledError(f"Camera {name} delivers no pictures ({error}).") from error

    def _read(self, name: str) -> NDArray[np.uint8]:
        return read_camera(name, self._cameras[name], self._config.max_age_s)


def read_camera(
    name: str, camera: Camera, max_age_s: float, *, depth: bool = False
) -> NDArray[np.uint8]:
    """A camera's latest picture, (H, W, 3), or its latest depth, (H, W, 1).

    Raises:
        CameraStalledError: If it is older than allowed or the camera's own thread has ended.
    """
    read = camera.read_latest_depth if depth else camera.read_latest
    try:
        return read(max_age_ms=round(1000 * max_age_s))
    except (TimeoutError, RuntimeError, ConnectionError) as error:
        raise CameraStalledError(
            f"Camera {name} delivers no new pictures ({error}). Check its cable and rate, then connect again."
        ) from error
