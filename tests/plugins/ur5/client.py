"""What a client process does: it keeps moving the tool forwards until somebody ends it."""

import time
from pathlib import Path

from lerobot_robot_ur5_tactip.ur5_tactip import UR5TacTip
from tests.plugins.ur5.robots import action, make_config


def run_client(host: str, model: str, folder: Path) -> None:
    """Move forwards, saying so once it does; writes what stopped it to FOLDER/error."""
    robot = UR5TacTip(make_config(folder, mode="loopback", host=host, model=model))
    robot.connect()
    try:
        while True:
            robot.send_action(action(0.0, 0.0, 0.01))
            time.sleep(0.05)
    except Exception as error:
        (folder / "error").write_text(f"{type(error).__name__}: {error}")
        raise
    finally:
        robot.disconnect()
