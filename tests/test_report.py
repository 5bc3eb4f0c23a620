"""A benchmark report is complete, plain and written in one piece."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from lerobot_neuraltouch import report


@dataclass(frozen=True)
class Config:
    num_shapes: int = 3
    output: Path = Path("x.json")


def write(path: Path, rows: list) -> dict:
    report.write_report(path, name="ndf", seed=4, config=Config(), rows=rows)
    return json.loads(path.read_text())


def test_the_report_names_run_machine_and_commit(tmp_path: Path) -> None:
    content = write(tmp_path / "deep" / "ndf.json", [{"pos_mm": np.float32(0.5), "n": np.int64(2)}])
    assert list(content) == ["name", "seed", "config", "rows", "machine", "commit"]
    assert content["rows"] == [{"pos_mm": 0.5, "n": 2}]
    assert content["config"] == {"num_shapes": 3, "output": "x.json"}
    assert content["machine"]["device"] == "cpu"
    assert content["machine"]["cores"] >= 1


def test_nan_becomes_null_so_that_any_reader_takes_the_file(tmp_path: Path) -> None:
    content = write(tmp_path / "a.json", [{"a": float("nan"), "b": np.array([1.0, np.inf])}])
    assert content["rows"] == [{"a": None, "b": [1.0, None]}]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    before = write(path, [{"a": 1}])
    with pytest.raises(TypeError, match="plain values; got object"):
        write(path, [{"a": object()}])
    assert json.loads(path.read_text()) == before
    assert list(tmp_path.iterdir()) == [path]
