"""The UR arms in MuJoCo, from primitives: one body per Denavit-Hartenberg frame, so that the published tables hold as they are.

Body `link<i>` is frame i of `lerobot_neuraltouch.kinematics`; joint i turns about the z axis of frame i - 1. Masses and centres of
mass: Universal Robots, "DH Parameters for calculations of kinematics and dynamics". Inertias: the cylinders of Universal
Robots' ROS 2 description. Capsules and cylinders stand for the housings: their radii and their offsets along the shoulder's
axis were read off the same description. They collide with table and object, not with one another.
"""

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.kinematics import JOINT_NAMES, UR5, UR5E, ArmModel

Array = NDArray[np.float64]

T_FLANGE_TCP = se3.transform(translation=(0.0, 0.0, 0.150))
"""The gripper on the flange: an adapter of 20 mm, then the hand, whose back lies 130 mm behind the tcp; axes parallel."""


@dataclass(frozen=True)
class Link:
    """Dynamics of one link in its own frame."""

    mass_kg: float
    centre_m: tuple[float, float, float]
    """Centre of mass [m]."""
    inertia_kg_m2: tuple[float, float, float]
    """Moments about the centre of mass and the frame's axes [kg m^2]."""


@dataclass(frozen=True, kw_only=True)
class ArmConfig:
    """An arm that carries the gripper, and its servos."""

    model: ArmModel
    links: tuple[Link, ...]
    upper_arm_offset_m: float
    """Place of the upper arm's tube along the shoulder's axis [m]."""
    forearm_offset_m: float
    """Place of the forearm's tube along the elbow's axis [m]."""
    armature_kg_m2: float = 0.1
    """Inertia of each drive at its joint [kg m^2]: not published; that of MuJoCo Menagerie's UR5e."""
    response_s: float = 0.011
    """Lag of the joint servos [s]: 0.22 mm at 20 mm/s, that of the free gripper."""
    joint_inertia_kg_m2: tuple[float, ...] = (1.5, 2.0, 1.3, 0.2, 0.15, 0.11)
    """What each servo is made for, with `response_s` and critical damping: the mass matrix's diagonal in the home posture with the
    gripper [kg m^2], rounded."""
    max_torque_nm: tuple[float, ...] = (15.0, 15.0, 10.0, 4.0, 4.0, 2.5)
    """Limits of the joint servos [Nm]: the least that reverses a full twist without falling behind, a tenth of the drives'. Gravity is
    compensated, so a blocked arm pushes with about 50 N (the free gripper: 12 N); but fingers that hold a fixed wall while the arm
    turns have levers of a finger's width, on which a few Nm are hundreds of newtons."""
    stop_force_n: float = 100.0
    """Normal force on one finger, mean over 20 ms, beyond which the arm makes a protective stop [N]: the limit on the tool's force
    in a UR5's and UR5e's recovery mode (their user manuals). The servos alone would go on and break the fingers."""
    home_rad: tuple[float, ...] = (np.pi, -1.9, 2.1, -1.8, -np.pi / 2, 0.0)
    """Postures are chosen near this one [rad]: reaching ahead of base, elbow up, the flange pointing down."""
    min_singular_value: float = 0.3
    """An episode begins at least this far from any singularity (see `kinematics.DampingConfig`)."""
    limit_margin_rad: float = 0.3
    """And this far from each joint limit [rad]."""

    min_height_m: float = 0.047
    """And with the axes of elbow and wrist at least this far above the table [m]: the wrist's housings and 5 mm more."""

    @property
    def stiffness(self) -> Array:
        """Servo stiffness of each joint [Nm/rad], shape (6,)."""
        # A critically damped servo with stiffness k and inertia I lags by d / k = 2 sqrt(I / k) = response.
        return 4 * np.array(self.joint_inertia_kg_m2) / self.response_s**2

    @property
    def damping(self) -> Array:
        """Servo damping of each joint [Nm s/rad], shape (6,)."""
        return self.response_s * self.stiffness


def _links(
    masses: tuple[float, ...], inertias: tuple[tuple[float, float], ...]
) -> tuple[Link, ...]:
    """Both models share the centres of mass; each inertia is (transverse, axial), along y, x, x, y, y, z of the frames."""
    centres = (
        (0.0, -0.02561, 0.00193), (0.2125, 0.0, 0.11336), (0.15, 0.0, 0.0265),
        (0.0, -0.0018, 0.01634), (0.0, 0.0018, 0.01634), (0.0, 0.0, -0.001159),
    )  # fmt: skip
    links = []
    for mass, centre, (across, along), axis in zip(
        masses, centres, inertias, "yxxyyz", strict=True
    ):
        x, y, z = (along if name == axis else across for name in "xyz")
        links.append(Link(mass, centre, (x, y, z)))
    return tuple(links)


