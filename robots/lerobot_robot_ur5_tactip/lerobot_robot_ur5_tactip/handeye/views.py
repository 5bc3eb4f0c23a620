"""Views of the board on disk, so that nothing taken is lost: pictures, `views.json` with the tool's poses, `camera.json`."""

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.report import write_json

from .board import Picture
from .factory import CameraFacts

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class View:
    """One picture of the board, and where the tool was."""

    picture: Picture
    """uint8 RGB (H, W, 3)."""
    T_base_tcp: Array
    """(4, 4)."""


@dataclass(frozen=True)
class ViewFolder:
    """A folder of views."""

    path: Path

    def add(self, view: View) -> int:
        """Write one more view; returns how many there are."""
        poses = self._poses()
        name = f"view_{len(poses):03d}.png"
        self.path.mkdir(parents=True, exist_ok=True)
        if not cv2.imwrite(str(self.path / name), cv2.cvtColor(view.picture, cv2.COLOR_RGB2BGR)):
            raise OSError(f"'{self.path / name}' cannot be written.")
        poses[name] = se3.to_rotvec_pose(view.T_base_tcp).tolist()
        write_json(self._list, poses)
        return len(poses)

    def set_camera(self, facts: CameraFacts) -> None:
        """Write what is known of the camera."""
        write_json(self._camera, facts.to_plain())

    def read(self) -> list[View]:
        """All views.

        Raises:
            ValueError: If there are none, or one cannot be read.
        """
        poses = self._poses()
        if not poses:
            raise ValueError(
                f"'{self.path}' holds no views. Take some with --robot.type=ur5_tactip and its settings."
            )
        return [View(self._picture(name), _pose(name, pose)) for name, pose in poses.items()]

    def camera(self) -> CameraFacts:
        """What is known of the camera.

        Raises:
            ValueError: If the file is missing or malformed.
        """
        try:
            return CameraFacts.from_plain(json.loads(self._camera.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"'{self._camera}' must hold lens, depth and color_depth: {error}"
            ) from error

    def _picture(self, name: str) -> Picture:
        picture = cv2.imread(str(self.path / name), cv2.IMREAD_COLOR)
        if picture is None:
            raise ValueError(f"'{self.path / name}' cannot be read as a picture.")
        return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), dtype=np.uint8)

    def _poses(self) -> dict[str, list[float]]:
        if not self._list.exists():
            return {}
        try:
            return dict(json.loads(self._list.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"'{self._list}' must hold the pose of each picture: {error}"
            ) from error

    @property
    def _list(self) -> Path:
        return self.path / "views.json"

    @property
    def _camera(self) -> Path:
        return self.path / "camera.json"


def _pose(name: str, pose: list[float]) -> Array:
    values = np.array(pose, dtype=np.float64)
    if values.shape != (6,) or not np.isfinite(values).all():
        raise ValueError(f"The pose of '{name}' must be six finite numbers, got {pose}.")
    return se3.from_rotvec_pose(values)
