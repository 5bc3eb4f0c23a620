"""`neuraltouch show-touch`: pictures of the fingertip and of what it sees."""

from dataclasses import dataclass
from pathlib import Path

import draccus

from lerobot_neuraltouch.tactile.draw import save_fingers, save_gray_maps


@dataclass(frozen=True)
class ShowTouchConfig:
    """Draw the fingertip's variants in section, and one contact in every gray map."""

    output: Path = Path("outputs/touch")
    """Folder for the pictures `finger.png` and `gray_maps.png`."""
    size: int = 128
    """Width and height of the touch images [pixels]."""


@draccus.wrap()
def show_touch(config: ShowTouchConfig) -> None:
    """Draw the fingertip in section and its images in every gray map."""
    config.output.mkdir(parents=True, exist_ok=True)
    for name, save in (("finger", save_fingers), ("gray_maps", save_gray_maps)):
        path = config.output / f"{name}.png"
        save(path, config.size)
        print(f"Wrote {path}")
