"""The robot `ur5_tactip`: a UR5 or UR5e with two TacTip fingers behind LeRobot's interface.

Actions and states are those of `lerobot_neuraltouch.features`. Everything between a policy and the arm is in here:
LeRobot's own commands limit nothing.
"""

import atexit
import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from functools import cached_property
from typing import Any

import numpy as np
from lerobot.cameras.utils import make_cameras_from_configs
from lerobot.lerobot_types import RobotAction, RobotObservation
from lerobot.robots import Robot
from lerobot.utils.decorators import check_if_already_connected, check_if_not_connected

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.features import ACTION_NAMES, STATE_NAMES
from lerobot_neuraltouch.kinematics import get_arm

from .action import check_action
from .arm import Arm
from .calibration import WristCalibration, load_wrist_calibration, wrist_calibration_path
from .config_ur5_tactip import UR5TacTipConfig
from .dry_arm import DryArm
from .errors import NotReadyError, UR5TacTipError
from .gripper import Gripper, NoGripper, SimulatedGripper
from .limits import Limits
from .motion_loop import MotionLoop
from .robotiq import RobotiqGripper
from .rtde_arm import RtdeArm
from .touch import TouchWatch, read_camera

logger = logging.getLogger(__name__)


class UR5TacTip(Robot):
    """The robot. Actions go through a loop of its own, which stops the arm when they stop coming.

    Args:
        config: Limits, tool, timing, gripper and cameras.
    """

    config_class = UR5TacTipConfig
    name = "ur5_tactip"

    def __init__(self, config: UR5TacTipConfig) -> None:
        super().__init__(config)
        self.config = config
        self.cameras = make_cameras_from_configs(config.cameras)
        self.limits = Limits(
            config.braking_limits, get_arm(config.model), se3.from_rotvec_pose(np.array(config.tcp))
        )
        self.wrist_calibration: WristCalibration | None = None
        self.clipped: Counter[str] = Counter()
        """How often each limit changed an action since connecting."""
        self._gripper = make_gripper(config)
        self._loop: MotionLoop | None = None
        self._resources = ExitStack()

    # --- LeRobot's interface -----------------------------------------------------------------------------------------

    @cached_property
    def observation_features(self) -> dict[str, type | tuple]:
        """State components, then pictures as (height, width, channels)."""
        pictures: dict[str, tuple] = {}
        for name, camera in self.cameras.items():
            if getattr(camera, "use_rgb", True):
                pictures[name] = (camera.height, camera.width, 3)
            if getattr(camera, "use_depth", False):
                pictures[f"{name}_depth"] = (camera.height, camera.width, 1)
        state: dict[str, type | tuple] = dict.fromkeys(STATE_NAMES, float)
        return state | pictures

    @cached_property
    def action_features(self) -> dict[str, type]:
        """Twist of the tcp in its own frame, and finger distance."""
        return dict.fromkeys(ACTION_NAMES, float)

    @property
    def is_connected(self) -> bool:
        """Whether `connect` succeeded and `disconnect` has not been called; also true once the arm was stopped by an error."""
        return self._loop is not None

    @property
    def is_calibrated(self) -> bool:
        """The arm needs no calibration here; the wrist camera's is a file."""
        return True

    def calibrate(self) -> None:
        """Nothing to do."""

    def configure(self) -> None:
        """Done by `connect`."""

    @check_if_already_connected
    def connect(self, calibrate: bool = True) -> None:
        """Connect cameras, gripper and arm, and start the loop. Nothing moves.

        Raises:
            UR5TacTipError: If something is not ready; the message holds the remedy, and nothing stays connected.
            ImportError: If the mode needs ur-rtde and it is missing.
            ValueError: If the wrist camera's calibration file is not one, or not this camera's.
        """
        self.wrist_calibration = self._load_wrist_calibration()
        with ExitStack() as stack:
            for camera in self.cameras.values():
                camera.connect()
                stack.callback(camera.disconnect)
            self._gripper.connect()
            stack.callback(self._gripper.disconnect)
            arm = make_arm(self.config)
            arm.connect()
            stack.callback(arm.disconnect)
            self._check_start(arm)
            touch = TouchWatch(self.cameras, self.config.touch)
            touch.start()
            stack.callback(touch.close)
            loop = MotionLoop(
                arm, self.limits, self.config.loop, (touch.guard, self._guard_gripper)
            )
            loop.start()
            stack.callback(loop.close)
            self._resources = stack.pop_all()
        self._touch, self._loop = touch, loop
        self.clipped.clear()
        atexit.register(self._release)
        logger.info("%s connected in mode %s.", self, self.config.mode)

    @check_if_not_connected
    def get_observation(self) -> RobotObservation:
        """State and pictures; an old picture stops the arm.

        Raises:
            UR5TacTipError: What stopped the arm.
        """
        loop = self._require_loop()
        loop.check()
        state = np.append(loop.state.tcp, self._gripper.read())
        observation: dict[str, Any] = dict(zip(STATE_NAMES, state.tolist(), strict=True))
        try:
            return observation | self._pictures()
        except UR5TacTipError as error:
            loop.fail(error)
            raise

    @check_if_not_connected
    def send_action(self, action: RobotAction) -> RobotAction:
        """Set the twist and the finger distance until the next action or the deadline.

        Args:
            action: Exactly the keys of `action_features`; numbers or tensors of one element. With `record_executed`
                the values that are executed replace the ones given.

        Returns:
            What the limits let through where the arm is now, once the ramp of acceleration is through.

        Raises:
            ValueError: If keys are missing or unknown or a value is not finite; the arm ramps to a stop.
            UR5TacTipError: What stopped the arm.
        """
        loop = self._require_loop()
        loop.check()
        try:
            values = check_action(action)
            accepted, reasons = self.limits.accept(values[:6], loop.state)
        except ValueError:
            loop.halt()
            raise
        distance = self.config.gripper.clip(values[6])
        if distance != values[6] and self.config.gripper.kind != "none":
            reasons += ("finger distance",)
        self._count(reasons)
        loop.command(values[:6])
        self._gripper.command(distance)
        executed: RobotAction = dict(zip(ACTION_NAMES, [*accepted.tolist(), distance], strict=True))
        if self.config.record_executed:
            action.update(executed)
        return executed

    @check_if_not_connected
    def disconnect(self) -> None:
        """Stop the arm, end its program, let go of everything; the fingers stay as they are."""
        self._release()
        if self.clipped:
            logger.warning("Actions changed by limits: %s.", dict(self.clipped.most_common()))
        logger.info("%s disconnected.", self)

    @property
    def followed_at(self) -> Sequence[float]:
        """When the latest twists went to the arm, by `time.perf_counter()` [s]: how regular they are can be seen here."""
        return tuple(self._require_loop().followed_at)

    # --- inside ------------------------------------------------------------------------------------------------------

    @property
    def touch_references(self) -> dict[str, np.ndarray]:
        """Contact-free tactile pictures taken when connecting, by camera, float32 (H, W, 3)."""
        return self._touch.references

    def _release(self) -> None:
        """Let go of everything, last things first; harmless when nothing is held. Also called when the interpreter ends."""
        atexit.unregister(self._release)
        self._loop = None
        self._resources.close()

    def _require_loop(self) -> MotionLoop:
        assert self._loop is not None
        return self._loop

    def _pictures(self) -> dict[str, Any]:
        found, max_age_s = {}, self.config.touch.max_age_s
        for name, camera in self.cameras.items():
            if getattr(camera, "use_rgb", True):
                found[name] = read_camera(name, camera, max_age_s)
            if getattr(camera, "use_depth", False):
                found[f"{name}_depth"] = read_camera(name, camera, max_age_s, depth=True)
        return found

    def _guard_gripper(self) -> tuple[float, ...]:
        self._gripper.read()
        return ()

    def _count(self, reasons: tuple[str, ...]) -> None:
        for reason in reasons:
            if not self.clipped[reason]:
                logger.warning("An action was changed by the limit '%s' (said once).", reason)
            self.clipped[reason] += 1

    def _check_start(self, arm: Arm) -> None:
        position = arm.read().tcp[:3]
        if not self.limits.is_inside(position):
            c = self.config.limits
            raise NotReadyError(
                f"The tcp is at {np.round(position, 4).tolist()} m, outside the workspace {list(c.workspace_min_m)} to "
                f"{list(c.workspace_max_m)} m: move the arm inside at the pendant, or correct the workspace."
            )

    def _load_wrist_calibration(self) -> WristCalibration | None:
        path, camera = wrist_calibration_path(self.config), self.cameras.get("wrist")
        if path.is_file() or self.config.wrist_calibration_path is not None:
            return load_wrist_calibration(path, camera)
        if getattr(camera, "use_depth", False):
            logger.warning(
                "No calibration of the wrist camera at %s: depth is recorded, but no policy can turn it into points.",
                path,
            )
        return None


def make_arm(config: UR5TacTipConfig) -> Arm:
    """The arm of a mode, not connected."""
    if config.mode != "dry_run":
        return RtdeArm(config)
    T_flange_tcp = se3.from_rotvec_pose(np.array(config.tcp))
    return DryArm(get_arm(config.model), T_flange_tcp, np.array(config.dry_run_joints_rad))


def make_gripper(config: UR5TacTipConfig) -> Gripper:
    """The gripper of a config, not connected."""
    if config.gripper.kind == "robotiq_urcap":
        return RobotiqGripper(config.gripper, config.host or "")
    if config.gripper.kind == "simulated":
        return SimulatedGripper(config.gripper)
    return NoGripper(config.gripper)
