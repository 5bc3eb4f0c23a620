"""What a RealSense knows about itself: the lenses of both pictures and how they lie to each other.

LeRobot's camera does not align depth with colour, so the board, which the colour picture shows, and the points, which the
depth picture gives, have frames of their own.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lerobot_neuraltouch import se3

from .board import Lens

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class DepthPicture:
    """The depth picture's size, lens (without distortion) and unit."""

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
    depth_unit_m: float = 0.001
    """[m]"""


@dataclass(frozen=True, eq=False)
class CameraFacts:
    """What is needed of a camera besides views."""

    lens: Lens | None
    """Of the picture that shows the board; None: to be measured from the views."""
    depth: DepthPicture
    T_color_depth: Array
    """The depth picture's frame in that of the picture that shows the board, (4, 4)."""

    def to_plain(self) -> dict[str, Any]:
        """For a JSON file."""
        lens = None
        if self.lens is not None:
            lens = {
                "matrix": self.lens.matrix.tolist(),
                "distortion": self.lens.distortion.tolist(),
            }
        pose = se3.to_rotvec_pose(self.T_color_depth).tolist()
        return {"lens": lens, "depth": asdict(self.depth), "color_depth": pose}

    @classmethod
    def from_plain(cls, content: dict[str, Any]) -> "CameraFacts":
        """From a JSON file's content.

        Raises:
            KeyError, TypeError: If something is missing.
        """
        lens = content["lens"]
        if lens is not None:
            lens = Lens(np.array(lens["matrix"]), np.array(lens["distortion"]))
        T = se3.from_rotvec_pose(np.array(content["color_depth"]))
        return cls(lens, DepthPicture(**content["depth"]), T)


def realsense_facts(profile: Any, rs: Any) -> CameraFacts:
    """Facts of a running RealSense.

    Args:
        profile: The pipeline's profile, with colour and depth.
        rs: The module pyrealsense2.
    """
    color = profile.get_stream(rs.stream.color).as_video_stream_profile()
    depth = profile.get_stream(rs.stream.depth).as_video_stream_profile()
    c, d = color.get_intrinsics(), depth.get_intrinsics()
    extrinsics = depth.get_extrinsics_to(color)
    # Their rotation is stored by columns.
    rotation = np.array(extrinsics.rotation, dtype=np.float64).reshape(3, 3).T
    matrix = Lens.ideal(c.fx, c.fy, c.ppx, c.ppy).matrix
    unit = profile.get_device().first_depth_sensor().get_depth_scale()
    return CameraFacts(
        Lens(matrix, np.array(c.coeffs, dtype=np.float64)),
        DepthPicture(
            width=d.width, height=d.height, fx=d.fx, fy=d.fy, cx=d.ppx, cy=d.ppy, depth_unit_m=unit
        ),
        se3.transform(rotation, np.array(extrinsics.translation, dtype=np.float64)),
    )
