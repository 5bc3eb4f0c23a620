"""The page on touch: its code runs, its pictures are there and small."""

import re
from pathlib import Path

from gym_neuraltouch.randomisation import RANDOMISATIONS

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "touch.md").read_text()


def test_the_printed_python_runs() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    scope: dict = {}
    exec(code, scope)
    assert scope["observation"]["pixels"]["tactile_left"].shape == (128, 128, 3)
    low, high = RANDOMISATIONS["wide"].friction  # type: ignore[misc]
    assert low <= scope["info"]["randomisation"]["friction"] <= high


def test_pictures_are_there_and_below_150_kb() -> None:
    pictures = re.findall(r"\]\((images/\S+?)\)", PAGE)
    assert len(pictures) == 3
    assert all(0 < (DOCS / name).stat().st_size < 150_000 for name in pictures)
