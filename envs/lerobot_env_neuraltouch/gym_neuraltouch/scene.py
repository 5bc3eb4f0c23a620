"""The MuJoCo model: a two-finger gripper, free-flying or on an arm, over a table with one object.

The fingertips follow `TacTipFinger`: the skin is a nearly hard ellipsoid or disc on three springs, so that the spring's travel
is the indentation the camera sees. Only the fingertips collide; hand and stems are drawn. The object's exact mesh is
drawn, its convex pieces collide. A model holds nothing of an episode, so it is compiled once per object.
"""

from dataclasses import dataclass
from functools import lru_cache

import mujoco
import numpy as np
import trimesh

from lerobot_neuraltouch.features import MAX_FINGER_DISTANCE
from lerobot_neuraltouch.objects.model import ObjectModel
from lerobot_neuraltouch.tactile import TacTipFinger

from . import arm_scene, finger_scene
from .arm_scene import ArmConfig
from .holder import Holder
from .holder_scene import VISUAL_GROUP, add_holder

COLLISION_GROUP = 3


@dataclass(frozen=True, kw_only=True)
class GripperConfig:
    """The hand, its grip servo, and the servos that move it where no arm does (the first six after its mass)."""

    mass_kg: float = 1.0
    """Mass of the hand [kg]; that of the free gripper sits at the tcp so that the servos do not couple."""
    linear_stiffness_n_per_m: float = 40e3
    """Stiffness of the position servo along each axis [N/m]."""
    linear_damping_n_s_per_m: float = 438.0
    """Damping of the position servo [N s/m]: critical. The servo lags by 0.22 mm at 20 mm/s and by nothing at rest."""
    max_force_n: float = 12.0
    """Limit of the position servo along each axis [N]: keeps a blocked motion gentle."""
    angular_stiffness_nm_per_rad: float = 100.0
    """Stiffness of the rotation servo [Nm/rad]."""
    angular_damping_nm_s_per_rad: float = 3.0
    """Damping of the rotation servo [Nm s/rad]."""
    max_torque_nm: float = 0.25
    """Limit of the rotation servo about each axis [Nm]."""
    grip_stiffness_n_per_m: float = 2000.0
    """Grip force per gap between the set point and the actual finger distance [N/m]."""
    grip_damping_n_s_per_m: float = 47.0
    """Damping of the grip servo [N s/m]: critical."""
    max_grip_force_n: float = 20.0
    """Limit of the grip force [N]."""
    grip_slew_m_per_s: float = 0.05
    """Fastest change of the servo's finger distance [m/s]: a set point far away is approached at this speed."""
    finger_mass_kg: float = 0.55
    """Moving mass of each finger with its drive [kg]."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 < value < float("inf"):
                raise ValueError(f"{name} must be a positive number, got {value}.")
        if self.finger_mass_kg <= finger_scene.CORE_MASS_KG:
            raise ValueError(
                f"finger_mass_kg must exceed its core's {finger_scene.CORE_MASS_KG} kg, got {self.finger_mass_kg}."
            )


@lru_cache(maxsize=64)
def compile_model(
    item: ObjectModel,
    finger: TacTipFinger,
    gripper: GripperConfig,
    free: bool,
    arm: ArmConfig | None = None,
    holder: Holder | None = None,
) -> mujoco.MjModel:
    """Compile the scene of one object. Treat the result as read only: it is shared.

    Args:
        item: The object.
        finger: Both fingertips.
        gripper: The servos.
        free: Whether the object can move: a free joint, held by the equality `fixture` until that is switched off.
            Otherwise it is a mocap body: cheaper, and its place is still free to choose per episode.
        arm: What carries the gripper; without one it flies.
        holder: What holds the object at the start.
    """
    spec = mujoco.MjSpec.from_string(
        _scene_xml(finger, gripper, arm, finger_scene.timestep_s(free, arm is not None))
    )
    if holder is None:
        _add_object(spec, item, free)
    else:
        _add_object(
            spec, holder.moving or item, free, fixed_to="thread" if holder.thread else "world"
        )
        add_holder(spec, holder)
    return spec.compile()


def _add_object(
    spec: mujoco.MjSpec, item: ObjectModel, free: bool, fixed_to: str = "world"
) -> None:
    body = spec.worldbody.add_body(name="object", mocap=not free)
    if free:
        body.add_freejoint(name="object")
        fixture = spec.add_equality(
            name="fixture",
            type=mujoco.mjtEq.mjEQ_WELD,
            objtype=mujoco.mjtObj.mjOBJ_BODY,
            name1="object",
            name2=fixed_to,
        )
        fixture.solref = [0.004, 1.0]
        fixture.solimp = [0.99, 0.999, 0.0001, 0.5, 2]
    spec.add_mesh(
        name="visual", uservert=_vertices(item.mesh), userface=_faces(item.mesh), inertia=_SHELL
    )
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_MESH,
        meshname="visual",
        contype=0,
        conaffinity=0,
        group=VISUAL_GROUP,
        density=0,
        rgba=[0.85, 0.78, 0.66, 1],
    )
    # The pieces may overlap a little; only the total mass matters.
    density = item.mass_kg / sum(piece.convex_hull.volume for piece in item.pieces)
    for index, piece in enumerate(item.pieces):
        name = f"piece{index}"
        spec.add_mesh(name=name, uservert=_vertices(piece))
        body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_MESH,
            meshname=name,
            name=name,
            contype=2,
            conaffinity=1,
            group=COLLISION_GROUP,
            density=density,
            friction=[0.6, 0.005, 0.0001],
            solref=[0.006, 1.0],
            rgba=[0.5, 0.6, 0.8, 0.4],
        )


_SHELL = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL  # drawn only, and a user's mesh may be open


def _vertices(mesh: trimesh.Trimesh) -> list[float]:
    return np.asarray(mesh.vertices, dtype=np.float64).ravel().tolist()


def _faces(mesh: trimesh.Trimesh) -> list[int]:
    return np.asarray(mesh.faces, dtype=np.int32).ravel().tolist()


def _scene_xml(
    finger: TacTipFinger, gripper: GripperConfig, arm: ArmConfig | None, step_s: float
) -> str:
    hand = "".join(
        (
            f'<geom class="drawn" type="box" size=".030 .050 .020" pos="0 0 {_PALM_Z_M}"/>',
            '<site name="tcp" size=".001" group="4"/>',
            finger_scene.body_xml(finger, gripper.finger_mass_kg, step_s, "left", -1),
            finger_scene.body_xml(finger, gripper.finger_mass_kg, step_s, "right", 1),
        )
    )
    grip = gripper.max_grip_force_n
    if arm is None:
        carrier = _free_body_xml(_inertial_xml(gripper, 0.0) + hand)
        servos = _free_actuators_xml(gripper)
    else:
        carrier = arm_scene.body_xml(arm, _inertial_xml(gripper, _PALM_Z_M) + hand)
        servos = arm_scene.actuators_xml(arm)
    return f"""
