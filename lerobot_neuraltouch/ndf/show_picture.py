"""Picture and Rerun recording of a pose search in a descriptor field. Frame: base [m]; pictures in centimetres."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import rerun as rr

matplotlib.use("Agg")
from matplotlib.figure import Figure

from lerobot_neuraltouch.ndf.pose_search import PoseSearchResult

AXIS_M = 0.03
COLOURS = ("tab:red", "tab:green", "tab:blue")
CM = 100.0


@dataclass(frozen=True, eq=False)
class FieldView:
    """Everything there is to see of one search."""

    title: str
    cloud: np.ndarray
    """(N, 3)."""
    surface: np.ndarray
    """Points on the field's zero level, (M, 3)."""
    surface_energy: np.ndarray
    """How unlike the shown contact they are, (M,)."""
    slices: dict[str, np.ndarray]
    """Energy of the found pose shifted along two of its axes, by their names, (S, S) each."""
    reach_m: float
    """Half the width of the slices."""
    result: PoseSearchResult
    error: tuple[float, float] | None
    """Position error [m] and cosine error, where the truth is known."""

    def caption(self) -> str:
        """The search in numbers."""
        found = self.result
        text = (
            f"{self.title}: energy {found.energy:.2f}, confidence {found.confidence:.2f}, "
            f"{found.evidence.touched} points seen there"
        )
        if self.error is None:
            return text
        angle = np.rad2deg(np.arccos(np.clip(1.0 - self.error[1], -1.0, 1.0)))
        return f"{text}; error {1e3 * self.error[0]:.1f} mm, {angle:.1f} deg"


def draw_view(view: FieldView, path: Path) -> None:
    """Draw cloud and starts, surface and heat map, and the energy around the found pose, into one PNG."""
    figure = Figure(figsize=(15.0, 7.6), layout="constrained")
    figure.suptitle(view.caption(), fontsize=10)
    grid = figure.add_gridspec(2, 3, width_ratios=(1.3, 1.3, 0.9))
    left: Any = figure.add_subplot(grid[:, 0], projection="3d")
    left.scatter(*(CM * view.cloud.T), s=2, c="0.35", depthshade=False)
    for start in view.result.starts:
        _draw_approach(left, start, "0.6", 0.7)
    for candidate in view.result.candidates[1:]:
        _draw_approach(left, candidate.T, "tab:orange", 1.2)
    _draw_axes(left, view.result.T)
    left.set_title("seen cloud; starts gray, other ends orange, chosen pose in colour", fontsize=8)
    middle: Any = figure.add_subplot(grid[:, 1], projection="3d")
    shade = np.log10(view.surface_energy + 1e-2)
    dots = middle.scatter(*(CM * view.surface.T), s=3, c=shade, cmap="viridis_r", depthshade=False)
    _draw_axes(middle, view.result.T)
    middle.set_title("the field's surface, coloured by likeness to the shown contact", fontsize=8)
    figure.colorbar(dots, ax=middle, shrink=0.5, label="log10 energy of the place")
    everything = np.concatenate([view.cloud, view.surface, view.result.T[None, :3, 3]])
    for ax in (left, middle):
        _equal(ax, CM * everything)
    for row, (axes, energy) in enumerate(view.slices.items()):
        ax: Any = figure.add_subplot(grid[row, 2])
        edge = 1e3 * view.reach_m
        drawn = ax.imshow(
            np.log10(energy + 1e-2), origin="lower", extent=(-edge, edge, -edge, edge), cmap="magma"
        )
        ax.plot(0, 0, "+", color="white")
        ax.set_xlabel(f"shift along tcp {axes[0]} [mm]", fontsize=8)
        ax.set_ylabel(f"shift along tcp {axes[1]} [mm]", fontsize=8)
        figure.colorbar(drawn, ax=ax, label="log10 energy of the pose")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def record_view(view: FieldView, path: Path) -> None:
    """Write the same as a Rerun recording."""
    recording = rr.RecordingStream("neuraltouch_show_ndf")
    recording.save(str(path))
    recording.log("cloud", rr.Points3D(view.cloud, radii=0.0008, colors=(90, 90, 90)), static=True)
    colours = matplotlib.colormaps["viridis_r"](_unit(np.log10(view.surface_energy + 1e-2)))
    recording.log(
        "surface", rr.Points3D(view.surface, radii=0.0008, colors=colours[:, :3]), static=True
    )
    starts = view.result.starts
    recording.log(
        "starts",
        rr.Arrows3D(
            origins=starts[:, :3, 3], vectors=AXIS_M * starts[:, :3, 2], colors=(160, 160, 160)
        ),
        static=True,
    )
    for number, candidate in enumerate(view.result.candidates):
        name = "chosen" if number == 0 else f"others/{number}"
        vectors = AXIS_M * candidate.T[:3, :3].T
        recording.log(
            name,
            rr.Arrows3D(
                origins=np.tile(candidate.T[:3, 3], (3, 1)), vectors=vectors, colors=255 * np.eye(3)
            ),
            static=True,
        )
    recording.log("caption", rr.TextDocument(view.caption()), static=True)
    recording.flush()


def _draw_approach(ax: Any, T: np.ndarray, colour: str, width: float) -> None:
    """A line along the approach direction that ends at the tcp."""
    line = CM * (T[:3, 3] - np.outer([1.0, 0.0], AXIS_M * T[:3, 2]))
    ax.plot(*line.T, color=colour, linewidth=width)


def _draw_axes(ax: Any, T: np.ndarray) -> None:
    for axis, colour in enumerate(COLOURS):
        line = CM * (T[:3, 3] + np.outer([0.0, 1.0], AXIS_M * T[:3, axis]))
        ax.plot(*line.T, color=colour, linewidth=2.5)


def _equal(ax: Any, points: np.ndarray) -> None:
    middle = 0.5 * (points.min(0) + points.max(0))
    half = 0.5 * float(np.ptp(points, axis=0).max())
    for name, centre in zip("xyz", middle, strict=True):
        getattr(ax, f"set_{name}lim")(centre - half, centre + half)
        getattr(ax, f"set_{name}label")(f"{name} [cm]", fontsize=7)
    ax.set_box_aspect((1, 1, 1))
    ax.tick_params(labelsize=6)


def _unit(values: np.ndarray) -> np.ndarray:
    low, high = np.quantile(values, [0.0, 0.95])
    return np.clip((values - low) / max(high - low, 1e-9), 0.0, 1.0)
