"""What all environments share: the contract of observations and actions, the place of the object, and one control step."""

import copy
from abc import abstractmethod
from collections import deque
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar, Literal

import gymnasium
import mujoco
import numpy as np
from numpy.typing import NDArray

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.features import (
    ACTION_HIGH,
    ACTION_LOW,
    CONTROL_HZ,
    TACTILE_SIZE,
    Task,
    check_action,
    get_task,
)
from lerobot_neuraltouch.kinematics import UnreachableError
from lerobot_neuraltouch.objects.catalogue import SPLITS
from lerobot_neuraltouch.pointcloud import CameraIntrinsics
from lerobot_neuraltouch.tactile import FINGERS, GRAY_MAPS, TacTipFinger, TouchNoise
from lerobot_neuraltouch.tactile.image import MIN_SIZE

from . import perception
from .arm_scene import ROBOTS
from .gripper import TOUCH_PRESS_M
from .observing import observation_space, three_channels
from .options import STARTS, check_choice, check_least, check_reset_options
from .randomisation import RANDOMISATIONS, Randomisation
from .scene import GripperConfig
from .starts import PerturbationConfig, draw_perturbed_start
from .workpiece import Workpiece, rotation_vector, target_twist

Array = NDArray[np.float64]

CALM_LINEAR_SPEED = 0.0005
CALM_ANGULAR_SPEED = float(np.deg2rad(0.25))
"""A commanded twist below these speeds stands still [m/s, rad/s]."""
NUM_OBJECTS = 64
"""Default size of the pool that episodes draw from."""
_MAX_PLACES = 100
"""Places drawn before giving up on one that the robot reaches."""
_CACHED_OBJECTS = 16
"""Objects that one environment keeps ready; a mug takes 17 MB, and many environments may run side by side."""


@dataclass(frozen=True, kw_only=True)
class TouchConfig:
    """What every environment needs and its arguments do not name."""

    finger: TacTipFinger = field(default_factory=TacTipFinger)
    gripper: GripperConfig = field(default_factory=GripperConfig)
    perturbation: PerturbationConfig = field(default_factory=PerturbationConfig)
    place_centre_m: tuple[float, float] = (0.45, 0.0)
    """Where objects stand on the table (z = 0), in base [m]."""
    place_half_size_m: tuple[float, float] = (0.10, 0.15)
    """Half sizes of the area that places are drawn from [m]."""

    def __post_init__(self) -> None:
        if not (min(self.place_half_size_m) >= 0 and np.isfinite(self.place_half_size_m).all()):
            raise ValueError(
                f"place_half_size_m must hold two numbers of at least 0, got {self.place_half_size_m}."
            )