<mujoco model="gym_neuraltouch">
  <compiler angle="radian"/>
  <option timestep="{step_s}" integrator="implicitfast" cone="elliptic" impratio="300" tolerance="1e-6" iterations="50"
          ls_iterations="50">
    <flag autoreset="disable" island="disable"/>  <!-- one hand makes one island: finding it costs more than it saves -->
  </option>
  <visual><global offwidth="1280" offheight="960"/><map znear="0.005"/><headlight ambient=".4 .4 .4"/></visual>
  <asset><texture type="skybox" builtin="gradient" rgb1=".93 .95 .97" rgb2=".8 .85 .9" width="64" height="64"/></asset>
  <statistic center="0 0 0.1" extent="0.5"/>
  <default>
    {finger_scene.defaults_xml(finger, step_s)}
    <default class="drawn"><geom contype="0" conaffinity="0" mass="0" group="{VISUAL_GROUP}" rgba=".35 .37 .4 1"/></default>
    {arm_scene.DEFAULTS_XML}
  </default>
  <worldbody>
    <light pos="0.2 -0.5 1.2" dir="-0.1 0.4 -1" directional="true" diffuse=".6 .6 .6"/>
    <geom name="table" type="plane" size="1 1 .05" contype="3" conaffinity="3" friction=".6 .005 .0001"
          group="{VISUAL_GROUP}" rgba=".55 .6 .65 1"/>
    {carrier}
  </worldbody>
  <tendon><fixed name="distance"><joint joint="left" coef="1"/><joint joint="right" coef="1"/></fixed></tendon>
  <equality>{finger_scene.coupling_xml(step_s)}</equality>
  <actuator>
    {servos}
    <intvelocity name="grip" tendon="distance" kp="{gripper.grip_stiffness_n_per_m}"
      kv="{gripper.grip_damping_n_s_per_m}" forcerange="{-grip} {grip}"
      actrange="{finger_scene.MIN_JOINT_DISTANCE} {MAX_FINGER_DISTANCE}"/>
  </actuator>
  <sensor>{finger_scene.sensors_xml(step_s)}</sensor>
</mujoco>"""


_PALM_Z_M = -0.110
"""Middle of the hand's body in the tcp frame [m]."""


def _inertial_xml(gripper: GripperConfig, z_m: float) -> str:
    return f'<inertial pos="0 0 {z_m}" mass="{gripper.mass_kg}" diaginertia=".0010 .0010 .0017"/>'


def _free_body_xml(hand: str) -> str:
    slides = "".join(
        f'<joint name="base_{axis}" type="slide" axis="{direction}"/>'
        for axis, direction in zip("xyz", _AXES, strict=True)
    )
    return f"""
<body name="anchor" mocap="true">
  <body name="hand" gravcomp="1">
    {slides}
    <joint name="base_rot" type="ball"/>
    {hand}
  </body>
</body>"""


def _free_actuators_xml(gripper: GripperConfig) -> str:
    force, torque = gripper.max_force_n, gripper.max_torque_nm
    linear = "".join(
        f'<intvelocity name="base_{axis}" joint="base_{axis}" kp="{gripper.linear_stiffness_n_per_m}" '
        f'kv="{gripper.linear_damping_n_s_per_m}" forcerange="{-force} {force}" actrange="-1 1"/>'
        for axis in "xyz"
    )
    angular = "".join(
        f'<intvelocity name="base_r{axis}" joint="base_rot" gear="{direction} 0 0 0" '
        f'kp="{gripper.angular_stiffness_nm_per_rad}" kv="{gripper.angular_damping_nm_s_per_rad}" '
        f'forcerange="{-torque} {torque}" actrange="-3 3"/>'
        for axis, direction in zip("xyz", _AXES, strict=True)
    )
    return linear + angular


_AXES = ("1 0 0", "0 1 0", "0 0 1")
