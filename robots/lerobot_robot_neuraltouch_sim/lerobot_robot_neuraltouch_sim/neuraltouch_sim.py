"""The simulated robot: `--robot.type=neuraltouch_sim`."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from lerobot.robots.robot import Robot
from lerobot.utils.decorators import check_if_already_connected, check_if_not_connected

from lerobot_neuraltouch import features
from lerobot_neuraltouch.announcements import EpisodeAnnouncements

from .config_neuraltouch_sim import NeuralTouchSimConfig
from .simulation import Simulation
from .wrist_camera import COLOUR_SHAPE, DEPTH_SHAPE, calibration_record

logger = logging.getLogger(__name__)


class NeuralTouchSim(Robot):
    """A two-finger TacTip gripper in MuJoCo with the interface of the real robot.

    Each `send_action` simulates one control step of 0.1 s, so LeRobot's loops run in real time with `--fps=10`; slower loops lose
    nothing, the simulation waits. The scene is set up at connection. Between episodes nothing in LeRobot calls a robot, but
    lerobot-record and lerobot-rollout announce "Recording episode n" to the person who has reset the environment: with
    `restart=announced` the simulation obeys, and sets up the scene with seed + n before the next observation.

    Observation: the scalars of `features.STATE_NAMES` [m, rad]; `tactile_left`, `tactile_right` (size, size, 3) and `wrist`
    (240, 320, 3) uint8; `wrist_depth` (240, 320, 1) uint16 [mm], 0 invalid. Action: exactly the keys of `features.ACTION_NAMES`
    [m/s, rad/s, m], clipped to the limits.
    """

    config_class = NeuralTouchSimConfig
    name = "neuraltouch_sim"

    def __init__(self, config: NeuralTouchSimConfig) -> None:
        super().__init__(config)
        self.config = config
        self.cameras = self._pictures
        """Shapes of the pictures; LeRobot counts them to size its image writer."""
        self._simulation: Simulation | None = None
        self._announcements = EpisodeAnnouncements()

    @property
    def _pictures(self) -> dict[str, tuple[int, int, int]]:
        touch = (self.config.image_size, self.config.image_size, 3)
        return {
            "tactile_left": touch,
            "tactile_right": touch,
            "wrist": COLOUR_SHAPE,
            "wrist_depth": DEPTH_SHAPE,
        }

    @property
    def observation_features(self) -> dict[str, type | tuple[int, int, int]]:
        """Names and types of what `get_observation` returns."""
        return {**dict.fromkeys(features.STATE_NAMES, float), **self._pictures}

    @property
    def action_features(self) -> dict[str, type]:
        """Names and types of what `send_action` takes."""
        return dict.fromkeys(features.ACTION_NAMES, float)

    @property
    def is_connected(self) -> bool:
        """Whether the simulation runs."""
        return self._simulation is not None

    @property
    def camera_path(self) -> Path:
        """File with the wrist camera's intrinsics and hand-eye pose, as the policy's `wrist_camera` takes them."""
        name = f"{self.id}_wrist_camera.json" if self.id else "wrist_camera.json"
        return self.calibration_dir / name

    @property
    def is_calibrated(self) -> bool:
        """Whether the camera's file is there."""
        return self.camera_path.is_file()

    def calibrate(self) -> None:
        """Write the wrist camera's intrinsics and hand-eye pose to `camera_path`."""
        self.camera_path.write_text(json.dumps(calibration_record(), indent=2) + "\n")
        logger.info("The wrist camera's intrinsics and hand-eye pose are in %s.", self.camera_path)

    def configure(self) -> None:
        """Nothing to configure."""

    @check_if_already_connected
    def connect(self, calibrate: bool = True) -> None:
        """Start the simulation with episode 0.

        Raises:
            ValueError: If a setting is none of those that exist; the message lists them.
        """
        if calibrate and not self.is_calibrated:
            self.calibrate()
        self._simulation = Simulation(self.config)
        if self.config.restart == "announced":
            self._announcements.listen()

    @check_if_not_connected
    def begin_episode(self, episode: int) -> None:
        """Set up the scene of an episode: seed + episode."""
        self._running.begin(episode)

    @check_if_not_connected
    def get_observation(self) -> dict[str, Any]:
        """State and pictures; the first ones of an announced episode show its scene."""
        simulation = self._running
        announced = self._announcements.take()
        if announced is not None and (announced != simulation.episode or simulation.steps > 0):
            simulation.begin(announced)
        return simulation.observe()

    @check_if_not_connected
    def send_action(self, action: Mapping[str, Any]) -> dict[str, float]:
        """Simulate one control step and return what was executed: the action within its limits.

        The action is rounded to float32 first: that is what a dataset keeps, so a replay sends the same.

        Raises:
            ValueError: If keys are missing or unknown, or a value is not finite.
            RuntimeError: If the physics diverged.
        """
        names = set(features.ACTION_NAMES)
        missing, unknown = sorted(names - set(action)), sorted(set(action) - names)
        if missing or unknown:
            raise ValueError(
                f"An action has exactly the keys {', '.join(features.ACTION_NAMES)}; missing: "
                f"{', '.join(missing) or 'none'}; unknown: {', '.join(unknown) or 'none'}."
            )
        values = np.array([float(action[name]) for name in features.ACTION_NAMES], np.float32)
        executed = features.check_action(values).astype(np.float32)
        self._running.step(executed)
        return dict(zip(features.ACTION_NAMES, executed.tolist(), strict=True))

    @check_if_not_connected
    def disconnect(self) -> None:
        """Report the episode and stop the simulation."""
        self._announcements.stop()
        simulation, self._simulation = self._running, None
        simulation.close()

    @property
    def _running(self) -> Simulation:
        assert self._simulation is not None
        return self._simulation
