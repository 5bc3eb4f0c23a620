"""Checks of the pads' mechanics: stiffness, balance of forces, friction."""

import math
from collections.abc import Iterator

import mujoco
import numpy as np
import trimesh

from lerobot_neuraltouch.tactile import TacTipFinger

from .rig import GRAVITY, Rig, make_item
from .row import Row, at_most, near

STIFFNESS_SHARE = 0.10
"""Force at a depth against the stated stiffness: the contact gets harder with the force, so a hard pad feels stiffer deep inside."""
BALANCE_SHARE = 0.005
CONE_SHARE = 0.02
DEPTHS_M = (0.0005, 0.001, 0.0015, 0.002, 0.0025, 0.003, 0.0035, 0.004)
_CLOSE_M = 0.0002
_SIDE_M = 0.030
_SLIP_SPEED_M_PER_S = 0.002
_SLIP_SPEED_RAD_PER_S = 0.2
"""Faster than this against the pads, an object slips rather than creeps."""


def force_depth(finger: TacTipFinger, name: str, stiffness: tuple[float, ...]) -> Iterator[Row]:
    """Force of the left pad on a fixed plate, as it is pressed in.

    Args:
        finger: The fingertips.
        name: Of the finger, for the report.
        stiffness: Tips to try [N/m].
    """
    thickness = 0.004
    plate = make_item("plate", trimesh.creation.box((0.06, thickness, 0.06)), thickness)
    rig = Rig(plate, finger)
    for tip in stiffness:
        rig.piece.pads.set(tip, finger.friction)
        rig.place(np.eye(4), thickness + _CLOSE_M)
        for depth in DEPTHS_M:
            rig.squeeze(tip * depth, 1.0)
            felt, reached = float(rig.gripper.force_n[0]), float(rig.depth_m[0])
            yield near(
                felt,
                tip * reached,
                STIFFNESS_SHARE,
                check="force_depth",
                finger=name,
                case=f"tip of {1e-3 * tip:.2f} N/mm pressed in by {1e3 * reached:.2f} mm",
                quantity="force on the left pad",
                unit="N",
                tip_n_per_mm=1e-3 * tip,
                depth_mm=1e3 * reached,
            )


def force_balance(finger: TacTipFinger, name: str) -> Iterator[Row]:
    """An object held in mid-air: the contacts carry its weight and leave no moment."""
    shapes = {
        "cube": trimesh.creation.box((_SIDE_M, _SIDE_M, _SIDE_M)),
        "cylinder": trimesh.creation.cylinder(_SIDE_M / 2, 0.06, sections=96),
    }
    for shape, mesh in shapes.items():
        for mass, grip in ((0.1, 4.0), (0.3, 8.0)):
            rig = Rig(make_item(shape, mesh, _SIDE_M, mass), finger, free=True)
            rig.place(np.eye(4), _SIDE_M + _CLOSE_M)
            rig.squeeze(grip, 1.0)
            rig.piece.release()
            rig.squeeze(grip, 3.0)
            wrench, weight = rig.mean_wrench_on_object(), mass * GRAVITY
            case = f"{shape} of {mass} kg, grip {grip:g} N"
            kind = {"check": "force_balance", "finger": name, "case": case}
            push, sideways = float(wrench[2]), float(np.linalg.norm(wrench[:2]))
            yield near(push, weight, BALANCE_SHARE, quantity="upward force", unit="N", **kind)
            slack = BALANCE_SHARE * weight
            yield at_most(sideways, slack, quantity="sideways force", unit="N", **kind)
            moment = 1e3 * float(np.linalg.norm(wrench[3:]))
            lever = 1e3 * _SIDE_M * slack
            yield at_most(moment, lever, quantity="moment about the middle", unit="mNm", **kind)


