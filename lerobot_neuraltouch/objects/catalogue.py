"""Endless seeded streams of objects, one per category and split.

The seed is made of category, split and index, so no object of one split can come up in another. The split `ood` (out of
distribution) holds the styles that the others never have; its bolts are like the others.
"""

from functools import cache, lru_cache
from itertools import count

import numpy as np

from lerobot_neuraltouch.features import FEATURES, HELD_OUT_FEATURES
from lerobot_neuraltouch.objects.bolt import draw_bolt, make_bolt
from lerobot_neuraltouch.objects.bottle import draw_bottle, make_bottle
from lerobot_neuraltouch.objects.model import ObjectModel
from lerobot_neuraltouch.objects.mug import draw_mug, make_mug

CATEGORIES = ("mug", "bottle", "bolt")
SPLITS = ("train", "val", "test", "ood")


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
    name, held_out = f"{category}-{split}-{index:04d}", split == "ood"
    if category == "mug":
        return make_mug(draw_mug(rng, held_out), name)
    if category == "bottle":
        return make_bottle(draw_bottle(rng, held_out), name)
    return make_bolt(draw_bolt(rng), name)


def make_object_with(feature: str, split: str, index: int) -> ObjectModel:
    """Build object number `index` among those of a stream that have a contact feature.

    Raises:
        ValueError: If there is no such feature or split, no object of the split has it, or the index is negative.
    """
    known = FEATURES | HELD_OUT_FEATURES
    if feature not in known:
        raise ValueError(f"Unknown feature '{feature}'. Available: {', '.join(known)}.")
    category = known[feature]
    feature = "right_angle_handle" if feature == "handle_bar" else feature
    if feature not in ("right_angle_handle", "horizontal_handle"):
        return make_object(category, split, index)
    if not has_objects(feature, split):
        raise ValueError(f"No {category} of the split '{split}' has a {feature}.")
    object_rng(category, split, index)  # refuses what does not exist
    return make_object(category, split, _number_with(feature, split, index))


def has_objects(feature: str, split: str) -> bool:
    """Whether any object of a split has a feature: the held-out handle has no right angle."""
    return (feature, split) != ("right_angle_handle", "ood")


def _number_with(feature: str, split: str, index: int) -> int:
    """Number in the stream of mugs of the index-th one with a handle feature; only shapes are drawn for it."""
    found = _numbers_with(feature, split)
    while len(found) <= index:
        first = found[-1] + 1 if found else 0
        found.append(next(n for n in count(first) if _handle_feature(split, n) == feature))
    return found[index]


def has_held_out_styles(feature: str) -> bool:
    """Whether the split `ood` has objects with a feature that are unlike those of the other splits."""
    return has_objects(feature, "ood") and FEATURES[feature] != "bolt"


@cache
def _numbers_with(feature: str, split: str) -> list[int]:
    """The numbers that `_number_with` has found so far; it adds to them."""
    return []


def _handle_feature(split: str, number: int) -> str:
    mug = draw_mug(object_rng("mug", split, number), split == "ood")
    return "right_angle_handle" if mug.handle.style == "right_angle" else "horizontal_handle"
