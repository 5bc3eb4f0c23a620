"""A camera made of numbers, as a LeRobot camera (`type: fake`, and LeRobot looks for it in a module of this name); what it shows can be changed or held while it runs."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from lerobot.cameras import Camera, CameraConfig


@CameraConfig.register_subclass("fake")
@dataclass(kw_only=True)
class FakeCameraConfig(CameraConfig):
    level: int = 100
    """Gray level of the picture."""
    use_depth: bool = False
    depth_path: Path | None = None
    """Depth [mm], uint16 (height, width, 1), in a file of NumPy's; without it, 400 everywhere."""


class FakeCamera(Camera):
    def __init__(self, config: FakeCameraConfig) -> None:
        super().__init__(config)
        self.use_depth, self.level = config.use_depth, config.level
        self.stalled_since: float | None = None
        flat = np.full((config.height, config.width, 1), 400, dtype=np.uint16)
        self._depth = flat if config.depth_path is None else np.load(config.depth_path)
        self._is_connected = False

    @property
    def is_connected(self) -> bool:
        return self._is_connected

    @staticmethod
    def find_cameras() -> list[dict]:
        return []

    def connect(self, warmup: bool = True) -> None:
        self._is_connected = True

    def read(self) -> np.ndarray:
        return np.full((self.height, self.width, 3), self.level, dtype=np.uint8)

    def async_read(self, timeout_ms: float = 200) -> np.ndarray:
        return self.read()

    def read_latest(self, max_age_ms: int = 500) -> np.ndarray:
        self._check_age(max_age_ms)
        return self.read()

    def read_latest_depth(self, max_age_ms: int = 500) -> np.ndarray:
        self._check_age(max_age_ms)
        return self._depth

    def stall(self) -> None:
        self.stalled_since = time.perf_counter()

    def disconnect(self) -> None:
        self._is_connected = False

    def _check_age(self, max_age_ms: int) -> None:
        if self.stalled_since is not None:
            age_ms = 1000 * (time.perf_counter() - self.stalled_since)
            if age_ms > max_age_ms:
                raise TimeoutError(f"the last picture is {age_ms:.0f} ms old")
