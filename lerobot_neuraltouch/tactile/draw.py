"""Pictures of the fingertip: its section, and one contact in every gray map."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import trimesh
from numpy.typing import NDArray

from lerobot_neuraltouch import se3

from .finger import FINGERS, TacTipFinger
from .gray import GRAY_MAPS
from .image import TactileCamera

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SKIN, _CORE, _CAMERA, _OBJECT = "#7aa6c9", "#55585e", "#b5533c", "#d9c9a3"
_BALL_M = 0.012
_DEPTHS_MM = (0.2, 0.5, 1.0, 2.0, 3.5, 5.0)


def save_fingers(path: Path, size: int) -> None:
    """Draw a section through each variant with its measures and, below, what a ball pressed in by 2 mm looks like.

    Args:
        path: Where to write.
        size: Of the touch images [pixels].
    """
    import matplotlib.figure

    figure = matplotlib.figure.Figure(figsize=(8.0, 4.5), layout="constrained")
    grid = figure.add_gridspec(2, len(FINGERS), height_ratios=(3, 2))
    for column, (name, finger) in enumerate(FINGERS.items()):
        section = figure.add_subplot(grid[0, column])
        _draw_section(section, finger)
        section.set_title(f"finger={name}", fontsize=10)
        image = figure.add_subplot(grid[1, column])
        _draw_profile(image, finger, size)
    figure.savefig(path, dpi=110)


def save_gray_maps(path: Path, size: int) -> None:
    """Draw a ball at several depths in every gray map, and the maps' curves.

    Args:
        path: Where to write.
        size: Of the touch images [pixels].
    """
    import matplotlib.figure

    columns = len(_DEPTHS_MM)
    figure = matplotlib.figure.Figure(figsize=(9.0, 5.4), layout="constrained")
    rows = len(GRAY_MAPS)
    grid = figure.add_gridspec(rows + 1, columns, height_ratios=(*[1.0] * rows, 1.5))
    for row, (name, gray_map) in enumerate(GRAY_MAPS.items()):
        for column, depth in enumerate(_DEPTHS_MM):
            axes = figure.add_subplot(grid[row, column])
            gray = gray_map.to_gray(_ball_image(FINGERS["dome"], size, 1e-3 * depth))
            axes.imshow(gray, cmap="gray", vmin=0, vmax=255)
            axes.set(xticks=[], yticks=[])
            axes.set_title(f"{depth:g} mm: at most {gray.max()}", fontsize=7)
            if column == 0:
                axes.set_ylabel(name, fontsize=9)
    curve = figure.add_subplot(grid[rows, :])
    depths = np.linspace(0, 0.007, 400)
    for name, gray_map in GRAY_MAPS.items():
        curve.plot(1e3 * depths, gray_map.to_gray(depths), label=name)
    curve.set_xlabel("indentation of a pixel [mm]", fontsize=8)
    curve.set_ylabel("gray level", fontsize=8)
    curve.grid(alpha=0.3)
    curve.legend(fontsize=8)
    figure.savefig(path, dpi=110)


def _ball_image(finger: TacTipFinger, size: int, depth_m: float) -> NDArray[np.float32]:
    """Indentation by a ball in the middle of the left pad [m], shape (size, size)."""
    camera = TactileCamera(trimesh.creation.icosphere(5, radius=_BALL_M), finger, size)
    T_object_pad = se3.transform(translation=(0.0, 0.0, depth_m - _BALL_M))
    return camera.indentation(np.stack([T_object_pad, T_object_pad]))[0]


def _draw_section(axes: "Axes", finger: TacTipFinger) -> None:
    """The finger cut through its axis, the pad's normal upwards [mm]."""
    from matplotlib.patches import Rectangle

    x, y = _skin_outline(finger)
    axes.fill_between(x, y, -1e3 * finger.core_depth_m, color=_SKIN, alpha=0.5)
    axes.plot(x, y, color="black", linewidth=1.2)
    half, height = 1e3 * finger.core_half_size_m[0], 2e3 * finger.core_half_size_m[2]
    bottom = -1e3 * finger.thickness_m
    axes.add_patch(Rectangle((-half, bottom), 2 * half, height, color=_CORE))
    deepest = -1e3 * finger.max_travel_m
    axes.plot([-half, half], [deepest, deepest], color="black", linewidth=0.7, linestyle=":")
    axes.text(0, deepest - 1.3, f"travel {-deepest:g}", fontsize=7, ha="center")
    camera = -1e3 * finger.camera_distance_m
    rim, sag = 1e3 * finger.pad_radius_m, -1e3 * finger.sagitta(finger.pad_radius_m)
    for side in (-1, 1):
        axes.plot([0, side * rim], [camera, sag], color=_CAMERA, linewidth=0.9)
    axes.plot(0, camera, "o", color=_CAMERA, markersize=5)
    label = {"fontsize": 7, "color": "white", "ha": "center", "va": "center"}
    axes.text(0, camera + 3.2, f"{np.rad2deg(finger.fov_rad):.0f} deg", **label)
    axes.text(-4.0, camera, "pinhole", **label)
    _measure(axes, (-rim, 1.6), (rim, 1.6), f"pad {2 * rim:g}")
    _measure(
        axes,
        (-12.0, 0.0),
        (-12.0, -1e3 * finger.core_depth_m),
        f"skin {1e3 * finger.core_depth_m:g}",
    )
    _measure(axes, (-17.0, 0.0), (-17.0, bottom), f"all {-bottom:g}")
    _measure(axes, (13.5, 0.0), (13.5, camera), f"camera {-camera:g}")
    if finger.shape == "dome":
        axes.text(0, -2.2, f"R {1e3 * finger.dome_radius_m:g} at the apex", fontsize=7, ha="center")
    axes.set(xlim=(-21, 19), ylim=(bottom - 1, 4), aspect="equal")
    axes.set_xlabel("along pad x [mm]", fontsize=8)
    axes.set_ylabel("along the normal [mm]", fontsize=8)
    axes.tick_params(labelsize=7)


def _skin_outline(finger: TacTipFinger) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points of the skin's section [mm]."""
    radius = finger.skin_radius_m
    x = np.linspace(-radius, radius, 201, dtype=np.float64)
    y = np.array([-finger.sagitta(abs(value)) for value in x])
    return 1e3 * x, 1e3 * y


def _measure(axes: "Axes", start: tuple[float, float], end: tuple[float, float], text: str) -> None:
    axes.annotate(
        "", xy=end, xytext=start, arrowprops={"arrowstyle": "<->", "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0}
    )  # fmt: skip
    x, y = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
    if start[0] == end[0]:
        axes.text(
            x - 0.4,
            -10.2 if abs(end[1] - start[1]) > 10 else y,
            text,
            fontsize=7,
            rotation=90,
            va="center",
            ha="right",
        )
    else:
        axes.text(x, y + 0.4, text, fontsize=7, ha="center")


def _draw_profile(axes: "Axes", finger: TacTipFinger, size: int) -> None:
    """The image of a ball pressed in by 2 mm."""
    gray = GRAY_MAPS["linear"].to_gray(_ball_image(finger, size, 0.002))
    axes.imshow(gray, cmap="gray", vmin=0, vmax=255)
    axes.set(xticks=[], yticks=[])
    axes.set_xlabel(f"a ball of radius {1e3 * _BALL_M:g} mm, 2 mm deep", fontsize=8)
