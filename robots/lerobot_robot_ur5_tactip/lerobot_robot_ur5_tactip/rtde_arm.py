"""The arm behind a UR controller, through ur-rtde: speedL for motion, the receive interface alone for state."""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.kinematics import get_arm

from .arm import ArmState
from .config_ur5_tactip import UR5TacTipConfig
from .errors import LinkError, NotReadyError, ProgramStoppedError
from .safety import check_safety
from .tool import MAX_OFF_M, MAX_OFF_RAD, off_nominal
from .ur_rtde import open_control, open_receive

logger = logging.getLogger(__name__)

Array = NDArray[np.float64]

RUNTIME_PLAYING = 2
"""The controller's `runtime_state` while a program runs."""
_LOST = "The connection to the controller is lost: check cable and network, then connect again."
_SETTLE_S = 1.0
"""How long the state stream may take to show a new tcp."""
_LIVE_S = 0.2
"""A state stream that stands still for so long is dead."""


class RtdeArm:
    """Drives a controller; one thread at a time.

    Args:
        config: Address, model, tcp and payload.
    """

    def __init__(self, config: UR5TacTipConfig) -> None:
        self._config, self._model = config, get_arm(config.model)
        self._T_flange_tcp = se3.from_rotvec_pose(np.array(config.tcp))
        self._receive: Any = None
        self._control: Any = None
        self._has_followed = False  # nothing needs a stop before the first twist

    def connect(self) -> None:
        """Look before touching: state first, and only if all is well the program that follows twists.

        Raises:
            UR5TacTipError: If the controller is not there or not ready; nothing stays connected.
            ImportError: If ur-rtde is missing.
        """
        config = self._config
        self._receive = open_receive(config.host or "", upper_registers=config.use_upper_registers)
        try:
            self._check_before()
            self._control = open_control(
                config.host or "", upper_registers=config.use_upper_registers
            )
            self._prepare()
        except BaseException:
            self.disconnect()
            raise

    def look(self, receive: Any) -> None:
        """Only read states, from an open receive interface; nothing can be commanded."""
        self._receive = receive

    def payload_kg(self) -> float | None:
        """Payload that the controller counts with [kg]; None where its version does not say."""
        try:
            return float(self._receive.getPayload())
        except RuntimeError:
            return None

    def read(self) -> ArmState:
        """Latest state received.

        Raises:
            LinkError: If the connection is lost.
        """
        receive = self._receive
        try:
            if not receive.isConnected():
                raise LinkError(_LOST)
            return ArmState(
                stamp_s=receive.getTimestamp(),
                q=np.array(receive.getActualQ()),
                tcp=np.array(receive.getActualTCPPose()),
                wrench=np.array(receive.getActualTCPForce()),
                safety_bits=receive.getSafetyStatusBits(),
                robot_mode=receive.getRobotMode(),
                is_program_running=receive.getRuntimeState() == RUNTIME_PLAYING,
                speed_fraction=receive.getTargetSpeedFraction(),
            )
        except (RuntimeError, AttributeError) as error:
            if isinstance(error, LinkError):
                raise
            raise LinkError(f"The controller's state cannot be read: {error}") from error

    def start_watchdog(self, rate_hz: float) -> None:
        """Arm the controller's watchdog; it lasts until the program ends."""
        self._do("arm the watchdog", lambda: self._control.setWatchdog(rate_hz))

    def follow(self, twist: Array) -> None:
        """speedL with a twist in base, shape (6,)."""
        # A call on a broken connection waits until ur-rtde has connected anew, and would then move the arm once more.
        if not self._control.isConnected():
            raise LinkError(_LOST)
        self._has_followed = True
        acceleration = self._config.stop_acceleration_m_s2
        self._do("follow a twist", lambda: self._control.speedL(twist.tolist(), acceleration))

    def stop(self) -> None:
        """Zero twist, then the end of speed control; what a stopped controller refuses needs no stop."""
        acceleration = self._config.stop_acceleration_m_s2
        try:
            if self._control is not None and self._has_followed:
                self._control.speedL([0.0] * 6, acceleration)
                self._control.speedStop(acceleration)
        except RuntimeError as error:
            logger.error("The controller did not take the stop (its watchdog stops it): %s", error)

    def disconnect(self) -> None:
        """Stop, end the program, let go of the controller; may be called twice."""
        control, receive = self._control, self._receive
        if control is not None:
            # ur-rtde's stopScript waits for ever for a controller that does not answer.
            if self._is_program_live():
                self.stop()
                with suppress(RuntimeError):
                    control.stopScript()
            with suppress(RuntimeError):
                control.disconnect()
        if receive is not None:
            with suppress(RuntimeError):
                receive.disconnect()
        self._control = self._receive = None

    def _is_program_live(self) -> bool:
        """Whether our program runs on a controller whose states still come."""
        try:
            first = self.read()
            deadline = time.monotonic() + _LIVE_S
            while time.monotonic() < deadline:
                state = self.read()
                if state.stamp_s != first.stamp_s:
                    return state.is_program_running
                time.sleep(0.005)
        except LinkError:
            pass
        return False

    def _check_before(self) -> None:
        state = self.read()
        check_safety(state)
        if state.is_program_running:
            raise NotReadyError(
                "A program is running on the controller: stop it at the pendant, or end the other client, then connect again."
            )
        if state.speed_fraction < 1.0:
            logger.warning("The pendant's speed slider is at %.0f %%.", 100 * state.speed_fraction)

    def _prepare(self) -> None:
        config, control = self._config, self._control
        self._do("take the tcp", lambda: control.setTcp(list(config.tcp)))
        self._do(
            "take the payload",
            lambda: control.setPayload(config.payload_kg, list(config.payload_cog_m)),
        )
        self._check_tcp()
        if config.zero_force_sensor and config.model == "ur5e":
            self._do("zero its force sensor", control.zeroFtSensor)

    def _check_tcp(self) -> None:
        """The controller's tcp must be where model and tcp of the config put it: a wrong model is 70 mm off."""
        deadline = time.monotonic() + _SETTLE_S
        while True:
            state = self.read()
            T_base_tcp = se3.from_rotvec_pose(state.tcp)
            distance, angle = off_nominal(self._model, self._T_flange_tcp, state.q, T_base_tcp)
            if distance <= MAX_OFF_M and angle <= MAX_OFF_RAD:
                return
            if time.monotonic() > deadline:
                raise NotReadyError(
                    f"The controller's tcp is {1000 * distance:.0f} mm and {np.rad2deg(angle):.1f} deg from where a "
                    f"{self._model.name} with the configured tcp has it: check model and tcp."
                )
            time.sleep(0.02)

    def _do(self, what: str, call: Callable[[], bool]) -> None:
        """Call the controller and insist on its consent."""
        try:
            done = call()
        except RuntimeError as error:
            raise LinkError(f"{_LOST} The controller did not {what} ({error}).") from error
        if not done:
            check_safety(self.read())
            raise ProgramStoppedError(
                f"The controller did not {what}: no program runs on it any more. Connect again."
            )
