"""Benchmark reports: one JSON per run, with the machine and the commit that made it.

The file holds `{"name", "seed", "config", "rows", "machine", "commit"}`; numbers are plain numbers.
"""

import dataclasses
import json
import math
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

Row = Mapping[str, Any]


def write_report(
    output: Path | str,
    *,
    name: str,
    seed: int,
    config: Any,
    rows: Iterable[Row],
    device: str = "cpu",
) -> Path:
    """Write one benchmark's report; a reader sees the old file or the whole new one.

    Args:
        output: Where to write; missing folders are made.
        name: Benchmark, e.g. "ndf".
        seed: Seed of every draw in the run.
        config: Dataclass or mapping of the run's settings.
        rows: Results, each a flat mapping. NaN and infinity become null.
        device: What computed them, e.g. "cpu" or the GPU's name.

    Returns:
        The path written.

    Raises:
        TypeError: If a value is no number, string, boolean, path, array or container of these.
    """
    return write_json(
        output,
        {
            "name": name,
            "seed": seed,
            "config": config,
            "rows": list(rows),
            "machine": describe_machine(device),
            "commit": git_commit(),
        },
    )


def write_json(output: Path | str, content: Any) -> Path:
    """Write content as JSON through a temporary file beside `output`, renamed when complete."""
    path = Path(output)
    text = json.dumps(to_plain(content), indent=1, allow_nan=False) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def describe_machine(device: str = "cpu") -> dict[str, Any]:
    """Processor, usable cores, device and Python of this process."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "device": device,
        "system": platform.system(),
        "python": platform.python_version(),
    }


def git_commit() -> str | None:
    """Commit of the checkout this package runs from, `-dirty` if files differ; None if installed."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    command = [
        "git",
        "--no-optional-locks",
        "-C",
        str(root),
        "describe",
        "--always",
        "--dirty",
        "--abbrev=12",
        "--match=",
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def to_plain(value: Any) -> Any:
    """Turn dataclasses, NumPy values, paths and tuples into what JSON has.

    Raises:
        TypeError: If something in `value` has no JSON form.
    """
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Path):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [to_plain(item) for item in value]
    raise TypeError(f"A report holds plain values; got {type(value).__name__}: {value!r}.")


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
