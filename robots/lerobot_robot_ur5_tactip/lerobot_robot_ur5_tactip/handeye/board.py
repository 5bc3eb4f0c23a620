"""The calibration board: a chess board with ArUco markers, so that parts of it are enough. Pictures are gray or RGB.

Board frame: origin at a corner of the printed pattern, x along its columns, y along its rows, z into the paper [m].
"""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Picture = NDArray[np.uint8]

MIN_CORNERS = 8
"""A view with fewer corners of the chess board is refused."""


@dataclass(frozen=True, kw_only=True)
class Board:
    """What was printed. Measure the squares on paper: printers scale."""

    columns: int = 7
    """Squares along x."""
    rows: int = 5
    """Squares along y."""
    square_m: float = 0.030
    """Side of a square, as measured [m]."""
    marker_m: float = 0.022
    """Side of a marker [m]."""

    def __post_init__(self) -> None:
        if self.columns < 3 or self.rows < 3:
            raise ValueError(
                f"A board needs 3 x 3 squares or more, got {self.columns} x {self.rows}."
            )
        if not 0.0 < self.marker_m < self.square_m:
            raise ValueError(
                f"marker_m must be positive and below square_m ({self.square_m}), got {self.marker_m}."
            )

    @cached_property
    def _pattern(self) -> cv2.aruco.CharucoBoard:
        markers = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50)
        return cv2.aruco.CharucoBoard(
            (self.columns, self.rows), self.square_m, self.marker_m, markers
        )

    @cached_property
    def _detector(self) -> cv2.aruco.CharucoDetector:
        settings = cv2.aruco.DetectorParameters()
        settings.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
        return cv2.aruco.CharucoDetector(self._pattern, detectorParams=settings)

    def draw(self, pixels_per_m: float = 8000.0, margin_m: float = 0.010) -> Picture:
        """The pattern to print at `pixels_per_m`, gray (H, W), with a white margin."""
        margin = round(margin_m * pixels_per_m)
        size = [round(n * self.square_m * pixels_per_m) + 2 * margin for n in self._size]
        return np.asarray(self._pattern.generateImage(size, marginSize=margin), dtype=np.uint8)

    def find(self, picture: Picture) -> tuple[Array, Array]:
        """Corners of the chess board in a picture.

        Args:
            picture: uint8 (H, W) or (H, W, 3).

        Returns:
            Their places on the board [m], (N, 3), and in the picture [pixels], (N, 2).

        Raises:
            ValueError: If fewer than MIN_CORNERS are seen.
        """
        gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) if picture.ndim == 3 else picture
        pixels, names, _, _ = self._detector.detectBoard(gray)
        count = 0 if names is None else len(names)
        if count < MIN_CORNERS:
            raise ValueError(
                f"The picture shows {count} corners of the board, {MIN_CORNERS} are needed: bring the whole board into "
                f"view, in focus and without glare. Wanted is a board of {self.columns} x {self.rows} squares (4x4 markers)."
            )
        corners = np.asarray(self._pattern.getChessboardCorners(), dtype=np.float64)
        return corners[np.asarray(names, dtype=np.intp).ravel()], pixels.reshape(-1, 2).astype(
            np.float64
        )

    def pose(self, picture: Picture, lens: "Lens") -> Array:
        """T_camera_board, shape (4, 4), camera axes x right, y down, z forward.

        Raises:
            ValueError: If too little of the board is seen.
        """
        places, pixels = self.find(picture)
        found, rotation, position = cv2.solvePnP(
            places, pixels, lens.matrix, lens.distortion, flags=cv2.SOLVEPNP_IPPE
        )
        if not found:
            raise ValueError("The corners of the board fit no pose: check the board's settings.")
        rotation, position = cv2.solvePnPRefineLM(
            places, pixels, lens.matrix, lens.distortion, rotation, position
        )
        T = np.eye(4)
        T[:3, :3], T[:3, 3] = cv2.Rodrigues(rotation)[0], position.ravel()
        return T

    @property
    def _size(self) -> tuple[int, int]:
        return self.columns, self.rows


@dataclass(frozen=True, eq=False)
class Lens:
    """A pinhole camera with OpenCV's distortion."""

    matrix: Array
    """[pixels], shape (3, 3)."""
    distortion: Array
    """k1, k2, p1, p2, k3, shape (5,)."""
    error_px: float = 0.0
    """Root mean square distance of corners from where the lens has them [pixels]; 0 where it was not measured."""

    @classmethod
    def ideal(cls, fx: float, fy: float, cx: float, cy: float) -> "Lens":
        """Without distortion."""
        return cls(np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]]), np.zeros(5))


def measure_lens(board: Board, pictures: list[Picture]) -> Lens:
    """A lens from the same pictures of the board, for cameras whose maker gives none.

    Raises:
        ValueError: If there are fewer than 10 pictures, or one shows too little.
    """
    if len(pictures) < 10:
        raise ValueError(f"Measuring a lens needs 10 pictures of the board, got {len(pictures)}.")
    places, pixels = zip(*(board.find(picture) for picture in pictures), strict=True)
    height, width = pictures[0].shape[:2]
    error, matrix, distortion, _, _ = cv2.calibrateCamera(
        [p.astype(np.float32) for p in places],
        [p.astype(np.float32) for p in pixels],
        (width, height),
        np.eye(3),
        np.zeros(5),
    )
    found = (np.asarray(part, dtype=np.float64) for part in (matrix, distortion.ravel()[:5]))
    return Lens(*found, float(error))
