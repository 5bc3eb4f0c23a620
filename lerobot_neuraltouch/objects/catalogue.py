"""Endless seeded streams of objects, one per category and split.

The seed is made of category, split and index, so no object of one split can come up in another.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from lerobot_neuraltouch.objects.bottle import draw_bottle, make_bottle
from lerobot_neuraltouch.objects.model import ObjectModel
from lerobot_neuraltouch.objects.mug import draw_mug, make_mug

_MAKERS: dict[str, Callable[[np.random.Generator, str], ObjectModel]] = {
    "mug": lambda rng, name: make_mug(draw_mug(rng), name),
    "bottle": lambda rng, name: make_bottle(draw_bottle(rng), name),
}
CATEGORIES = tuple(_MAKERS)
SPLITS = ("train", "val", "test")


def object_rng(category: str, split: str, index: int) -> np.random.Generator:
    """The random numbers that shape one object.

    Raises:
        ValueError: If category or split do not exist, or the index is negative.
    """
    if category not in CATEGORIES:
        raise ValueError(f"Unknown category '{category}'. Available: {', '.join(CATEGORIES)}.")
    if split not in SPLITS:
        raise ValueError(f"Unknown split '{split}'. Available: {', '.join(SPLITS)}.")
    if index < 0:
        raise ValueError(f"An object's index must be at least 0, got {index}.")
    seed = (CATEGORIES.index(category), SPLITS.index(split), index)
    return np.random.default_rng(np.random.SeedSequence(seed))


@lru_cache(maxsize=64)
def make_object(category: str, split: str, index: int) -> ObjectModel:
    """Build object number `index` of a stream, always the same one.

    Args:
        category: One of CATEGORIES.
        split: One of SPLITS.
        index: From 0 on; every index exists.

    Raises:
        ValueError: If category or split do not exist, or the index is negative.
    """
    rng = object_rng(category, split, index)
    return _MAKERS[category](rng, f"{category}-{split}-{index:04d}")
