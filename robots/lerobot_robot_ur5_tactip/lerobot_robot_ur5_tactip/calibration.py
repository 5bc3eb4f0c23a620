"""The wrist camera's calibration: a JSON file beside LeRobot's own, with the fields of the policy's `wrist_camera`."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from lerobot.utils.constants import HF_LEROBOT_CALIBRATION, ROBOTS

from .config_ur5_tactip import UR5TacTipConfig


@dataclass(frozen=True, kw_only=True)
class WristCalibration:
    """Intrinsics and hand-eye pose of the depth picture."""

    width: int
    """[pixels]"""
    height: int
    """[pixels]"""
    fx: float
    """[pixels]"""
    fy: float
    """[pixels]"""
    cx: float
    """[pixels]"""
    cy: float
    """[pixels]"""
    tcp_camera: tuple[float, ...]
    """T_tcp_camera as position [m] and rotation vector [rad]; camera axes x right, y down, z forward (OpenCV)."""
    depth_unit_m: float = 0.001
    """Length of one unit of depth [m]."""

    def __post_init__(self) -> None:
        numbers = [self.fx, self.fy, self.cx, self.cy, self.depth_unit_m, *self.tcp_camera]
        if len(self.tcp_camera) != 6 or not np.isfinite(numbers).all():
            raise ValueError(f"tcp_camera needs six finite numbers, got {self.tcp_camera}.")
        if min(self.width, self.height, self.fx, self.fy, self.depth_unit_m) <= 0:
            raise ValueError("Sizes, focal lengths and depth_unit_m must be positive.")

    def save(self, path: Path) -> None:
        """Write the file; an existing one is replaced."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "WristCalibration":
        """Read the file; fields of other tools, such as residuals and dates, are passed over.

        Raises:
            ValueError: If it is no such file; the message names it and what is missing.
        """
        names = [entry.name for entry in fields(cls)]
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            known: dict[str, Any] = {name: content[name] for name in names if name in content}
            known["tcp_camera"] = tuple(content.get("tcp_camera", ()))
            return cls(**known)
        except FileNotFoundError as error:
            raise ValueError(f"No calibration of a wrist camera at {path}.") from error
        except (json.JSONDecodeError, AttributeError, TypeError, ValueError) as error:
            raise ValueError(
                f"{path} is no calibration of a wrist camera: it needs {', '.join(names)}. {error}"
            ) from error


def wrist_calibration_path(config: UR5TacTipConfig) -> Path:
    """Where the wrist camera's calibration is: as configured, or beside LeRobot's own file."""
    if config.wrist_calibration_path is not None:
        return config.wrist_calibration_path
    folder = config.calibration_dir or HF_LEROBOT_CALIBRATION / ROBOTS / config.type
    return folder / f"{config.id}_wrist.json"


def load_wrist_calibration(path: Path, camera: Any) -> WristCalibration:
    """The calibration in a file, of a camera with this picture size where one is given.

    Raises:
        ValueError: If it is no calibration, or one of other pictures.
    """
    calibration = WristCalibration.load(path)
    size = (calibration.width, calibration.height)
    if camera is not None and size != (camera.width, camera.height):
        raise ValueError(
            f"{path} calibrates pictures of {size[0]} x {size[1]} pixels, the wrist camera gives {camera.width} x {camera.height}."
        )
    return calibration
