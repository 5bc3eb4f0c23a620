"""Settings of the TacTip camera."""

from dataclasses import dataclass
from pathlib import Path

from lerobot.cameras.configs import CameraConfig

from lerobot_neuraltouch import features

SOURCES = ("opencv", "replay", "sim")
PROCESSES = ("raw", "gray", "threshold")
INDENTERS = ("sphere", "cylinder", "flat")


@CameraConfig.register_subclass("tactip")
@dataclass(kw_only=True)
class TacTipCameraConfig(CameraConfig):
    """One finger's camera. Pictures are (height, width, 3) uint8, RGB, three equal channels unless `process` is raw."""

    width: int = features.TACTILE_SIZE
    """Width of the delivered pictures [pixels]."""
    height: int = features.TACTILE_SIZE
    """Height of the delivered pictures [pixels]."""
    fps: int = 30
    """Pictures per second that the camera, or the replay, is to deliver [1/s]."""
    source: str = "opencv"
    """Where pictures come from: opencv (a device) | replay (a folder of PNG files, or a video) | sim (ray casting)."""

    index_or_path: int | Path | None = None
    """opencv: the device; two cameras of one make are told apart by /dev/v4l/by-path/... only."""
    capture_width: int = 640
    """opencv: width that the device captures [pixels]."""
    capture_height: int = 480
    """opencv: height that the device captures [pixels]."""
    fourcc: str | None = "MJPG"
    """opencv: pixel format; two cameras on one USB 2 root need a compressed one."""
    auto_exposure_off: float = 1.0
    """opencv: what tells the driver to leave exposure alone (V4L2: 1; DirectShow: 0.25)."""
    exposure: float | None = None
    """opencv: fixed exposure in the driver's unit (V4L2: 0.1 ms; Bristol's -7 on DirectShow is 78); None: as it is."""
    gain: float | None = None
    """opencv: fixed gain in the driver's unit; None: as it is."""
    white_balance: float | None = None
    """opencv: fixed white balance [K], automatics off; None: as it is."""

    path: Path | None = None
    """replay: the folder or the video."""
    loop: bool = True
    """replay: begin anew at the end; without it, the last picture grows stale."""

    indenter: str = "sphere"
    """sim: what is pressed on the middle of the pad: sphere | cylinder (along the pad's x) | flat."""
    indenter_radius_m: float = 0.005
    """sim: radius of sphere or cylinder [m]."""
    indentation_m: float = 0.0
    """sim: how deep [m]; `TacTipCamera.press` changes it."""

    crop: list[int] | None = None
    """Part of the captured picture to keep: x0, y0, x1, y1 [pixels]; None: all of it."""
    process: str = "gray"
    """raw (colour) | gray | threshold (black and white, by the mean around each pixel)."""
    threshold_block: int = 61
    """threshold: side of the neighbourhood whose mean counts [pixels], odd."""
    threshold_offset: float = 5.0
    """threshold: white is what is brighter than that mean less this [gray levels]; negative keeps bright markers only."""
    mask_radius: float | None = None
    """Radius of the disc to keep, as a share of half the shorter side; what lies outside is black. None: no mask."""

    max_age_ms: int = 150
    """An older picture is an error [ms]: at 10 Hz, a control loop must not act on it."""
    warmup_frames: int = 5
    """Pictures thrown away at connection."""
    reference_frames: int = 5
    """Pictures averaged, at connection and without contact, to the reference."""
    reference_path: Path | None = None
    """PNG that the reference is written to, to be kept with a dataset."""

    def __post_init__(self) -> None:
        """Refuse settings that name nothing or do not fit together.

        Raises:
            ValueError: With what exists.
        """
        _check_choice("source", self.source, SOURCES)
        _check_choice("process", self.process, PROCESSES)
        _check_choice("indenter", self.indenter, INDENTERS)
        needed = {"opencv": "index_or_path", "replay": "path"}.get(self.source)
        if needed and getattr(self, needed) is None:
            raise ValueError(f"source={self.source} needs {needed}.")
        if self.source == "sim" and self.width != self.height:
            raise ValueError(f"source=sim is square, got {self.width} x {self.height}.")
        if min(self.width, self.height, self.fps, self.max_age_ms, self.reference_frames) < 1:
            raise ValueError(
                "width, height, fps, max_age_ms and reference_frames must be at least 1."
            )
        if self.crop is not None and not _is_box(self.crop):
            raise ValueError(f"crop is x0, y0, x1, y1 with x0 < x1 and y0 < y1, got {self.crop}.")
        if self.threshold_block < 3 or self.threshold_block % 2 == 0:
            raise ValueError(
                f"threshold_block must be odd, at least 3, got {self.threshold_block}."
            )
        if self.mask_radius is not None and not 0.0 < self.mask_radius <= 1.5:
            raise ValueError(f"mask_radius must lie in (0, 1.5], got {self.mask_radius}.")


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"Unknown {name} '{value}'. Available: {', '.join(choices)}.")


def _is_box(crop: list[int]) -> bool:
    return len(crop) == 4 and 0 <= crop[0] < crop[2] and 0 <= crop[1] < crop[3]
