"""Pictures of episodes in which the wanted contact changes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import matplotlib.figure
import numpy as np
from lerobot.utils.io_utils import write_video
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from lerobot_neuraltouch import features
from lerobot_policy_neuraltouch.bench.switch_play import Switched

_SIZE = 480
"""Height of a frame [pixels]."""
_COLOURS = ("tab:gray", "tab:blue")
_FLOOR_MM = 0.01
"""Smaller errors are drawn here: the axis is logarithmic."""


def draw_switching(
    played: Mapping[tuple[str, tuple[str, str]], Sequence[Switched]], output: Path
) -> Path:
    """Position error against both contacts around the switch: every episode, and the median of those whose hand points down."""
    figure = matplotlib.figure.Figure(figsize=(5.0 * len(played), 4.2), layout="constrained")
    panels = figure.subplots(1, len(played), squeeze=False)[0]
    for axes, ((method, pair), episodes) in zip(panels, played.items(), strict=True):
        for contact, name in enumerate(pair):
            _draw_errors(axes, episodes, contact, name)
        axes.axvline(0.0, color="black", linewidth=0.8)
        axes.set(
            yscale="log",
            xlabel="time since the switch [s]",
            ylabel="position error [mm]",
            title=f"{method}: {pair[0]}, then {pair[1]}",
        )
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(output, dpi=150)
    return output


def _draw_errors(axes: Any, episodes: Sequence[Switched], contact: int, name: str) -> None:
    aligned = _aligned(episodes, contact)
    before = max(episode.switch for episode in episodes)
    time = (np.arange(aligned.shape[1]) - before + 1) / features.CONTROL_HZ
    colour = _COLOURS[contact]
    axes.plot(time, aligned.T, color=colour, alpha=0.15, linewidth=0.7)
    down = aligned[[episode.points_down for episode in episodes]]
    known = ~np.isnan(down).all(axis=0)
    if known.any():
        median = np.nanmedian(down[:, known], axis=0)
        label = f"against {name}, median of {len(down)}, hand down"
        axes.plot(time[known], median, color=colour, linewidth=2, label=label)


def _aligned(episodes: Sequence[Switched], contact: int) -> NDArray[np.float64]:
    """Errors [mm] with the switches in one column, shape (episodes, time): not known before a start, held after an end."""
    before = max(episode.switch for episode in episodes)
    after = max(len(episode.pos_errors_m) - episode.switch for episode in episodes)
    aligned = np.full((len(episodes), before + after), np.nan)
    for row, episode in zip(aligned, episodes, strict=True):
        errors = np.array([pair[contact] for pair in episode.pos_errors_m])
        start = before - episode.switch
        row[start : start + len(errors)] = errors
        row[start + len(errors) :] = errors[-1]
    return np.maximum(1e3 * aligned, _FLOOR_MM)


class SwitchVideo:
    """Scene, touch images, and which contact is wanted, frame by frame.

    Args:
        path: Where the film goes (.mp4); it runs at real time.
    """

    def __init__(self, path: Path):
        self._path = path
        self._frames: list[NDArray[np.uint8]] = []

    def add(self, env: gym.Env, observation: Mapping[str, Any], info: Mapping[str, Any]) -> None:
        """Take a frame of an environment made with ``render_mode="rgb_array"``."""
        canvas = Image.new("RGB", (_SIZE + _SIZE // 2, _SIZE), "white")
        scene: Any = env.render()
        canvas.paste(Image.fromarray(scene).resize((_SIZE, _SIZE)), (0, 0))
        for row, side in enumerate(("left", "right")):
            touch = Image.fromarray(observation["pixels"][f"tactile_{side}"])
            enlarged = touch.resize((_SIZE // 2, _SIZE // 2), Image.Resampling.NEAREST)
            canvas.paste(enlarged, (_SIZE, row * _SIZE // 2))
        draw = ImageDraw.Draw(canvas)
        draw.text((8, 8), f"wanted: {info['wanted']}", fill="black")
        draw.text((8, 24), f"error {1e3 * info['pos_error_m']:.2f} mm", fill="black")
        self._frames.append(np.asarray(canvas))

    def write(self) -> None:
        """Write the film."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_video(self._path, self._frames, features.CONTROL_HZ)
