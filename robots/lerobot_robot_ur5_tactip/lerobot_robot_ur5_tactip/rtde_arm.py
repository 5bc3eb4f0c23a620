"""The arm behind a UR controller, through ur-rtde: speedL for motion, the receive interface alone for state."""

import logging
import time
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.kinematics import get_arm

from .arm import ArmState
from .config_ur5_tactip import UR5TacTipConfig
from .control import Control
from .errors import LinkError, NotReadyError, ProgramStoppedError
from .safety import check_safety
from .tool import MAX_OFF_M, MAX_OFF_RAD, off_nominal
from .ur_rtde import open_receive

logger = logging.getLogger(__name__)

Array = NDArray[np.float64]

RUNTIME_PLAYING = 2
"""The controller's `runtime_state` while a program runs."""
_LOST = "The connection to the controller is lost: check cable and network, then connect again."
_SETTLE_S = 1.0
"""How long the state stream may take to show a new tcp."""
_LIVE_S = 0.2
"""A state stream that stands still for so long is dead."""
_REASON_S = 0.05
"""How much later than the end of its program a controller's states may tell why."""


class RtdeArm:
    """Drives a controller; one thread at a time.

    Args:
        config: Address, model, tcp and payload.
    """

    def __init__(self, config: UR5TacTipConfig) -> None:
        self._config, self._model = config, get_arm(config.model)
        self._T_flange_tcp = se3.from_rotvec_pose(np.array(config.tcp))
        self._receive: Any = None
        self._control: Control | None = None
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
            self._control = Control(config.host or "", upper_registers=config.use_upper_registers)
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
        self._do("arm the watchdog", "setWatchdog", rate_hz)

    def follow(self, twist: Array) -> None:
        """speedL with a twist in base, shape (6,)."""
        self._has_followed = True
        self._insist(
            "follow a twist",
            self._commands.follow(twist.tolist(), self._config.stop_acceleration_m_s2),
        )

    def stop(self) -> None:
        """Zero twist, then the end of speed control; what a stopped controller refuses needs no stop."""
        if self._control is None or not self._has_followed:
            return
        acceleration = self._config.stop_acceleration_m_s2
        try:
            self._control.follow([0.0] * 6, acceleration)
            self._control.call("speedStop", acceleration)
        except LinkError as error:
            logger.error("The controller did not take the stop, its watchdog stops it: %s", error)
            self._control.kill()

    def disconnect(self) -> None:
        """Stop, end the program, let go of the controller; may be called twice."""
        control, receive = self._control, self._receive
        if control is not None:
            # A controller that does not answer is not waited for.
            if self._is_program_live():
                self.stop()
                control.close()
            else:
                control.kill()
        if receive is not None:
            with suppress(RuntimeError):
                receive.disconnect()
        self._control = self._receive = None

    @property
    def _commands(self) -> Control:
        assert self._control is not None
        return self._control

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
        config = self._config
        self._do("take the tcp", "setTcp", list(config.tcp))
        self._do("take the payload", "setPayload", config.payload_kg, list(config.payload_cog_m))
        self._check_tcp()
        if config.zero_force_sensor and config.model == "ur5e":
            self._do("zero its force sensor", "zeroFtSensor")

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

    def _do(self, what: str, method: str, *arguments: Any) -> None:
        self._insist(what, self._commands.call(method, *arguments))

    def _insist(self, what: str, done: bool) -> None:
        """Insist on the controller's consent to a call."""
        if not done:
            self._check_reason()
            raise ProgramStoppedError(
                f"The controller did not {what}: no program runs on it any more. Connect again."
            )

    def _check_reason(self) -> None:
        """A refused call was refused for safety's sake, if it was."""
        deadline = time.monotonic() + _REASON_S
        while time.monotonic() < deadline:
            check_safety(self.read())
            time.sleep(0.005)
