"""The fingers in the MuJoCo model, and the length of a physics step.

A finger follows `TacTipFinger`: a hard core, and before it the skin, a nearly hard solid on three springs.
"""

import numpy as np

from lerobot_neuraltouch.features import MAX_FINGER_DISTANCE
from lerobot_neuraltouch.tactile import TacTipFinger

from .holder_scene import VISUAL_GROUP

FINE_TIMESTEP_S = 0.002
COARSE_TIMESTEP_S = 0.005
"""Physics steps [s]."""
TICK_S = 0.020
"""Controls are renewed, and forces averaged, over so long [s]: a whole number of physics steps."""
MIN_JOINT_DISTANCE = -0.016
"""The finger joints reach further than any set point [m]: both skins on their stops around a thin wall."""
CORE_MASS_KG = 0.05


def timestep_s(is_free: bool, on_arm: bool) -> float:
    """Physics step [s]: coarse with the free gripper around an object that stays where it is.

    Nothing slips, falls or rolls there, and `neuraltouch bench physics` finds the same as with fine steps. A flat pad on an object that it
    carries, and an arm's servos when a motion is reversed, need the fine ones.
    """
    return FINE_TIMESTEP_S if is_free or on_arm else COARSE_TIMESTEP_S


def defaults_xml(finger: TacTipFinger, step_s: float) -> str:
    """Contact parameters of cores and skins at a physics step [s]."""
    stretch = _stretch(step_s)
    friction = f'friction="{finger.friction} {finger.torsional_friction_m} .0001"'
    contact = f'contype="1" conaffinity="2" priority="1" condim="4" group="{VISUAL_GROUP}" {friction} solimp=".95 .99 .001"'
    return f"""
    <default class="finger"><geom {contact} solref="{0.004 * stretch} 1"/></default>
    <default class="skin"><geom {contact} solref="{0.006 * stretch} 1" mass="{finger.pad_mass_kg}"/></default>"""


def body_xml(
    finger: TacTipFinger, moving_mass_kg: float, step_s: float, name: str, side: int
) -> str:
    """One finger in tcp axes; the body's origin is the skin's apex.

    Args:
        finger: The fingertip.
        moving_mass_kg: Of the finger with its drive.
        step_s: Physics step [s].
        name: `left` or `right`.
        side: Sign of its place along y.
    """
    half_x, half_y, half_z = (
        finger.core_half_size_m
    )  # pad axes: pad y lies along tcp z, the normal along tcp y
    core_y = side * (finger.core_depth_m + half_z)
    stretch = _stretch(step_s)
    # A longer step asks for slower springs. Inertia against the finger makes them so, without a heavier skin that would lag behind
    # the hand; a contact's stiffness is its inertia over its time constant squared, so it stays.
    inertia = finger.pad_mass_kg * stretch**2
    spring = (
        f'type="slide" armature="{inertia - finger.pad_mass_kg}" '
        f'solreflimit="{0.006 * stretch} 1" solimplimit=".95 .99 .0005"'
    )
    normal, shear = finger.normal_stiffness_n_per_m, finger.shear_stiffness_n_per_m
    shear_spring = (
        f'{spring} range="{-finger.max_shear_m} {finger.max_shear_m}" stiffness="{shear}" '
        f'damping="{2 * np.sqrt(shear * inertia)}"'
    )
    return f"""
<body name="{name}" gravcomp="1">
  <joint name="{name}" type="slide" axis="0 {side} 0" armature="{moving_mass_kg - CORE_MASS_KG}"
    range="{MIN_JOINT_DISTANCE / 2} {MAX_FINGER_DISTANCE / 2}"/>
  <geom class="finger" name="{name}_core" type="box" size="{half_x} {half_z} {half_y}" pos="0 {core_y} {-finger.core_setback_m}"
    mass="{CORE_MASS_KG}" rgba=".2 .2 .22 1"/>
  <geom class="drawn" type="box" size=".008 {half_z} .038" pos="0 {core_y} -.052"/>
  <site name="{name}_core" size=".05" group="4"/>
  <body name="{name}_pad" gravcomp="1">
    <joint name="{name}_normal" {spring} axis="0 {side} 0" stiffness="{normal}"
      damping="{2 * np.sqrt(normal * inertia)}" range="-.0005 {finger.max_travel_m}"/>
    <joint name="{name}_shear_x" axis="1 0 0" {shear_spring}/>
    <joint name="{name}_shear_z" axis="0 0 1" {shear_spring}/>
    <geom class="skin" name="{name}_skin" {_skin_xml(finger, side)} rgba=".1 .1 .12 1"/>
    <site name="{name}_pad" size=".05" group="4"/>
  </body>
</body>"""


def coupling_xml(step_s: float) -> str:
    """Both fingers move alike."""
    solref = f"{0.004 * _stretch(step_s)} 1"
    return f'<joint joint1="left" joint2="right" polycoef="0 1 0 0 0" solref="{solref}"/>'


def sensors_xml(step_s: float) -> str:
    """Normal forces on both fingers: their readings in the last `TICK_S`."""
    count = round(TICK_S / step_s)
    return "".join(
        f'<touch name="{side}_{part}" site="{side}_{part}" nsample="{count}"/>'
        for side in ("left", "right")
        for part in ("pad", "core")
    )


def _skin_xml(finger: TacTipFinger, side: int) -> str:
    """The skin's solid, its apex in the origin."""
    a, c = finger.skin_radius_m, finger.skin_height_m
    if finger.shape == "flat":
        return f'type="cylinder" size="{a} {c}" pos="0 {side * c} 0" euler="{np.pi / 2} 0 0"'
    return f'type="ellipsoid" size="{a} {c} {a}" pos="0 {side * c} 0"'


def _stretch(step_s: float) -> float:
    """A physics step in units of the one that the fingers' mechanics were chosen for."""
    return step_s / FINE_TIMESTEP_S
