"""One object ready for episodes: its simulation, its touch cameras and its contact."""

import copy
import math
from dataclasses import dataclass
from functools import cached_property

import mujoco
import numpy as np
from numpy.typing import NDArray

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.features import MAX_FINGER_DISTANCE, Task, start_opening
from lerobot_neuraltouch.objects.catalogue import make_object_with
from lerobot_neuraltouch.objects.contact import ContactError, ContactFeature
from lerobot_neuraltouch.objects.model import ObjectModel
from lerobot_neuraltouch.tactile import TactileCamera, TacTipFinger
from lerobot_neuraltouch.tactile.gray import GRAY_MAPS, GrayMap

from .arm_gripper import ArmGripper
from .arm_scene import ArmConfig
from .free_gripper import FreeGripper
from .gripper import Gripper
from .holder import Holder
from .pads import PadMechanics
from .scene import GripperConfig, compile_model
from .starts import PadSweep

Array = NDArray[np.float64]

_CLOSING_STEP_M = 0.001
_WAY_IN_M = 0.060
"""Length of the straight way in to a contact [m]."""
_TRIED_TARGETS = 5
"""Ideal poses tried when an object is put somewhere."""
_MIN_ROOM_M = 0.0015
"""Each opened finger needs this much room beside the part [m]."""
_FELT_PRESS_M = 0.001
"""Before a finger's core meets anything, its skin must be pressed in by this much: enough to be felt and to servo under."""


