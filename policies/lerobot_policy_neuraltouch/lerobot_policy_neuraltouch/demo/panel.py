"""Pictures of a run: scene, both touch images and the error curve side by side."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from lerobot_neuraltouch.features import Phase
from lerobot_policy_neuraltouch.demo.trace import Step, Trace

SCENE_SIZE = 480
TOUCH_SIZE = SCENE_SIZE // 2
CURVE_DECADES = (-1, 2)
"""The error axis runs from 0.1 mm to 100 mm."""
PHASE_NAMES = {
    Phase.COARSE: "coarse: vision",
    Phase.FINE: "fine: touch",
    Phase.REPLAY: "replay: lift",
}
PHASE_COLOURS = {
    Phase.COARSE: (90, 130, 200),
    Phase.FINE: (220, 130, 50),
    Phase.REPLAY: (80, 160, 90),
}


def video_frames(trace: Trace) -> Iterator[NDArray[np.uint8]]:
    """One panel, (480, 960, 3), for each step that has a scene picture."""
    for index, step in enumerate(trace.steps):
        if step.scene is not None:
            yield panel(trace, index)


def panel(trace: Trace, index: int) -> NDArray[np.uint8]:
    """Scene on the left; touch images above the error curve on the right; shape (480, 960, 3)."""
    step = trace.steps[index]
    canvas = Image.new("RGB", (2 * SCENE_SIZE, SCENE_SIZE), "white")
    assert step.scene is not None
    canvas.paste(Image.fromarray(step.scene).resize((SCENE_SIZE, SCENE_SIZE)), (0, 0))
    for side, touch in enumerate(step.touch):
        enlarged = Image.fromarray(touch).resize((TOUCH_SIZE, TOUCH_SIZE), Image.Resampling.NEAREST)
        canvas.paste(enlarged.convert("RGB"), (SCENE_SIZE + side * TOUCH_SIZE, 0))
    draw = ImageDraw.Draw(canvas)
    draw.text((8, 8), f"{trace.object_name} · {trace.feature}", fill="black")
    draw.text((8, 24), PHASE_NAMES[step.phase], fill=PHASE_COLOURS[step.phase])
    draw.text((8, 40), f"error {1e3 * step.pos_error_m:.2f} mm", fill="black")
    draw.text((SCENE_SIZE + 8, 8), "left", fill="white")
    draw.text((SCENE_SIZE + TOUCH_SIZE + 8, 8), "right", fill="white")
    _draw_curve(draw, trace.steps[: index + 1], len(trace.steps))
    return np.asarray(canvas)


def touch_sheet(traces: Sequence[Trace], columns: int = 6) -> Image.Image:
    """Touch images from first contact to the end of the fine phase: two rows (left, right) per run."""
    sheet = Image.new("RGB", (columns * TOUCH_SIZE // 2, len(traces) * TOUCH_SIZE), "white")
    for row, trace in enumerate(traces):
        fine = [step for step in trace.steps if step.phase == Phase.FINE] or trace.steps
        chosen = [fine[round(k)] for k in np.linspace(0, len(fine) - 1, columns)]
        for column, step in enumerate(chosen):
            for side, touch in enumerate(step.touch):
                tile = Image.fromarray(touch).resize((TOUCH_SIZE // 2, TOUCH_SIZE // 2))
                sheet.paste(
                    tile.convert("RGB"),
                    (column * TOUCH_SIZE // 2, row * TOUCH_SIZE + side * TOUCH_SIZE // 2),
                )
        draw = ImageDraw.Draw(sheet)
        draw.text(
            (4, row * TOUCH_SIZE + 2), f"{trace.feature}: left above, right below", fill="white"
        )
    return sheet


def _draw_curve(draw: ImageDraw.ImageDraw, steps: Sequence[Step], num_steps: int) -> None:
    """Position error over the steps on a logarithmic axis, in the lower right quarter."""
    left, top = SCENE_SIZE + 40, TOUCH_SIZE + 16
    width, height = SCENE_SIZE - 56, SCENE_SIZE - TOUCH_SIZE - 40
    low, high = CURVE_DECADES

    def y_of(error_mm: float) -> float:
        decade = np.clip(np.log10(max(error_mm, 1e-6)), low, high)
        return top + height * (high - decade) / (high - low)

    for decade in range(low, high + 1):
        draw.line(
            [(left, y_of(10.0**decade)), (left + width, y_of(10.0**decade))], fill=(220, 220, 220)
        )
        draw.text((SCENE_SIZE + 4, y_of(10.0**decade) - 6), f"{10.0**decade:g}", fill="black")
    draw.text((left, SCENE_SIZE - 18), "position error [mm] over steps; line: 1 mm", fill="black")
    draw.line([(left, y_of(1.0)), (left + width, y_of(1.0))], fill=(200, 60, 60))
    points = [
        (left + width * k / max(num_steps - 1, 1), y_of(1e3 * step.pos_error_m))
        for k, step in enumerate(steps)
    ]
    for (a, b), step in zip(itertools.pairwise(points), steps[1:], strict=True):
        draw.line([a, b], fill=PHASE_COLOURS[step.phase], width=2)