def friction_cone(finger: TacTipFinger, name: str) -> Iterator[Row]:
    """A held cube, loaded until it slips: along, across and askew to the fingers, and by a torque about the closing axis."""
    cube = make_item("cube", trimesh.creation.box((_SIDE_M, _SIDE_M, _SIDE_M)), _SIDE_M)
    rig = Rig(cube, finger, free=True)
    loads = {
        "along x": (1, 0, 0),
        "down": (0, 0, -1),
        "askew": (math.sqrt(0.5), 0, -math.sqrt(0.5)),
    }
    kind = {"check": "friction_cone", "finger": name}
    for friction in (0.8, finger.friction, 2.2):
        rig.piece.pads.set(finger.tip_stiffness_n_per_m, friction)
        for way, direction in loads.items():
            push, grip = _load_at_slip(rig, np.array(direction, dtype=float), friction)
            angle, cone = math.atan2(push, grip), math.atan(friction)
            case = f"friction {friction:g}, loaded {way}"
            kind |= {"quantity": "angle of the contact forces at slip", "unit": "deg"}
            yield near(math.degrees(angle), math.degrees(cone), CONE_SHARE, case=case, **kind)
    rig.piece.pads.set(finger.tip_stiffness_n_per_m, finger.friction)
    if finger.shape == "dome":  # a disc carries torque by friction along its edge, too
        torque, grip = _torque_at_slip(rig, finger.torsional_friction_m)
        limit = 1e3 * grip * finger.torsional_friction_m
        kind |= {"quantity": "torque at slip", "unit": "mNm"}
        yield near(1e3 * torque, limit, CONE_SHARE, case="spun about the closing axis", **kind)


def _grip_freely(rig: Rig) -> None:
    """Hold the cube with 2 N per pad and no weight."""
    rig.place(np.eye(4), _SIDE_M + _CLOSE_M)
    rig.squeeze(2.0, 1.0)
    rig.piece.release()
    rig.data.ctrl[:] = 0.0
    _apply(rig, np.zeros(6))


def _apply(rig: Rig, load: np.ndarray) -> None:
    """A load (force, torque) on the cube besides what carries its weight."""
    body = rig.model.body("object").id
    rig.data.xfrc_applied[body] = load
    rig.data.xfrc_applied[body, 2] += rig.model.body_mass[body] * GRAVITY


def _load_at_slip(rig: Rig, direction: np.ndarray, friction: float) -> tuple[float, float]:
    """Ramp a force up to slip: the tangential and the normal force of both pads then [N]."""
    _grip_freely(rig)
    for push in np.arange(0.0, 4.0 * friction + 4.0, 0.002):
        _apply(rig, np.append(push * direction, np.zeros(3)))
        mujoco.mj_step(rig.model, rig.data)
        if abs(_slip(rig)[:3] @ direction) > _SLIP_SPEED_M_PER_S:
            return float(push), float(rig.normal_force_n().sum())
    return math.inf, 1.0


def _torque_at_slip(rig: Rig, arm_m: float) -> tuple[float, float]:
    """Ramp a torque about the closing axis up to slip: the torque [Nm] and the normal force of both pads [N]."""
    _grip_freely(rig)
    for torque in np.arange(0.0, 8.0 * arm_m, 2e-5):
        _apply(rig, np.array([0, 0, 0, 0, torque, 0]))
        mujoco.mj_step(rig.model, rig.data)
        if abs(_slip(rig)[4]) > _SLIP_SPEED_RAD_PER_S:
            return float(torque), float(rig.normal_force_n().sum())
    return math.inf, 1.0


def _slip(rig: Rig) -> np.ndarray:
    """Velocity (v, omega) of the object against the pads' mean, in base [m/s, rad/s], shape (6,)."""
    velocity = {}
    for name in ("object", "left_pad", "right_pad"):
        spin_first = np.zeros(6)
        mujoco.mj_objectVelocity(
            rig.model, rig.data, mujoco.mjtObj.mjOBJ_BODY, rig.model.body(name).id, spin_first, 0
        )
        velocity[name] = np.roll(spin_first, 3)
    return velocity["object"] - 0.5 * (velocity["left_pad"] + velocity["right_pad"])
