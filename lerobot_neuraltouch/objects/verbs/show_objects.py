"""`neuraltouch show-objects`: pictures of generated objects."""

from dataclasses import dataclass
from pathlib import Path

import draccus

from lerobot_neuraltouch.objects.catalogue import CATEGORIES, SPLITS, make_object
from lerobot_neuraltouch.objects.draw import save_sheet


@dataclass(frozen=True)
class ShowObjectsConfig:
    """Draw 5 x 5 objects of each category with their contact features."""

    output: Path = Path("outputs/objects")
    """Folder for the pictures, one PNG per category."""
    category: str = ",".join(CATEGORIES)
    """Which categories, separated by commas."""
    split: str = "train"
    """Stream of objects: train, val, test or ood (styles held out of the others)."""
    seed: int = 0
    """Number of the first object of the stream."""

    def __post_init__(self) -> None:
        unknown = [name for name in self.category.split(",") if name not in CATEGORIES]
        if unknown:
            raise ValueError(
                f"Unknown category '{unknown[0]}'. Available: {', '.join(CATEGORIES)}."
            )
        if self.split not in SPLITS:
            raise ValueError(f"Unknown split '{self.split}'. Available: {', '.join(SPLITS)}.")
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0, got {self.seed}.")


@draccus.wrap()
def show_objects(config: ShowObjectsConfig) -> None:
    """Draw generated objects with their contact features."""
    for category in config.category.split(","):
        models = [make_object(category, config.split, config.seed + i) for i in range(25)]
        path = config.output / f"{category}-{config.split}.png"
        save_sheet(models, path)
        print(f"Wrote {path}")