ARMS = {
    "ur5e": ArmConfig(
        model=UR5E,
        links=_links(
            (3.761, 8.058, 2.846, 1.37, 1.3, 0.365),
            ((0.0103, 0.0067), (0.1339, 0.0151), (0.0312, 0.0041), (0.00256, 0.00219), (0.00256, 0.00219), (9.9e-5, 1.32e-4)),
        ),
        upper_arm_offset_m=0.138,
        forearm_offset_m=0.007,
    ),
    "ur5": ArmConfig(
        model=UR5,
        links=_links(
            (3.7, 8.393, 2.33, 1.219, 1.219, 0.1879),
            ((0.01497, 0.0104), (0.1339, 0.0151), (0.0312, 0.0041), (0.00201, 0.00219), (0.00183, 0.00219), (8.06e-5, 1.32e-4)),
        ),
        upper_arm_offset_m=0.13585,
        forearm_offset_m=0.0165,
    ),
}  # fmt: skip
ROBOTS = ("gripper", *ARMS)
"""What can carry the fingers: nothing (the free-flying gripper) or an arm."""

DEFAULTS_XML = """<default class="arm"><geom contype="1" conaffinity="2" mass="0" group="1" rgba=".75 .77 .8 1"/></default>"""


def body_xml(arm: ArmConfig, hand: str) -> str:
    """The arm's bodies, base at the world's origin; `hand` is the content of the body at the tcp."""
    model = arm.model
    xml = f'<body name="hand" gravcomp="1" {_pose(T_FLANGE_TCP)}>{_adapter_xml()}{hand}</body>'
    for i in reversed(range(6)):
        link, T = arm.links[i], model.links[i]
        axis, position = T[2, :3], -T[:3, :3].T @ T[:3, 3]
        xml = (
            f'<body name="link{i + 1}" gravcomp="1" {_pose(T)}>'
            f'<inertial mass="{link.mass_kg}" pos="{_numbers(link.centre_m)}" diaginertia="{_numbers(link.inertia_kg_m2)}"/>'
            f'<joint name="{JOINT_NAMES[i]}" type="hinge" axis="{_numbers(axis)}" pos="{_numbers(position)}" '
            f'armature="{arm.armature_kg_m2}" range="{model.lower_rad[i]} {model.upper_rad[i]}"/>'
            f"{_housings(arm)[i]}{xml}</body>"
        )
    base = '<geom class="arm" type="cylinder" size=".075 .05" pos="0 0 .05"/>'
    return f"{base}{xml}"


def actuators_xml(arm: ArmConfig) -> str:
    """A servo per joint whose set point moves with the commanded joint velocity."""
    return "".join(
        f'<intvelocity name="{name}" joint="{name}" kp="{stiffness}" kv="{damping}" '
        f'forcerange="{-torque} {torque}" actrange="{lower} {upper}"/>'
        for name, stiffness, damping, torque, lower, upper in zip(
            JOINT_NAMES, arm.stiffness, arm.damping, arm.max_torque_nm,
            arm.model.lower_rad, arm.model.upper_rad, strict=True,
        )
    )  # fmt: skip


def _housings(arm: ArmConfig) -> tuple[str, ...]:
    """Geoms of the six links."""
    a2, a3 = arm.model.a_m[1:3]
    d4, d5, d6 = arm.model.d_m[3:]
    upper, fore = arm.upper_arm_offset_m, arm.forearm_offset_m
    return (
        _capsule((0, 0, -0.02), (0, 0, upper - 0.06), 0.060),
        _capsule((-a2, 0, upper), (0, 0, upper), 0.054),
        _capsule((-a3, 0, fore), (0, 0, fore), 0.045),
        _capsule((0, fore + 0.05 - d4, 0), (0, 0, 0), 0.042),
        _capsule((0, d5 - 0.05, 0), (0, 0, 0), 0.042),
        _capsule((0, 0, -d6 + 0.05), (0, 0, -0.0375), 0.0375),
    )


def _adapter_xml() -> str:
    return '<geom class="drawn" type="cylinder" size=".0315 .010" pos="0 0 -.140"/>'


def _capsule(start: tuple[float, ...], end: tuple[float, ...], radius: float) -> str:
    return f'<geom class="arm" type="capsule" fromto="{_numbers(start)} {_numbers(end)}" size="{radius}"/>'


def _pose(T: Array) -> str:
    quat = np.empty(4)
    mujoco.mju_mat2Quat(quat, T[:3, :3].ravel())
    return f'pos="{_numbers(T[:3, 3])}" quat="{_numbers(quat)}"'


def _numbers(values: NDArray[np.floating] | tuple[float, ...]) -> str:
    return " ".join(repr(float(value)) for value in values)
