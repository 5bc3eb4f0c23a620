"""A test rig: the free gripper and one object of a shape that is easy to reason about, in mid-air."""

import mujoco
import numpy as np
import trimesh
from numpy.typing import NDArray

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.features import CONTROL_HZ
from lerobot_neuraltouch.objects.contact import ContactFeature
from lerobot_neuraltouch.objects.model import ObjectModel
from lerobot_neuraltouch.tactile import TacTipFinger

from ..scene import GripperConfig
from ..workpiece import Workpiece

Array = NDArray[np.float64]

HEIGHT_M = 0.3
"""Of the object's origin above the table [m]."""
GRAVITY = 9.81


def make_item(
    name: str, mesh: trimesh.Trimesh, thickness_m: float, mass_kg: float = 0.2
) -> ObjectModel:
    """A convex solid around its own frame's origin, with one contact there.

    Args:
        name: Of the object.
        mesh: Its surface.
        thickness_m: Size between the pads at that contact [m].
        mass_kg: Of the object.
    """
    contact = ContactFeature("middle", np.eye(4)[None], thickness_m)
    return ObjectModel(name, "solid", mesh, (mesh,), {"middle": contact}, mass_kg)


class Rig:
    """Object and hand, with axes along the world's: the fingers close along y.

    Args:
        item: The object.
        finger: Both fingertips.
        free: Whether the object can be let go; otherwise it stays fixed.
        contact: Name of the object's contact; only its size matters here.
    """

    def __init__(
        self,
        item: ObjectModel,
        finger: TacTipFinger,
        *,
        free: bool = False,
        contact: str = "middle",
    ) -> None:
        self.piece = Workpiece.build(item, item.feature(contact), finger, GripperConfig(), 64, free)
        self.finger, self.gripper = finger, self.piece.gripper
        self.model, self.data = self.piece.model, self.piece.data
        self.T_base_object = se3.transform(translation=(0.0, 0.0, HEIGHT_M))
        self.object_geoms = np.flatnonzero(self.model.geom_contype == 2)

    def place(self, T_object_tcp: Array, finger_distance_m: float) -> None:
        """Start afresh with the hand at a pose in the object's frame, shape (4, 4), and a finger distance [m]."""
        self.piece.put(self.T_base_object)
        self.gripper.place(self.T_base_object @ T_object_tcp, finger_distance_m)
        mujoco.mj_forward(self.model, self.data)

    def squeeze(self, force_n: float, seconds: float) -> None:
        """Grip with a force for a time, hand at rest; fingers that do not touch yet close."""
        gap = force_n / self.gripper.config.grip_stiffness_n_per_m
        for _ in range(round(CONTROL_HZ * seconds)):
            self.gripper.drive(np.zeros(6), self.gripper.finger_distance_m - gap)

    @property
    def depth_m(self) -> Array:
        """How far a part centred in the tcp lies inside the left and right undeformed skin [m], shape (2,)."""
        half = self.piece.feature.part_thickness_m / 2
        return np.array([half - self.data.joint(name).qpos[0] for name in ("left", "right")])

    def wrench_on_object(self) -> Array:
        """Sum of all contact forces on the object, and of their moments about its centre of mass, in base, shape (6,) [N, Nm]."""
        total, force = np.zeros(6), np.zeros(6)
        centre = self.data.body("object").xipos
        for index in range(self.data.ncon):
            contact = self.data.contact[index]
            on_second = np.isin(contact.geom2, self.object_geoms)
            if not on_second and not np.isin(contact.geom1, self.object_geoms):
                continue
            mujoco.mj_contactForce(self.model, self.data, index, force)
            axes = contact.frame.reshape(3, 3) * (1.0 if on_second else -1.0)
            push, twist = force[:3] @ axes, force[3:] @ axes
            total[:3] += push
            total[3:] += twist + np.cross(contact.pos - centre, push)
        return total

    def mean_wrench_on_object(self, steps: int = 50) -> Array:
        """`wrench_on_object` as the mean over some physics steps, controls as they are: flat faces on flat pads chatter."""
        total = np.zeros(6)
        for _ in range(steps):
            mujoco.mj_step(self.model, self.data)
            total += self.wrench_on_object()
        return total / steps

    def normal_force_n(self) -> Array:
        """Normal forces on left and right finger [N], shape (2,), by the simulation's touch sensors."""
        return self.data.sensordata.reshape(2, 2).sum(axis=1)

    def overlap_m(self) -> float:
        """How far any hard geom of the fingers lies inside the object's pieces [m]."""
        contacts = self.data.contact
        if len(contacts.dist) == 0:
            return 0.0
        ours = np.isin(contacts.geom, self.object_geoms).any(axis=1)
        return float(max(-contacts.dist[ours].min(initial=0.0), 0.0))
