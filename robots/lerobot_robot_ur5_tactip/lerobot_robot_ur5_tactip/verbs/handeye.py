"""`neuraltouch handeye`: find the wrist camera on the tool from views of a printed board. Moves nothing: a person does."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import draccus
import numpy as np
from lerobot.cameras.utils import make_cameras_from_configs
from lerobot.robots import RobotConfig
from lerobot.utils.import_utils import register_third_party_plugins

from lerobot_neuraltouch import kinematics, se3
from lerobot_neuraltouch.report import write_json
from lerobot_robot_ur5_tactip.config_ur5_tactip import UR5TacTipConfig
from lerobot_robot_ur5_tactip.handeye.board import Board
from lerobot_robot_ur5_tactip.handeye.calibrate import Result, calibrate
from lerobot_robot_ur5_tactip.handeye.factory import CameraFacts, DepthPicture, realsense_facts
from lerobot_robot_ur5_tactip.handeye.solve import MIN_VIEWS
from lerobot_robot_ur5_tactip.handeye.views import View, ViewFolder
from lerobot_robot_ur5_tactip.tool import MAX_OFF_M, MAX_OFF_RAD, off_nominal
from lerobot_robot_ur5_tactip.ur5_tactip import wrist_calibration_path
from lerobot_robot_ur5_tactip.ur_rtde import open_receive

from .robot_flag import require_ur5_tactip

Ask = Callable[[str], str]

_STILL_RAD_S = 1e-3


@dataclass
class HandEyeConfig:
    """Settings of `neuraltouch handeye`."""

    robot: RobotConfig | None = None
    """The robot, with the flags of LeRobot's commands, to take views; without it, views already taken are used."""
    views: Path = Path("outputs/handeye")
    """Folder of the views; a folder that has some is added to."""
    board: Board = field(default_factory=Board)
    """What was printed."""
    draw: Path | None = None
    """Only write the board to this PNG, 8 pixels per millimetre, to be printed."""
    output: Path | None = None
    """The calibration; default: where the robot looks for it, or wrist.json beside the views."""


def main() -> None:
    """Calibrate the wrist camera's place on the tool: a board, at least 15 views, moved by hand between them."""
    register_third_party_plugins()
    config = draccus.parse(HandEyeConfig)
    if config.draw is not None:
        draw(config.board, config.draw)
        return
    folder = ViewFolder(config.views)
    output = config.output
    if config.robot is not None:
        robot = require_ur5_tactip(config.robot)
        take_views(robot, config.board, folder, input)
        output = output or wrist_calibration_path(robot)
    result = calibrate(folder.read(), config.board, folder.camera())
    tell(result)
    path = write_json(output or config.views / "wrist.json", _content(result))
    print(f"Calibration: {path}")


def draw(board: Board, path: Path) -> None:
    """Write the board to a PNG to print."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), board.draw()):
        raise ValueError(f"'{path}' cannot be written: name a file that ends in .png.")
    print(
        f"Print '{path}' at full size on stiff, flat, dull paper, measure a square, and give its side as --board.square_m "
        f"(drawn: {1000 * board.square_m:.1f} mm)."
    )


def take_views(config: UR5TacTipConfig, board: Board, folder: ViewFolder, ask: Ask) -> None:
    """Take views until the person says that it is enough. The arm is moved by hand (the pendant's freedrive button).

    Args:
        config: The robot: its state stream is read, nothing is sent to it. Its camera `wrist` sees the board.
        board: What was printed.
        folder: Gets the views.
        ask: Shows a question and returns what the person typed.

    Raises:
        ValueError: If there is no controller or no wrist camera, or the controller's tcp is not the config's.
        LinkError: If the controller cannot be reached.
    """
    if config.mode == "dry_run" or "wrist" not in config.cameras:
        raise ValueError(
            "Taking views needs a controller (--robot.mode, --robot.host) and a camera named wrist."
        )
    camera = make_cameras_from_configs({"wrist": config.cameras["wrist"]})["wrist"]
    receive = open_receive(config.host or "", upper_registers=config.use_upper_registers)
    try:
        camera.connect()
        folder.set_camera(facts_of(camera))
        count = 0
        while True:
            text = f"{count} views. Move the arm so that the camera sees the board anew, let go; Enter takes a view, 'done' ends: "
            if ask(text).strip().lower() == "done":
                break
            try:
                T_base_tcp = still_pose(receive, config)
                picture = np.asarray(camera.read())
                seen = len(board.find(picture)[0])
            except ValueError as error:
                print(f"  not taken: {error}")
                continue
            count = folder.add(View(picture, T_base_tcp))
            hint = "" if count >= MIN_VIEWS else f", {MIN_VIEWS - count} more at least"
            print(f"  taken: {seen} corners{hint}")
    finally:
        receive.disconnect()
        if camera.is_connected:
            camera.disconnect()


def still_pose(receive: Any, config: UR5TacTipConfig) -> np.ndarray:
    """T_base_tcp of an arm that stands still, as the controller has it, (4, 4).

    Raises:
        ValueError: If it moves, or if its tcp is not where model and tcp of the config put it.
    """
    if np.abs(receive.getActualQd()).max() > _STILL_RAD_S:
        raise ValueError("The arm moves: let go of it first.")
    T_base_tcp = se3.from_rotvec_pose(np.array(receive.getActualTCPPose()))
    distance, angle = off_nominal(
        kinematics.get_arm(config.model),
        se3.from_rotvec_pose(np.array(config.tcp)),
        np.array(receive.getActualQ()),
        T_base_tcp,
    )
    if distance > MAX_OFF_M or angle > MAX_OFF_RAD:
        raise ValueError(
            f"The controller's tcp is {1000 * distance:.0f} mm and {np.rad2deg(angle):.1f} deg from the configured one: set the "
            f"tcp {list(config.tcp)} on the pendant (Installation, TCP), and check the model."
        )
    return T_base_tcp


def facts_of(camera: Any) -> CameraFacts:
    """What the camera's maker knows; other cameras' lenses are measured, and their depth is taken to lie in the same picture."""
    profile = getattr(camera, "rs_profile", None)
    if profile is not None:
        # What LeRobot's RealSense camera runs on: it is there where a profile is.
        return realsense_facts(profile, import_module("pyrealsense2"))
    side = float(max(camera.width, camera.height))
    depth = DepthPicture(
        width=camera.width, height=camera.height, fx=side, fy=side,
        cx=0.5 * camera.width, cy=0.5 * camera.height,
    )  # fmt: skip
    return CameraFacts(None, depth, np.eye(4))


def tell(result: Result) -> None:
    """Say what was found and what it is worth."""
    report = result.report()
    place = ", ".join(f"{1000 * x:.1f}" for x in result.calibration.tcp_camera[:3])
    print(
        f"Camera at ({place}) mm in the tcp's frame, from {result.used} views.\n"
        f"The board stays within {report['board_spread_mm']:.2f} mm and {report['board_spread_deg']:.3f} deg of one place; for "
        f"views left out of the fit {report['held_out_mm']:.2f} mm and {report['held_out_deg']:.3f} deg.\n"
        f"Closed forms differ by {report['methods_disagree_mm']:.2f} mm and {report['methods_disagree_deg']:.3f} deg."
    )


def _content(result: Result) -> dict[str, Any]:
    date = datetime.now(UTC).isoformat(timespec="seconds")
    return {**asdict(result.calibration), "date": date, "report": result.report()}