class TouchEnv(gymnasium.Env):
    """Two TacTip fingers, an object on a table, one look at it.

    ## Frames
    `base` is the world, z up, the table's top at z = 0; `tcp` lies midway between the pads, z is the approach
    direction, y the closing direction (left pad at -y). Control runs at 10 Hz, physics at 200 Hz, or at
    500 Hz with an arm or with an object that can be let go.

    ## Action space
    `Box`, shape (7,), float32. Values outside the limits are clipped; NaN or another shape is a `ValueError`.

    | index | name | range | frame | unit |
    |---|---|---|---|---|
    | 0-2 | `tcp_vx.vel tcp_vy.vel tcp_vz.vel` | -0.02 .. 0.02 | tcp | m/s |
    | 3-5 | `tcp_wx.vel tcp_wy.vel tcp_wz.vel` | -0.1745 .. 0.1745 | tcp | rad/s |
    | 6 | `gripper.pos`, set point of the distance of the undeformed pads | -0.016 .. 0.085 | - | m |

    The twist turns with the tcp. The grip servo approaches its set point at no more than 50 mm/s and pushes with 2 N per
    millimetre of gap, at most 20 N; the base servo with at most 12 N and 0.25 Nm. An arm pushes with about 50 N and makes a protective
    stop, which ends the episode, when the normal force on one finger exceeds 100 N (mean over 20 ms).

    ## Observation space
    `Dict`:

    | key | shape | dtype | range | frame | unit |
    |---|---|---|---|---|---|
    | `pixels/tactile_left`, `pixels/tactile_right` | (size, size, 3) | uint8 | 0 .. 255 | camera | `gray_map` of the indentation |
    | `agent_pos[0:3]` tcp position | | float32 | | base | m |
    | `agent_pos[3:6]` tcp rotation vector | | float32 | -pi .. pi | base | rad |
    | `agent_pos[6]` actual distance of the undeformed pads | | float32 | -0.016 .. 0.085 | - | m |
    | `point_cloud`, taken once per reset | (1024, 3) | float32 | | base | m |
    | `phase` | (1,) | float32 | 0, 1, 2 | - | see below |

    `phase` is what the environment can know: 0 from a stand-off start until a pad first touches, 1 (fine) from then on and
    always with `start="perturbed"`, 2 from where the task says.

    ## Starting state
    The object's place and yaw are drawn. `start="perturbed"`: the tcp is 5-20 mm and 0-12 deg off an ideal pose in the
    constrained directions, the fingers open, the part between them, no finger within 1 mm of anything.
    `start="perception"`: the wrist camera looks at the object from 0.35-0.45 m, 30-60 deg above the horizon, and the fingers
    are at the skill's opening. In both cases the cloud is what the wrist camera saw from such a stand-off pose.

    ## Arguments
    - `task`: name in `features.REFINE_TASKS` or `features.WHOLE_TASKS`.
    - `start`: `"perturbed"` or `"perception"`.
    - `split`: `"train"`, `"val"`, `"test"` or `"ood"`: the stream of shapes; `ood` has handles and shoulders that are in none of
      the others, and no right-angle handles.
    - `num_objects`: size of the pool episodes draw from (default 64).
    - `object_path`: YAML of the user's own object instead.
    - `task_text`: what `task_description` says in place of the task's own text: it selects another skill of a policy.
    - `image_size`: pixels of a touch image (default 64).
    - `finger`: name in `tactile.FINGERS`, `"dome"` or `"flat"`; None takes the config's.
    - `gray_map`: name in `tactile.GRAY_MAPS`: `"linear"` (51 levels per mm) or `"tactile_gym"`.
    - `noise`: `"nominal"` or `"off"`, for touch and depth.
    - `randomisation`: what of the hand is drawn anew per episode: name in `randomisation.RANDOMISATIONS`, `"none"` (default),
      `"nominal"` or `"wide"`, or a `Randomisation`. Seeds give the same objects, places and starts with any.
    - `calibration`: `"exact"` or `"paper"`: whether the wrist camera's pose is known exactly.
    - `in_sight`: whether looks from a stand-off are taken until they show the contact (20 cloud points within 15 mm of where a pad
      touches). By default a mug's handle may be hidden, and a policy cannot know where it is.
    - `robot`: what carries the fingers: `"gripper"` (nothing: it flies), `"ur5e"` or `"ur5"`. An arm stands at the origin of base;
      places, starts and looks are redrawn until it reaches them.
    - `render_mode`: `"rgb_array"` or None.

    `reset(options={"object_index": i})` chooses the object; `{"start_share": s}`, in (0, 1], multiplies the offset and the angle of this
    episode's perturbed start (default 1; the draws are the same); `{"start_turn": a}` turns it by so much more about tcp z [rad];
    `{"contact_offset": twist}`, shape (6,) [m, rad], wants a contact beside the task's own in this episode: each ideal pose moved by that
    much in its own frame. The last three are for perturbed starts only.

    ## Info
    The same keys after every step and reset; nothing under `privileged` may be seen by a policy.

    - `is_success`: whether the episode ended right, on its last step only.
    - `pos_error_m`: error along the constrained directions [m].
    - `cos_error`: 1 - cos(angle of the constrained rotation error).
    - `along_m`: where on the contact's curve the nearest ideal pose lies, from its middle [m].
    - `max_force_n`: largest normal force on one finger so far, mean over 20 ms [N].
    - `reward_terms`: see Rewards.
    - `failure`: why the episode was broken off: an arm's protective stop, or a simulation that diverged; empty if it was not.
    - `randomisation`: what was drawn for the episode: `tip_stiffness_n_per_m`, `friction`, `camera_offset_m` (2, 2), `latency_steps`,
      `touch_noise_level`.
    - `limited_by`: joint limits or singularities that kept an arm from the whole twist; empty if none did.
    - `object_index`: number of the object in its stream.
    - `acceptance_rate`: one over the number of starts drawn for this episode.
    - `privileged`: the truth:
    - `privileged/target_twist`: to the nearest ideal pose, in tcp [m, rad].
    - `privileged/pad_press_m`: how far the left and right skin is pressed in [m].
    - `privileged/pad_shear_m`: how far it is sheared [m].
    - `privileged/force_n`: largest normal force on the left and right finger in this step, mean over 20 ms [N].
    - `privileged/finger_distance_m`: actual distance of the undeformed pads [m].
    - `privileged/target_finger_distance_m`: the same at the target [m].
    - `privileged/pos_error_m`: as above, but of this step even after a release [m].
    - `privileged/cos_error`: likewise.
    - `privileged/T_base_tcp`: pose of the tcp.
    - `privileged/T_base_target`: the nearest ideal pose.
    - `privileged/T_base_object`: pose of the object.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": CONTROL_HZ}
    max_episode_steps: int
    """Time limit [control steps]."""

    def __init__(
        self,
        task: str,
        config: TouchConfig,
        *,
        start: Literal["perturbed", "perception"] = "perturbed",
        split: str = "test",
        num_objects: int | None = None,
        object_path: str | None = None,
        task_text: str | None = None,
        image_size: int = TACTILE_SIZE,
        finger: str | None = None,
        gray_map: str = "linear",
        noise: Literal["nominal", "off"] = "nominal",
        calibration: Literal["exact", "paper"] = "exact",
        in_sight: bool = False,
        randomisation: str | Randomisation = "none",
        robot: str = "gripper",
        render_mode: str | None = None,
    ) -> None:
        check_choice("start", start, STARTS)
        check_choice("split", split, SPLITS)
        check_choice("noise", noise, ("nominal", "off"))
        check_choice("calibration", calibration, tuple(perception.CALIBRATIONS))
        check_choice("robot", robot, ROBOTS)
        check_choice("gray_map", gray_map, tuple(GRAY_MAPS))
        if finger is not None:
            check_choice("finger", finger, tuple(FINGERS))
        if not isinstance(randomisation, Randomisation):
            check_choice("randomisation", randomisation, tuple(RANDOMISATIONS))
            randomisation = RANDOMISATIONS[randomisation]
        check_least("image_size", image_size, MIN_SIZE)
        check_least("num_objects", NUM_OBJECTS if num_objects is None else num_objects, 1)
        check_choice("render_mode", render_mode, (None, *self.metadata["render_modes"]))
        self.task = get_task(task)
        self.task_description = self._first_text = task_text or self.task.text
        self.config = config
        self.start, self.split, self.object_path = start, split, object_path
        self.num_objects = 1 if object_path else num_objects or NUM_OBJECTS
        self.image_size, self.render_mode = image_size, render_mode
        self.noise, self.calibration, self.robot = noise, calibration, robot
        self.in_sight = in_sight and start == "perception"
        self.finger = config.finger if finger is None else FINGERS[finger]
        self.gray_map, self.randomisation = GRAY_MAPS[gray_map], randomisation
        self.touch_noise = TouchNoise.nominal() if noise == "nominal" else TouchNoise()
        self.action_space = gymnasium.spaces.Box(ACTION_LOW, ACTION_HIGH, dtype=np.float32)
        self.observation_space = observation_space(image_size)
        self._workpiece = lru_cache(maxsize=_CACHED_OBJECTS)(self._build_workpiece)
        self._renderer = None

    # --- for the subclass --------------------------------------------------------------------------------------------

    @abstractmethod
    def _build_workpiece(self, index: int) -> Workpiece:
        """Build object number `index` of the pool."""

    @abstractmethod
    def _begin(self) -> None:
        """Begin counting: everything stands in its place."""

    @abstractmethod
    def _follow(self, action: Array, force_n: Array) -> bool:
        """Take note of a step that has just been measured; return whether the ending rule fires."""

    @abstractmethod
    def _phase(self) -> int:
        """One of `features.Phase`, for the observation."""

    @abstractmethod
    def _outcome(self, action: Array, last: bool) -> dict[str, Any]:
        """What of `info` is the task's own, `is_success`, `pos_error_m`, `cos_error`, `along_m` and `reward_terms` among it."""

    @abstractmethod
    def _reward(self, info: dict[str, Any]) -> float:
        """The reward of a step."""

    @property
    def T_base_goal(self) -> Array | None:
        """Where the object should end, shape (4, 4); None if nowhere in particular."""
        return None

    # --- Gymnasium ---------------------------------------------------------------------------------------------------

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin an episode; `options` may hold what the class says."""
        super().reset(seed=seed)
        options = options or {}
        check_reset_options(options, self.start)
        self._object_index = self._draw_object(options)
        self.piece = self._workpiece(self._object_index)
        self.wanted, self.task_description = self.piece.feature, self._first_text
        if "contact_offset" in options:
            self.wanted = self.wanted.moved(options["contact_offset"])
        hand = self._hand = self.randomisation.sample(self.np_random, self.finger)
        self.piece.pads.set(hand.tip_stiffness_n_per_m, hand.friction)
        self._put_object()
        noise = self.touch_noise.scaled(hand.touch_noise_level)
        self._episode_noise = noise.sample(self.np_random, self.image_size)
        self._episode_noise.mount(self.piece.camera, hand.camera_offset_m)
        self._frames = deque(maxlen=1 + hand.latency_steps)
        perturbed = self.start == "perturbed"
        view = self._look(perception.QUICK_INTRINSICS if perturbed else perception.INTRINSICS)
        self._cloud = view.cloud
        self._acceptance_rate = 1.0
        if perturbed:
            self._place_perturbed(options.get("start_share", 1.0), options.get("start_turn", 0.0))
        else:
            self.piece.gripper.place(view.T_base_tcp, view.finger_distance_m)
        mujoco.mj_forward(self.piece.model, self.piece.data)
        self._steps = 0
        self._fine = perturbed
        self._max_force_n = 0.0
        self._measure()
        self._begin()
        self._observe()
        return self._obs, self._info(np.zeros(7), False, "")

    def step(
        self, action: NDArray[np.floating]
    ) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Advance one control step of 0.1 s."""
        checked = check_action(action)
        gripper = self.piece.gripper
        force = gripper.drive(checked[:6], checked[6])
        self._steps += 1
        failure = gripper.failure()
        if failure:  # what was seen and measured before stays
            info = self._info(checked, False, failure)
            return copy.deepcopy(self._obs), self._reward(info), False, True, info
        self._measure()
        self._fine = self._fine or bool(np.any(gripper.pad_press_m > TOUCH_PRESS_M))
        stop = gripper.stopped_by
        terminated = self._follow(checked, force) and not stop
        out_of_time = not terminated and self._steps >= self.max_episode_steps
        truncated = bool(stop) or out_of_time
        self._observe()
        info = self._info(checked, (terminated or out_of_time) and not stop, stop)
        return self._obs, self._reward(info), terminated, truncated, info

    def render(self) -> NDArray[np.uint8] | None:
        """The scene as seen from the side, uint8 (480, 640, 3), with the object's goal if it has one; None without a render mode."""
        if self.render_mode is None:
            return None
        if self._renderer is None:
            from .render import SceneRenderer  # GL is loaded by who renders, not by who trains

            self._renderer = SceneRenderer()
        return self._renderer.render(self.piece, self.T_base_goal)

    def close(self) -> None:
        """Free the renderer."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    # --- reset -------------------------------------------------------------------------------------------------------

    def _draw_object(self, options: dict[str, Any]) -> int:
        drawn = int(self.np_random.integers(self.num_objects))
        return int(options.get("object_index", drawn))

    def _put_object(self) -> None:
        """Put the object as a person would: so that the robot reaches the contact."""
        for _ in range(_MAX_PLACES):
            self._T_base_object = self._draw_place()
            self.piece.put(self._T_base_object)
            if self._can_be_done():
                return
        raise RuntimeError(
            f"In none of {_MAX_PLACES} places around {self.config.place_centre_m} m does robot '{self.robot}' reach "
            f"'{self.piece.feature.name}'."
        )

    def _can_be_done(self) -> bool:
        """Whether the robot can do the task with the object where it is."""
        return self.piece.can_be_grasped()

    def _look(self, intrinsics: CameraIntrinsics) -> perception.View:
        """Look at the object; where the robot cannot do so, put it elsewhere."""
        for _ in range(_MAX_PLACES):
            try:
                return perception.look(
                    self.piece,
                    self.np_random,
                    noisy=self.noise == "nominal",
                    calibration=self.calibration,
                    in_sight=self.in_sight,
                    intrinsics=intrinsics,
                )
            except UnreachableError:
                self._put_object()
        raise RuntimeError(
            f"Robot '{self.robot}' can look at '{self.piece.item.name}' in none of {_MAX_PLACES} places."
        )

    def _draw_place(self) -> Array:
        half = np.array(self.config.place_half_size_m)
        place = np.array(self.config.place_centre_m) + self.np_random.uniform(-half, half)
        yaw = se3.exp(np.array([0, 0, 0, 0, 0, self.np_random.uniform(-np.pi, np.pi)]))
        yaw[:2, 3] = place
        return yaw

    def _place_perturbed(self, share: float, turn_rad: float) -> None:
        piece, perturbation = self.piece, self.config.perturbation.scaled(share)
        clearance = perturbation.clearance_m
        T_base_object = piece.T_base_object

        def is_fair(T_object_tcp: Array, distance_m: float) -> bool:
            T_base_tcp = T_base_object @ T_object_tcp
            return piece.is_clear(T_base_tcp, distance_m, clearance) and piece.skin_comes_first(
                T_base_tcp, distance_m
            )

        start = draw_perturbed_start(
            piece.item,
            self.wanted,
            perturbation,
            self.np_random,
            piece.sweep,
            is_fair,
            turn_rad,
        )
        self._acceptance_rate = start.acceptance_rate
        piece.gripper.place(T_base_object @ start.T_object_tcp, start.finger_distance_m)

    # --- step --------------------------------------------------------------------------------------------------------

    def _measure(self) -> None:
        """Read the truth, once per step."""
        piece, gripper = self.piece, self.piece.gripper
        if piece.free:
            self._T_base_object = piece.T_base_object
        self._T_base_tcp = gripper.T_base_tcp
        self._T_object_tcp = se3.inverse(self._T_base_object) @ self._T_base_tcp
        self._finger_distance_m = gripper.finger_distance_m
        self._press_m, self._shear_m = gripper.pad_press_m, gripper.pad_shear_m
        self._measure_error()

    def _measure_error(self) -> None:
        """Read the error against the wanted contact."""
        self._error = self.wanted.nearest(self._T_object_tcp)
        self._target_twist = target_twist(self._T_object_tcp, self._error)

    def _want(self, task: Task) -> None:
        """From now on another contact of the object is the wanted one."""
        self.wanted, self.task_description = self.piece.item.feature(task.feature), task.text
        self._measure_error()

    def _observe(self) -> None:
        piece = self.piece
        gray = piece.picture(self._T_object_tcp)
        self._frames.append(self._episode_noise.disturb(gray, self.np_random))
        left, right = three_channels(self._frames[0])
        state = np.empty(7, dtype=np.float32)
        state[:3] = self._T_base_tcp[:3, 3]
        state[3:6] = rotation_vector(self._T_base_tcp)
        state[6] = self._finger_distance_m
        self._obs = {
            "pixels": {"tactile_left": left, "tactile_right": right},
            "agent_pos": state,
            "point_cloud": self._cloud.copy(),
            "phase": np.array([self._phase()], dtype=np.float32),
        }

    def _info(self, action: Array, last: bool, failure: str) -> dict[str, Any]:
        return {
            **self._outcome(action, last),
            "max_force_n": self._max_force_n,
            "failure": failure,
            "randomisation": self._hand.as_info(),
            "limited_by": self.piece.gripper.limited_by,
            "object_index": self._object_index,
            "acceptance_rate": self._acceptance_rate,
            "privileged": self.privileged(),
        }

    def privileged(self) -> dict[str, Any]:
        """`info["privileged"]` of the last step: the truth, for scripted teachers."""
        error = self._error
        return {
            "target_twist": self._target_twist.copy(),
            "pad_press_m": self._press_m.copy(),
            "pad_shear_m": self._shear_m.copy(),
            "force_n": self.piece.gripper.force_n.copy(),
            "finger_distance_m": self._finger_distance_m,
            "target_finger_distance_m": self.wanted.finger_distance_m,
            "pos_error_m": error.pos_error_m,
            "cos_error": error.cos_error,
            "T_base_tcp": self._T_base_tcp.copy(),
            "T_base_target": self._T_base_object @ error.T_object_target,
            "T_base_object": self._T_base_object.copy(),
        }


def is_calm(action: Array) -> bool:
    """Whether a commanded twist stands still."""
    slow = np.linalg.norm(action[:3]) < CALM_LINEAR_SPEED
    return bool(slow and np.linalg.norm(action[3:6]) < CALM_ANGULAR_SPEED)