@dataclass(frozen=True, eq=False)
class Workpiece:
    """One object with everything that is built once for it. Private to one environment."""

    item: ObjectModel
    feature: ContactFeature
    model: mujoco.MjModel
    data: mujoco.MjData
    gripper: Gripper
    camera: TactileCamera
    pads: PadMechanics
    free: bool
    """Whether the object can be let go."""
    holder: Holder | None = None
    """What holds the object at the start."""

    @classmethod
    def build(
        cls,
        item: ObjectModel,
        feature: ContactFeature,
        finger: TacTipFinger,
        config: GripperConfig,
        image_size: int,
        free: bool,
        arm: ArmConfig | None = None,
        gray_map: GrayMap = GRAY_MAPS["linear"],
        holder: Holder | None = None,
    ) -> "Workpiece":
        """Build the simulation and the touch cameras of an object.

        Raises:
            ValueError: If the fingers cannot open around the part to be grasped.
        """
        _check_opening(item, feature)
        model = copy.copy(compile_model(item, finger, config, free, arm, holder))
        data = mujoco.MjData(model)
        if arm is None:
            gripper: Gripper = FreeGripper(model, data, config)
        else:
            gripper = ArmGripper(model, data, config, arm)
        camera = TactileCamera(item.mesh, finger, image_size, gray_map)
        pads = PadMechanics(model, finger)
        return cls(item, feature, model, data, gripper, camera, pads, free, holder)

    @cached_property
    def sweep(self) -> PadSweep:
        """Tells whether the part lies between the pads."""
        return PadSweep(self.item, self.feature, self.camera.finger.pad_radius_m)

    @property
    def T_base_object(self) -> Array:
        """Actual pose of the object, shape (4, 4)."""
        matrix = np.empty(9)
        position, quat = self._pose()
        mujoco.mju_quat2Mat(matrix, quat)
        return se3.transform(matrix.reshape(3, 3), position)

    def put(self, T_base_object: Array) -> None:
        """Start afresh with the object at a pose, shape (4, 4), fixed."""
        mujoco.mj_resetData(self.model, self.data)
        position, quat = self._pose()
        position[:] = T_base_object[:3, 3]
        mujoco.mju_mat2Quat(quat, T_base_object[:3, :3].ravel())
        if self.holder is not None:
            mocap = int(self.model.body("holder").mocapid[0])
            self.data.mocap_pos[mocap], self.data.mocap_quat[mocap] = position, quat
        if self.free:
            self._hold(T_base_object)

    def _hold(self, T_base_object: Array) -> None:
        """Let the weld hold the object where it is: in the world, or in its thread."""
        weld = self.model.eq_data[self.model.equality("fixture").id]
        # It holds one point, given in the frames of the holding body and of the object, and the rotation between the two.
        if self.holder is not None and self.holder.thread is not None:
            weld[:10] = 0.0
            weld[5] = self.holder.thread.height_m
            weld[6] = 1.0
            return
        weld[0:3] = T_base_object[:3, 3]
        weld[3:6] = 0.0
        mujoco.mju_mat2Quat(weld[6:10], se3.inverse(T_base_object)[:3, :3].ravel())

    @property
    def turned_rad(self) -> float:
        """How far the holder's thread has been turned [rad]."""
        return float(self.data.qpos[self.model.joint("thread_turn").qposadr[0]])

    def release(self) -> None:
        """Let the object go."""
        self.data.eq_active[self.model.equality("fixture").id] = 0

    def can_be_grasped(self) -> bool:
        """Whether the robot can go straight in to some ideal contact of the object where it is."""
        return any(self.can_come_in(T) for T in self.feature.curve(_TRIED_TARGETS))

    def can_come_in(self, T_object_target: Array) -> bool:
        """Whether the robot can go straight in to a contact, shape (4, 4)."""
        return self.gripper.can_move(
            self.before(T_object_target), self.T_base_object @ T_object_target
        )

    def can_begin(self, T_object_tcp: Array, clearance_m: float) -> bool:
        """Whether the robot can stand off at a pose, clear of everything, and go straight to before the nearest contact."""
        T_base_tcp = self.T_base_object @ T_object_tcp
        before = self.before(self.feature.nearest(T_object_tcp).T_object_target)
        opening = start_opening(self.feature.part_thickness_m)
        return self.gripper.can_move(T_base_tcp, before) and self.is_clear(
            T_base_tcp, opening, clearance_m
        )

    def before(self, T_object_target: Array) -> Array:
        """Where the straight way in to a contact begins, in base, shape (4, 4)."""
        return (
            self.T_base_object @ T_object_target @ se3.transform(translation=(0.0, 0.0, -_WAY_IN_M))
        )

    @property
    def is_let_go(self) -> bool:
        """Whether fingers and arm touch nothing."""
        return not np.isin(self.data.contact.geom, self.gripper.solid_geoms).any()

    def is_clear(self, T_base_tcp: Array, finger_distance_m: float, clearance_m: float) -> bool:
        """Whether the pose can be reached with no finger, nor the arm, within the clearance [m] of object or table.

        Leaves the gripper there.
        """
        if not self.gripper.can_reach(T_base_tcp):
            return False
        model, data, solid = self.model, self.data, self.gripper.solid_geoms
        model.geom_margin[solid] = clearance_m
        self.gripper.place(T_base_tcp, finger_distance_m)
        self._collide()
        near = data.ncon > 0 and np.isin(data.contact.geom, solid).any()
        model.geom_margin[solid] = 0
        return not bool(near)

    def skin_comes_first(self, T_base_tcp: Array, finger_distance_m: float) -> bool:
        """Whether each finger, closing from here past the middle, is felt: its skin is pressed in before its core meets anything."""
        pressed = [0.0, 0.0]
        self.gripper.place(T_base_tcp, finger_distance_m)
        for distance in np.arange(finger_distance_m, -finger_distance_m, -_CLOSING_STEP_M):
            self.gripper.set_fingers(float(distance))
            self._collide()
            touching = self._touching()
            for finger in (0, 1):
                core, skin = self._finger_geoms[finger]
                if pressed[finger] >= _FELT_PRESS_M:
                    continue
                if core in touching:
                    return False
                if pressed[finger] > 0.0 or skin in touching:
                    pressed[finger] += _CLOSING_STEP_M / 2
            if min(pressed) >= _FELT_PRESS_M:
                return True
        return False

    def _touching(self) -> set[int]:
        """Geoms that are in contact."""
        # Contacts are rare here, and asking for them is slow.
        return set(self.data.contact.geom.ravel().tolist()) if self.data.ncon else set()

    def touch(self, T_object_tcp: Array) -> NDArray[np.float32]:
        """Indentation of both skins with the tcp at a pose (4, 4) in the object's frame [m], shape (2, size, size)."""
        return self.camera.indentation(self._pad_poses(T_object_tcp))

    def picture(self, T_object_tcp: Array) -> NDArray[np.uint8]:
        """What both touch cameras show with the tcp at a pose (4, 4) in the object's frame, uint8 (2, size, size).

        The one place where images are made from what the pads feel. A picture of another kind, say of markers, would be made here
        from the indentation and `gripper`'s shear.
        """
        return self.camera.picture(self._pad_poses(T_object_tcp))

    def _pad_poses(self, T_object_tcp: Array) -> Array:
        return T_object_tcp @ self.camera.finger.pad_poses(self.gripper.finger_distance_m)

    def _collide(self) -> None:
        """Find the contacts with everything where it is."""
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)
        mujoco.mj_collision(self.model, self.data)

    @cached_property
    def _finger_geoms(self) -> list[list[int]]:
        """Core and skin of the left and right finger."""
        names = [[f"{side}_core", f"{side}_skin"] for side in ("left", "right")]
        return [[self.model.geom(name).id for name in pair] for pair in names]

    def _pose(self) -> tuple[Array, Array]:
        """Views of the object's position and quaternion in the simulation's state."""
        if self.free:
            start = int(self.model.joint("object").qposadr[0])
            return self.data.qpos[start : start + 3], self.data.qpos[start + 3 : start + 7]
        mocap = int(self.model.body("object").mocapid[0])
        return self.data.mocap_pos[mocap], self.data.mocap_quat[mocap]


