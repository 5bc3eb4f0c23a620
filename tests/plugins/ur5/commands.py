"""LeRobot's own commands in processes of their own, on the robot under test."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np

from tests.plugins.ur5.robots import BOTH_FINGERS, TCP, start_position

HERE = Path(__file__).parent
PATIENCE = ("--robot.loop.state_max_age_s=1.0", "--robot.loop.watchdog_hz=2.0")
"""On a busy machine the loopback's clock stands still now and then."""


def run(*command: str) -> str:
    """Run `lerobot-COMMAND` to its end and return what it printed."""
    done = subprocess.run(
        [sys.executable, str(HERE / "lerobot_command.py"), *command],
        env=os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout + done.stderr


def numbers(values: object) -> str:
    return "[" + ", ".join(str(float(value)) for value in np.asarray(values)) + "]"


def robot_flags(
    folder: Path, *, model: str = "ur5e", host: str | None = None, **cameras: str
) -> list[str]:
    """The robot by flags alone, in a dry run or, with a host, on its loopback controller; two replayed TacTips and other cameras."""
    centre = start_position(model)
    where = [f"--robot.mode=loopback --robot.host={host}", *PATIENCE] if host else []
    replays = {name: replay(folder / name) for name in BOTH_FINGERS}
    listed = ", ".join(f"{name}: {camera}" for name, camera in (replays | cameras).items())
    return [
        "--robot.type=ur5_tactip",
        "--robot.id=test",
        f"--robot.model={model}",
        *" ".join(where).split(),
        f"--robot.calibration_dir={folder}",
        f"--robot.tcp={numbers(TCP)}",
        "--robot.payload_kg=1.2",
        "--robot.payload_cog_m=[0.0, 0.0, 0.06]",
        f"--robot.limits.workspace_min_m={numbers(centre - 0.1)}",
        f"--robot.limits.workspace_max_m={numbers(centre + 0.1)}",
        f"--robot.cameras={{{listed}}}",
    ]


def replay(folder: Path, size: int = 64) -> str:
    """A TacTip camera that replays a folder, by its settings; pictures are drawn if there are none."""
    if not folder.is_dir():
        folder.mkdir()
        for number in range(10):
            picture = np.full((size, size), 100, dtype=np.uint8)
            cv2.circle(picture, (10 + 4 * number, size // 2), 4, 180, -1)
            cv2.imwrite(str(folder / f"{number}.png"), picture)
    return (
        f"{{type: tactip, source: replay, path: {folder}, width: {size}, height: {size}, fps: 30}}"
    )
