"""What `neuraltouch doctor` looks at: each check reads something and moves nothing."""

import platform
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from lerobot.cameras.utils import make_cameras_from_configs

from lerobot_neuraltouch import kinematics, se3

from .arm import ArmState
from .calibration import load_wrist_calibration, wrist_calibration_path
from .config_ur5_tactip import UR5TacTipConfig
from .errors import NotReadyError, UR5TacTipError
from .limits import Limits
from .robotiq import RobotiqGripper
from .rtde_arm import RtdeArm
from .safety import check_safety
from .touch import FINGERS
from .ur_rtde import import_ur_rtde, open_dashboard, open_receive

PORTS = {29999: "dashboard", 30003: "program upload", 30004: "state stream"}
MAJOR_VERSIONS = {"ur5e": 5, "ur5": 3}
_FRAMES = 10
"""Pictures looked at per camera."""
_WATCH_S = 0.5
"""How long the state stream is watched [s]."""


@dataclass(frozen=True)
class Finding:
    """Result of one check."""

    name: str
    verdict: str
    """ok, bad, or skipped because of an earlier one."""
    text: str
    """What was found, and if it is bad, what to do."""


def run_checks(config: UR5TacTipConfig) -> Iterator[Finding]:
    """All checks that the robot's mode allows, one after the other."""
    yield _check("bounds", lambda: _describe_limits(config))
    yield _check("wrist calibration", lambda: _wrist_calibration(config))
    if config.mode == "dry_run":
        yield Finding("controller", "skipped", "Mode dry_run has none.")
    else:
        yield from _controller(config)
        yield from _gripper(config)
    yield from _cameras(config)


