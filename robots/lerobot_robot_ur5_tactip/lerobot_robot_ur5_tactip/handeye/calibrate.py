"""From views of the board to the wrist camera's calibration."""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from lerobot_neuraltouch import se3

from ..calibration import WristCalibration
from .board import Board, Lens, measure_lens
from .factory import CameraFacts, DepthPicture
from .solve import HandEye, solve_hand_eye
from .views import View


@dataclass(frozen=True, eq=False)
class Result:
    """A calibration with what it is worth."""

    calibration: WristCalibration
    hand_eye: HandEye
    lens: Lens
    used: int
    """Views that showed the board."""

    def report(self) -> dict[str, Any]:
        """For the calibration file, beside the calibration itself."""
        found = self.hand_eye
        return {
            "views": self.used,
            "board_spread_mm": 1e3 * found.spread_m,
            "board_spread_deg": float(np.rad2deg(found.spread_rad)),
            "held_out_mm": 1e3 * found.held_out_m,
            "held_out_deg": float(np.rad2deg(found.held_out_rad)),
            "methods_disagree_mm": 1e3 * found.disagreement_m,
            "methods_disagree_deg": float(np.rad2deg(found.disagreement_rad)),
            "lens_error_px": self.lens.error_px,
            "base_board": se3.to_rotvec_pose(found.T_base_board).tolist(),
        }


def calibrate(views: list[View], board: Board, facts: CameraFacts) -> Result:
    """Find the depth picture's pose on the tool.

    Views that do not show the board are passed over.

    Raises:
        ValueError: If too few show it, or the views do not determine the pose (see `solve.solve_hand_eye`).
    """
    shown = [view for view in views if _shows(board, view)]
    lens = facts.lens or measure_lens(board, [view.picture for view in shown])
    boards = np.array([board.pose(view.picture, lens) for view in shown]).reshape(-1, 4, 4)
    tools = np.array([view.T_base_tcp for view in shown]).reshape(-1, 4, 4)
    found = solve_hand_eye(tools, boards)
    pose = se3.to_rotvec_pose(found.T_tcp_camera @ facts.T_color_depth)
    depth = facts.depth if facts.lens else _measured(facts.depth, lens)
    calibration = WristCalibration(**asdict(depth), tcp_camera=tuple(pose.tolist()))
    return Result(calibration, found, lens, len(shown))


def _measured(depth: DepthPicture, lens: Lens) -> DepthPicture:
    """The depth picture of a camera that shows the board in the same picture."""
    K = lens.matrix
    return replace(depth, fx=K[0, 0], fy=K[1, 1], cx=K[0, 2], cy=K[1, 2])


def _shows(board: Board, view: View) -> bool:
    try:
        board.find(view.picture)
    except ValueError:
        return False
    return True