def make_item(task: Task, split: str, index: int, object_path: str | None) -> ObjectModel:
    """The object of an episode: number `index` of those in the catalogue that have the task's feature, or the user's own.

    Raises:
        ValueError: If there is no such object, or it lacks the task's feature.
    """
    if object_path:
        from lerobot_neuraltouch.objects.user import load_object

        item = load_object(object_path)
    else:
        item = make_object_with(task.feature, split, index)
    item.feature(task.feature)
    return item


def _check_opening(item: ObjectModel, feature: ContactFeature) -> None:
    widest = MAX_FINGER_DISTANCE - 2 * _MIN_ROOM_M
    if feature.part_thickness_m > widest:
        raise ValueError(
            f"'{feature.name}' of '{item.name}' is {1e3 * feature.part_thickness_m:.3g} mm thick; the fingers open to "
            f"{1e3 * MAX_FINGER_DISTANCE:g} mm and pass around parts of up to {1e3 * widest:g} mm."
        )


def target_twist(T_object_tcp: Array, error: ContactError) -> Array:
    """The way from the tcp to the nearest ideal pose, without its part along the free directions.

    Returns:
        The twist (v, omega) = log(T_tcp_goal) in the tcp frame [m, rad], shape (6,).
    """
    return _log(se3.inverse(T_object_tcp) @ error.T_object_goal)


def rotation_vector(T: Array) -> Array:
    """Rotation vector of one transform [rad], shape (3,), by MuJoCo: SciPy takes fifty times as long."""
    quat, omega = np.empty(4), np.empty(3)
    mujoco.mju_mat2Quat(quat, T[:3, :3].ravel())
    mujoco.mju_quat2Vel(omega, quat, 1.0)
    return omega


def _log(T: Array) -> Array:
    """`se3.log` of one transform, many times as fast: it is needed in every control step."""
    omega = rotation_vector(T)
    x, y, z = omega.tolist()
    a, b, c = T[:3, 3].tolist()
    angle = math.sqrt(x * x + y * y + z * z)
    if angle < 1e-4:
        factor = 1 / 12
    else:
        factor = (1 - 0.5 * angle * math.sin(angle) / (1 - math.cos(angle))) / angle**2
    # p - w x p / 2 + factor w x (w x p)
    d, e, f = y * c - z * b, z * a - x * c, x * b - y * a
    v = (
        a - 0.5 * d + factor * (y * f - z * e),
        b - 0.5 * e + factor * (z * d - x * f),
        c - 0.5 * f + factor * (x * e - y * d),
    )
    return np.array([*v, x, y, z])