def _check(name: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(name, "ok", look())
    except (UR5TacTipError, ValueError, ImportError, OSError, RuntimeError) as error:
        return Finding(name, "bad", str(error))


# --- controller ------------------------------------------------------------------------------------------------------


def _controller(config: UR5TacTipConfig) -> Iterator[Finding]:
    host = config.host or ""
    library = _check("ur-rtde", _library)
    yield library
    ports = [
        _check(f"port {port} ({use})", lambda port=port: _port(host, port))
        for port, use in PORTS.items()
    ]
    yield from ports
    if library.verdict == "bad" or any(port.verdict == "bad" for port in ports):
        yield Finding("controller", "skipped", "First make it reachable.")
        return
    yield from _dashboard(config, host)
    arm = RtdeArm(config)
    try:
        arm.look(open_receive(host))
    except UR5TacTipError as error:
        yield Finding("state stream", "bad", str(error))
        return
    try:
        yield from _state(config, arm)
    finally:
        arm.disconnect()


def _library() -> str:
    import_ur_rtde("rtde_control")
    return f"importable (Python {platform.python_version()}, {platform.machine()})"


def _port(host: str, port: int) -> str:
    try:
        start = time.perf_counter()
        socket.create_connection((host, port), timeout=2.0).close()
    except OSError as error:
        raise OSError(
            f"{host}:{port} does not answer ({error}). Check address, cable and firewall, and the pendant's Settings, Security, "
            "Services."
        ) from error
    return f"answers in {1000 * (time.perf_counter() - start):.1f} ms"


def _dashboard(config: UR5TacTipConfig, host: str) -> Iterator[Finding]:
    client = open_dashboard(host)
    try:
        yield _check("version", lambda: _version(config, client.polyscopeVersion()))
        yield _check("remote control", lambda: _remote(config, client))
        yield _check("program", lambda: _program(client))
    finally:
        client.disconnect()


def _version(config: UR5TacTipConfig, text: str) -> str:
    digits = text.replace("URSoftware", "").strip().split(".")[0]
    wanted = MAJOR_VERSIONS[config.model]
    if not digits.isdigit() or int(digits) != wanted:
        raise NotReadyError(
            f"PolyScope '{text.strip()}', but a {config.model} runs PolyScope {wanted}.x: correct model. (PolyScope X is not supported.)"
        )
    return text.strip()


def _remote(config: UR5TacTipConfig, client: Any) -> str:
    if config.model == "ur5":
        return "a CB3 has no such mode"
    if not client.isInRemoteControl():
        raise NotReadyError(
            "The pendant is in local control: switch to remote control (top right corner; to be enabled in Settings, System)."
        )
    return "on"


def _program(client: Any) -> str:
    if client.running():
        raise NotReadyError(
            "A program is running: stop it at the pendant, or end the other client."
        )
    return "none is running"


def _state(config: UR5TacTipConfig, arm: RtdeArm) -> Iterator[Finding]:
    limits = Limits(
        config.limits, kinematics.get_arm(config.model), se3.from_rotvec_pose(np.array(config.tcp))
    )
    yield _check("state stream", lambda: _stream(arm))
    state = arm.read()
    yield _check("safety", lambda: _safety(state))
    yield _check("speed slider", lambda: _slider(state))
    yield _check("force at rest", lambda: _force(config, state))
    yield _check("payload", lambda: _payload(config, arm))
    yield _check("tcp pose", lambda: _pose(limits, state))
    yield _check("joints", lambda: _joints(limits, state))


def _stream(arm: RtdeArm) -> str:
    stamps = set()
    end = time.monotonic() + _WATCH_S
    while time.monotonic() < end:
        stamps.add(arm.read().stamp_s)
        time.sleep(0.001)
    if len(stamps) < 2:
        raise NotReadyError("The controller's time stands still: restart the controller.")
    return f"alive, {len(stamps) - 1} states seen in {_WATCH_S} s"


def _safety(state: ArmState) -> str:
    check_safety(state)
    return f"normal, robot mode {state.robot_mode}"


def _slider(state: ArmState) -> str:
    if state.speed_fraction < 1.0:
        raise NotReadyError(
            f"At {100 * state.speed_fraction:.0f} %: twists are executed that much slower than recorded. Set it to 100 %."
        )
    return "100 %"


def _force(config: UR5TacTipConfig, state: ArmState) -> str:
    force, torque = np.linalg.norm(state.wrench[:3]), np.linalg.norm(state.wrench[3:])
    text = f"{force:.1f} N and {torque:.2f} Nm, limits {config.limits.max_force_n:g} N and {config.limits.max_torque_nm:g} Nm"
    if not (force <= config.limits.max_force_n / 2 and torque <= config.limits.max_torque_nm / 2):
        raise NotReadyError(
            f"{text}: more than half of the limit is gone before anything is touched. Check payload_kg and payload_cog_m, and that "
            "the tool is free."
        )
    return text


def _payload(config: UR5TacTipConfig, arm: RtdeArm) -> str:
    mass = arm.payload_kg()
    if mass is None:
        return "cannot be read from this version; it is set when connecting"
    if abs(mass - config.payload_kg) > 0.05:
        return f"{mass:.2f} kg now; {config.payload_kg:.2f} kg is set when connecting"
    return f"{mass:.2f} kg"


def _pose(limits: Limits, state: ArmState) -> str:
    """Of the configured tcp, by nominal kinematics: the controller may still have another one set."""
    T = kinematics.forward(limits.model, state.q) @ limits.T_flange_tcp
    position = np.round(T[:3, 3], 3).tolist()
    low, high = limits.config.workspace_min_m, limits.config.workspace_max_m
    if not limits.is_inside(T[:3, 3]):
        raise NotReadyError(
            f"{position} m is outside the workspace {list(low)} to {list(high)} m: move the arm inside at the pendant, or correct "
            "the workspace."
        )
    tilt = float(np.arccos(np.clip(T[:3, 2] @ np.array(limits.config.approach_axis), -1.0, 1.0)))
    if tilt > limits.config.max_tilt_rad:
        raise NotReadyError(
            f"The tool is tilted by {tilt:.2f} rad, the limit is {limits.config.max_tilt_rad:.2f} rad: turn it back at the pendant."
        )
    return f"{position} m, inside the workspace; tilt {tilt:.2f} rad"


def _joints(limits: Limits, state: ArmState) -> str:
    room = np.minimum(state.q - limits.model.lower_rad, limits.model.upper_rad - state.q)
    worst = int(room.argmin())
    smallest = kinematics.smallest_singular_value(limits.model, state.q, limits.T_flange_tcp)
    text = f"{room[worst]:.2f} rad to the end of {kinematics.JOINT_NAMES[worst]}, {smallest:.2f} from a singularity"
    if room[worst] < limits.config.joint_margin_rad:
        raise NotReadyError(f"{text}: turn that joint back at the pendant.")
    if smallest < limits.config.min_singular_value:
        raise NotReadyError(f"{text}: bend elbow and wrist at the pendant.")
    return text


# --- gripper, cameras, files -----------------------------------------------------------------------------------------


def _gripper(config: UR5TacTipConfig) -> Iterator[Finding]:
    if config.gripper.kind != "robotiq_urcap":
        yield Finding("gripper", "skipped", f"Kind {config.gripper.kind} needs nothing.")
        return
    gripper = RobotiqGripper(config.gripper, config.host or "")

    def look() -> str:
        gripper.connect()
        return f"activated, {1000 * gripper.read():.1f} mm between the pads"

    yield _check("gripper", look)
    gripper.disconnect()


def _cameras(config: UR5TacTipConfig) -> Iterator[Finding]:
    for name in FINGERS:
        if name not in config.cameras:
            yield Finding(name, "bad", "No such camera in the config: that finger guards nothing.")
    for name, settings in config.cameras.items():
        yield _check(
            f"camera {name}", lambda name=name, settings=settings: _camera(config, name, settings)
        )


def _camera(config: UR5TacTipConfig, name: str, settings: Any) -> str:
    camera = make_cameras_from_configs({name: settings})[name]
    camera.connect()
    try:
        start = time.perf_counter()
        frames = [np.asarray(camera.async_read(timeout_ms=1000)) for _ in range(_FRAMES)]
        rate = (_FRAMES - 1) / max(time.perf_counter() - start, 1e-6)
    finally:
        camera.disconnect()
    wanted = (settings.height, settings.width, 3)
    if frames[0].shape != wanted:
        raise ValueError(
            f"Pictures of shape {frames[0].shape}, wanted {wanted}: correct the camera's size."
        )
    text = f"{settings.width} x {settings.height} pixels"
    if name not in FINGERS:
        return text
    mean = np.mean(frames, axis=0)
    noise = max(float(np.abs(frame - mean).mean()) for frame in frames)
    text += f", noise {noise:.1f} of at most {config.limits.max_touch:g} gray levels"
    if noise > config.limits.max_touch / 4:
        raise NotReadyError(
            f"{text}: too unsteady to guard by. Fix exposure and gain, keep the finger free, or raise max_touch."
        )
    return f"{text}, about {rate:.0f} pictures per second" if rate < 1000 else text


def _wrist_calibration(config: UR5TacTipConfig) -> str:
    path = wrist_calibration_path(config)
    if not path.is_file():
        if not getattr(config.cameras.get("wrist"), "use_depth", False):
            return "none, and no depth camera"
        raise ValueError(
            f"No file {path}: without it no policy can turn depth into points. Calibrate the camera and write its intrinsics and "
            "hand-eye pose there."
        )
    load_wrist_calibration(path, config.cameras.get("wrist"))
    return str(path)


def _describe_limits(config: UR5TacTipConfig) -> str:
    size = np.subtract(config.limits.workspace_max_m, config.limits.workspace_min_m)
    return (
        f"workspace of {' x '.join(f'{1000 * side:.0f}' for side in size)} mm, {1000 * config.limits.max_linear_speed_m_s:g} mm/s, "
        f"{np.rad2deg(config.limits.max_angular_speed_rad_s):.0f} deg/s, {config.limits.max_force_n:g} N"
    )
