"""The page about users' own objects: its blocks run one after the other, as a reader would copy them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs/your_own_object.md"
NAMES = ("my_mug.yaml", "my_bottle.yaml")
"""Files that the page's YAML blocks are, in their order."""


@pytest.mark.slow
def test_every_block_of_the_page_runs(tmp_path: Path) -> None:
    folder = Path(sys.executable).parent
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}
    names = iter(NAMES)
    for language, body in re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text(), re.DOTALL):
        if language == "yaml":
            (tmp_path / "outputs/mine" / next(names)).write_text(body)
            continue
        if language == "python":
            command = [sys.executable, "-c", body]
        else:
            command = ["bash", "-ec", body.replace("--num-shapes=30", "--num-shapes=2")]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{body}\n{done.stderr[-3000:]}"
    assert next(names, None) is None
    assert (tmp_path / "outputs/mine/sheet.png").stat().st_size > 5000
