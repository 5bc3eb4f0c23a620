"""The hand-eye equation: T_base_tcp X T_camera_board is the same board in base for every view.

PARK's closed form (Park and Martin 1994) starts a least-squares fit over all views; two other closed forms must agree
with it. (OpenCV's default, TSAI, is silently wrong by centimetres where rotations are small.)
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from lerobot_neuraltouch import se3

Array = NDArray[np.float64]

MIN_VIEWS = 15
MIN_TURN_RAD = float(np.deg2rad(10.0))
"""Standard deviation of the tool's rotations about the second most used axis: about 20 to 30 degrees either way."""
MAX_DISAGREEMENT = (0.005, float(np.deg2rad(0.6)))
"""Between PARK and another method [m, rad]; larger ones tell of poor views."""
MAX_SPREAD_M = 0.003
"""Largest root mean square spread of the board in base [m]."""
LEVER_M = 0.4
"""One radian counts as this length in the fit: the distance of a board from the camera."""
FOLDS = 5


@dataclass(frozen=True, eq=False)
class HandEye:
    """The result with what it is worth."""

    T_tcp_camera: Array
    """(4, 4)."""
    T_base_board: Array
    """(4, 4)."""
    spread_m: float
    """Root mean square distance between the board's place by each view and by all: what a cloud will be off by."""
    spread_rad: float
    """The same of its rotation."""
    held_out_m: float
    """The same for views that had no part in the fit, five times a fifth of them."""
    held_out_rad: float
    disagreement_m: float
    """Between PARK and the other closed forms, the largest."""
    disagreement_rad: float


def solve_hand_eye(T_base_tcp: Array, T_camera_board: Array) -> HandEye:
    """Find the camera on the tool.

    Args:
        T_base_tcp: Of each view, (N, 4, 4).
        T_camera_board: Of each view, (N, 4, 4).

    Raises:
        ValueError: If there are too few views, if the tool was turned too little or about one axis alone, if methods
            disagree, or if the board does not stay in place. Nothing is returned then: a poor hand-eye pose moves grasps.
    """
    tools, boards = np.asarray(T_base_tcp), np.asarray(T_camera_board)
    if tools.shape != boards.shape or tools.shape[1:] != (4, 4):
        raise ValueError(f"Wanted two stacks of (N, 4, 4), got {tools.shape} and {boards.shape}.")
    _check_views(tools)
    X, disagreement = _closed_form(tools, boards)
    X, Y = _refine(tools, boards, X)
    spread = _spread(tools, boards, X, Y)
    held_out = _held_out(tools, boards)
    if spread[0] > MAX_SPREAD_M:
        raise ValueError(
            f"The board's place differs by {1000 * spread[0]:.1f} mm between the views, {1000 * MAX_SPREAD_M:.0f} mm are "
            "allowed: keep the board fixed and the arm still, check square_m, the lens and the controller's tcp."
        )
    return HandEye(X, Y, *spread, *held_out, *disagreement)


def _check_views(tools: Array) -> None:
    if len(tools) < MIN_VIEWS:
        raise ValueError(f"Hand-eye calibration needs {MIN_VIEWS} views, got {len(tools)}.")
    turns = Rotation.from_matrix(tools[:, :3, :3])
    vectors = (turns.mean().inv() * turns).as_rotvec()
    used = np.linalg.svd(vectors, compute_uv=False) / np.sqrt(len(vectors))
    if used[1] < MIN_TURN_RAD:
        raise ValueError(
            f"The tool was turned by {np.rad2deg(used[0]):.0f} and {np.rad2deg(used[1]):.0f} deg (standard deviation) about its "
            f"two most used axes, {np.rad2deg(MIN_TURN_RAD):.0f} deg are needed about both: tilt the camera 20 to 30 deg to all "
            "sides, and turn it about its view."
        )


def _closed_form(tools: Array, boards: Array) -> tuple[Array, tuple[float, float]]:
    """PARK's T_tcp_camera, and how far others are from it."""
    methods = (
        cv2.CALIB_HAND_EYE_PARK,
        cv2.CALIB_HAND_EYE_HORAUD,
        cv2.CALIB_HAND_EYE_DANIILIDIS,
    )
    found = []
    for method in methods:
        R, t = cv2.calibrateHandEye(
            list(tools[:, :3, :3]), list(tools[:, :3, 3]),
            list(boards[:, :3, :3]), list(boards[:, :3, 3]), method=method,
        )  # fmt: skip
        found.append(se3.transform(np.asarray(R, np.float64), np.asarray(t, np.float64).ravel()))
    off = [_distance(found[0], other) for other in found[1:]]
    disagreement = max(d for d, _ in off), max(a for _, a in off)
    if any(d > most for d, most in zip(disagreement, MAX_DISAGREEMENT, strict=True)):
        raise ValueError(
            f"Methods disagree by {1000 * disagreement[0]:.1f} mm and {np.rad2deg(disagreement[1]):.2f} deg: the views are too "
            "few or too alike, or their poses are wrong. Take more, from more sides."
        )
    return found[0], disagreement


def _refine(tools: Array, boards: Array, X: Array) -> tuple[Array, Array]:
    """T_tcp_camera and T_base_board that fit all views best."""
    start = _mean(tools @ X @ boards)

    def residuals(x: Array) -> Array:
        camera, board = X @ se3.exp(x[:6]), start @ se3.exp(x[6:])
        off = se3.inverse(board) @ tools @ camera @ boards
        # To first order the rotation's vector, which is all that a small one needs.
        skew = 0.5 * (off - off.swapaxes(1, 2))[:, [2, 0, 1], [1, 2, 0]]
        return np.concatenate([off[:, :3, 3], LEVER_M * skew]).ravel()

    best = least_squares(residuals, np.zeros(12), loss="soft_l1", f_scale=0.002).x
    return X @ se3.exp(best[:6]), start @ se3.exp(best[6:])


def _held_out(tools: Array, boards: Array) -> tuple[float, float]:
    numbers = np.arange(len(tools)) % FOLDS
    squares = np.zeros(2)
    for fold in range(FOLDS):
        kept = numbers != fold
        X, Y = _refine(tools[kept], boards[kept], _closed_form(tools[kept], boards[kept])[0])
        off = np.array(_spread(tools[~kept], boards[~kept], X, Y))
        squares += np.count_nonzero(~kept) * off**2
    distance, angle = np.sqrt(squares / len(tools))
    return float(distance), float(angle)


def _spread(tools: Array, boards: Array, X: Array, Y: Array) -> tuple[float, float]:
    off = [_distance(Y, one) for one in tools @ X @ boards]
    distance, angle = np.sqrt(np.mean(np.square(off), axis=0))
    return float(distance), float(angle)


def _distance(A: Array, B: Array) -> tuple[float, float]:
    off = se3.inverse(A) @ B
    return float(np.linalg.norm(off[:3, 3])), float(se3.rotation_angle(off))


def _mean(poses: Array) -> Array:
    rotation = Rotation.from_matrix(poses[:, :3, :3]).mean()
    return se3.transform(rotation.as_matrix(), poses[:, :3, 3].mean(axis=0))
