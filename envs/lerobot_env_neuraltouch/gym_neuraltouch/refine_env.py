"""Refine a grasp by touch: bring both fingertips to an ideal contact on a fixed object."""

import copy
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
    NUM_CLOUD_POINTS,
    TACTILE_SIZE,
    Phase,
    check_action,
    get_task,
)
from lerobot_neuraltouch.kinematics import UnreachableError
from lerobot_neuraltouch.objects.catalogue import SPLITS
from lerobot_neuraltouch.objects.contact import ContactError
from lerobot_neuraltouch.pointcloud import CameraIntrinsics
from lerobot_neuraltouch.tactile import TacTipFinger, TouchNoise

from . import perception, rewards
from .arm_scene import ARMS, ROBOTS
from .gripper import TOUCH_PRESS_M
from .scene import GripperConfig
from .starts import PerturbationConfig, draw_perturbed_start
from .workpiece import Workpiece, make_item, rotation_vector, target_twist

Array = NDArray[np.float64]

POSITION_TOLERANCE_M = 0.001
ANGLE_TOLERANCE_RAD = float(np.deg2rad(2.5))
PRESS_RANGE_M = (0.001, 0.003)
"""An episode ends right within these errors and presses of both pads [m, rad, m]."""
CALM_LINEAR_SPEED = 0.0005
CALM_ANGULAR_SPEED = float(np.deg2rad(0.25))
CALM_STEPS = 5
"""An episode ends when the commanded twist stays below these speeds [m/s, rad/s] for so many steps with both pads in contact."""
LIFT_HEIGHT_M = 0.030
"""After a release, success also needs the object this far above where it stood [m]."""
TIME_LIMITS = {"perturbed": 200, "perception": 700}
REPLAY_STEPS = 200
"""Time limits [control steps]; a released object adds REPLAY_STEPS."""
NUM_OBJECTS = 64
"""Default size of the pool that episodes draw from."""
_MAX_PLACES = 100
"""Places drawn before giving up on one that the robot reaches."""
_CACHED_OBJECTS = 16
"""Objects that one environment keeps ready; a mug takes 17 MB, and many environments may run side by side."""


@dataclass(frozen=True, kw_only=True)
class RefineConfig:
    """Everything about a refine environment that its arguments do not name."""

    finger: TacTipFinger = field(default_factory=TacTipFinger)
    gripper: GripperConfig = field(default_factory=GripperConfig)
    perturbation: PerturbationConfig = field(default_factory=PerturbationConfig)
    reward: rewards.RewardWeights = field(default_factory=rewards.RewardWeights)
    place_centre_m: tuple[float, float] = (0.45, 0.0)
    """Where objects stand on the table (z = 0), in base [m]."""
    place_half_size_m: tuple[float, float] = (0.10, 0.15)
    """Half sizes of the area that places are drawn from [m]."""


class RefineEnv(gymnasium.Env):
    """Refine a grasp by touch.

    ## Description
    A free-flying gripper with two TacTip fingers stands around (or flies to) a contact feature of an object that is
    fixed upright on a table. The policy has to bring the tcp to the feature's ideal pose and press both pads in by 2 mm.
    Frames: `base` is the world, z up, the table's top at z = 0; `tcp` lies midway between the pads, z is the approach
    direction, y the closing direction (left pad at -y). Control runs at 10 Hz, physics at 500 Hz.

    ## Action space
    `Box`, shape (7,), float32. Values outside the limits are clipped; NaN or another shape is a `ValueError`.

    | index | name | range | frame | unit |
    |---|---|---|---|---|
    | 0-2 | `tcp_vx.vel tcp_vy.vel tcp_vz.vel` | -0.02 .. 0.02 | tcp | m/s |
    | 3-5 | `tcp_wx.vel tcp_wy.vel tcp_wz.vel` | -0.1745 .. 0.1745 | tcp | rad/s |
    | 6 | `gripper.pos`, set point of the distance of the undeformed pads | -0.016 .. 0.085 | - | m |

    The twist turns with the tcp. The grip servo approaches its set point at no more than 50 mm/s and pushes with 2 N per
    millimetre of gap, at most 20 N; the base servo with at most 12 N and 0.25 Nm.

    ## Observation space
    `Dict`:

    | key | shape | dtype | range | frame | unit |
    |---|---|---|---|---|---|
    | `pixels/tactile_left`, `pixels/tactile_right` | (size, size, 3) | uint8 | 0 .. 255 | camera | 51 levels per mm of indentation |
    | `agent_pos[0:3]` tcp position | | float32 | | base | m |
    | `agent_pos[3:6]` tcp rotation vector | | float32 | -pi .. pi | base | rad |
    | `agent_pos[6]` actual distance of the undeformed pads | | float32 | -0.016 .. 0.085 | - | m |
    | `point_cloud`, taken once per reset | (1024, 3) | float32 | | base | m |
    | `phase` | (1,) | float32 | 0, 1, 2 | - | see below |

    `phase` is what the environment can know: 0 from a stand-off start until a pad first touches, 1 (fine) from then on and
    always with `start="perturbed"`, 2 once the object was released.

    ## Rewards
    Named terms in `info["reward_terms"]` (see `rewards.reward_terms`), summed with `RefineConfig.reward`.

    ## Starting state
    The object's place and yaw are drawn. `start="perturbed"`: the tcp is 5-20 mm and 0-12 deg off an ideal pose in the
    constrained directions, the fingers open, the part between them, no finger within 1 mm of anything.
    `start="perception"`: the wrist camera looks at the object from 0.35-0.45 m, 30-60 deg above the horizon, and the fingers
    are at the skill's opening. In both cases the cloud is what the wrist camera saw from such a stand-off pose.

    ## Episode end
    Terminated when the commanded twist has stayed below 0.5 mm/s and 0.25 deg/s for 5 steps with both pads in contact.
    Truncated at 200 control steps (perturbed) or 700 (perception), or when the simulation diverges (`info["failure"]`).
    `info["is_success"]` is true only on that last step: within 1 mm and 2.5 deg, both pads pressed 1-3 mm.
    With `release=True` the object is let go instead of terminating and `info["refined"]` turns true; the episode then ends
    when the object has been lifted 30 mm and the twist has been calm again for 5 steps, or 200 steps later, and success
    also needs the object to be lifted and held between both pads. Errors and largest force stay those of the release.

    ## Arguments
    - `task`: name in `features.TASKS`.
    - `start`: `"perturbed"` or `"perception"`.
    - `split`: `"train"`, `"val"`, `"test"` or `"ood"`: the stream of shapes; `ood` has handles and shoulders that are in none of
      the others, and no right-angle handles.
    - `num_objects`: size of the pool episodes draw from (default 64).
    - `object_path`: YAML of the user's own object instead.
    - `task_text`: what `task_description` says in place of the task's own text: it selects another skill of a policy.
    - `image_size`: pixels of a touch image (default 64).
    - `noise`: `"nominal"` or `"off"`, for touch and depth.
    - `calibration`: `"exact"` or `"paper"`: whether the wrist camera's pose is known exactly.
    - `release`: see above.
    - `robot`: what carries the fingers: `"gripper"` (nothing: it flies), `"ur5e"` or `"ur5"`. An arm stands at the origin of base;
      places, starts and looks are redrawn until it reaches them.
    - `render_mode`: `"rgb_array"` or None.
    - `config`: `RefineConfig`.

    `reset(options={"object_index": i})` chooses the object.

    ## Info
    Every step and reset: `is_success`, `pos_error_m`, `cos_error`, `along_m`, `max_force_n`, `reward_terms`, `refined`,
    `failure`, `limited_by` (joint limits or singularities that kept an arm from the whole twist; empty if none did), `object_index`, `acceptance_rate`, and `privileged`, which no policy may see: `target_twist` (6,) to the nearest
    ideal pose [m, rad, tcp], `pad_press_m` and `pad_shear_m` (2,), `finger_distance_m`, `target_finger_distance_m`, `pos_error_m`, `cos_error`,
    `T_base_tcp`, `T_base_target`, `T_base_object` (4, 4), `refined`.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": CONTROL_HZ}

    def __init__(
        self,
        task: str,
        *,
        start: Literal["perturbed", "perception"] = "perturbed",
        split: str = "test",
        num_objects: int | None = None,
        object_path: str | None = None,
        task_text: str | None = None,
        image_size: int = TACTILE_SIZE,
        noise: Literal["nominal", "off"] = "nominal",
        calibration: Literal["exact", "paper"] = "exact",
        release: bool = False,
        robot: str = "gripper",
        render_mode: str | None = None,
        config: RefineConfig | None = None,
    ) -> None:
        _check_choice("start", start, tuple(TIME_LIMITS))
        _check_choice("split", split, SPLITS)
        _check_choice("noise", noise, ("nominal", "off"))
        _check_choice("calibration", calibration, tuple(perception.CALIBRATIONS))
        _check_choice("robot", robot, ROBOTS)
        _check_choice("render_mode", render_mode, (None, *self.metadata["render_modes"]))
        self.task = get_task(task)
        self.task_description = task_text or self.task.text
        self.config = config or RefineConfig()
        self.start, self.split, self.object_path = start, split, object_path
        self.num_objects = 1 if object_path else num_objects or NUM_OBJECTS
        self.image_size, self.release, self.render_mode = image_size, release, render_mode
        self.noise, self.calibration, self.robot = noise, calibration, robot
        self.touch_noise = TouchNoise.nominal() if noise == "nominal" else TouchNoise()
        self.max_episode_steps = TIME_LIMITS[start] + (REPLAY_STEPS if release else 0)
        self.action_space = gymnasium.spaces.Box(ACTION_LOW, ACTION_HIGH, dtype=np.float32)
        self.observation_space = _observation_space(image_size)
        self._workpiece = lru_cache(maxsize=_CACHED_OBJECTS)(self._build_workpiece)
        self._renderer = None

    # --- Gymnasium ---------------------------------------------------------------------------------------------------

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin an episode; `options={"object_index": i}` chooses the object."""
        super().reset(seed=seed)
        self._object_index = self._draw_object(options or {})
        self.piece = self._workpiece(self._object_index)
        self._put_object()
        self._episode_noise = self.touch_noise.sample(self.np_random, self.image_size)
        self._episode_noise.mount(self.piece.camera)
        perturbed = self.start == "perturbed"
        view = self._look(perception.QUICK_INTRINSICS if perturbed else perception.INTRINSICS)
        self._cloud = view.cloud
        self._acceptance_rate = 1.0
        if perturbed:
            self._place_perturbed()
        else:
            self.piece.gripper.place(view.T_base_tcp, view.finger_distance_m)
        mujoco.mj_forward(self.piece.model, self.piece.data)
        self._steps = self._calm = 0
        self._fine = perturbed
        self._refined_error: ContactError | None = None
        self._refined_steps = 0
        self._max_force_n = 0.0
        self._measure()
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
        if self._refined_error is None:
            self._max_force_n = max(self._max_force_n, float(force.max()))
        self._fine = self._fine or bool(np.any(gripper.pad_press_m > TOUCH_PRESS_M))
        self._count_calm(checked)
        terminated = self._ending()
        truncated = not terminated and self._steps >= self.max_episode_steps
        self._observe()
        info = self._info(checked, terminated or truncated, "")
        return self._obs, self._reward(info), terminated, truncated, info

    def render(self) -> NDArray[np.uint8] | None:
        """The scene as seen from the side, uint8 (480, 640, 3); None without a render mode."""
        if self.render_mode is None:
            return None
        if self._renderer is None:
            from .render import SceneRenderer  # GL is loaded by who renders, not by who trains

            self._renderer = SceneRenderer()
        return self._renderer.render(self.piece)

    def close(self) -> None:
        """Free the renderer."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    # --- reset -------------------------------------------------------------------------------------------------------

    def _draw_object(self, options: dict[str, Any]) -> int:
        unknown = set(options) - {"object_index"}
        if unknown:
            raise ValueError(f"Unknown reset option '{min(unknown)}'. Available: object_index.")
        drawn = int(self.np_random.integers(self.num_objects))
        return int(options.get("object_index", drawn))

    def _build_workpiece(self, index: int) -> Workpiece:
        item = make_item(self.task, self.split, index, self.object_path)
        return Workpiece.build(
            item,
            item.feature(self.task.feature),
            self.config.finger,
            self.config.gripper,
            self.image_size,
            self.release,
            ARMS.get(self.robot),
        )

    def _put_object(self) -> None:
        """Put the object as a person would: so that the robot reaches the contact."""
        for _ in range(_MAX_PLACES):
            self._T_base_object = self._draw_place()
            self.piece.put(self._T_base_object)
            if self.piece.can_be_grasped():
                return
        raise RuntimeError(
            f"In none of {_MAX_PLACES} places around {self.config.place_centre_m} m does robot '{self.robot}' reach "
            f"'{self.piece.feature.name}'."
        )

    def _look(self, intrinsics: CameraIntrinsics) -> perception.View:
        """Look at the object; where the robot cannot do so, put it elsewhere."""
        for _ in range(_MAX_PLACES):
            try:
                return perception.look(
                    self.piece,
                    self.np_random,
                    noisy=self.noise == "nominal",
                    calibration=self.calibration,
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

    def _place_perturbed(self) -> None:
        piece, clearance = self.piece, self.config.perturbation.clearance_m
        T_base_object = piece.T_base_object

        def is_fair(T_object_tcp: Array, distance_m: float) -> bool:
            T_base_tcp = T_base_object @ T_object_tcp
            return piece.is_clear(T_base_tcp, distance_m, clearance) and piece.skin_comes_first(
                T_base_tcp, distance_m
            )

        start = draw_perturbed_start(
            piece.item,
            piece.feature,
            self.config.perturbation,
            self.np_random,
            piece.sweep,
            is_fair,
        )
        self._acceptance_rate = start.acceptance_rate
        piece.gripper.place(T_base_object @ start.T_object_tcp, start.finger_distance_m)

    # --- step --------------------------------------------------------------------------------------------------------

    def _count_calm(self, action: Array) -> None:
        slow = np.linalg.norm(action[:3]) < CALM_LINEAR_SPEED
        slow = slow and np.linalg.norm(action[3:6]) < CALM_ANGULAR_SPEED
        self._calm = self._calm + 1 if slow and self.piece.gripper.both_touch else 0

    def _ending(self) -> bool:
        """Whether the ending rule fires; a first firing with `release` lets the object go instead."""
        if self._calm < CALM_STEPS:
            return False
        if not self.release:
            return True
        if self._refined_error is None:
            self._refined_error = self._error
            self._refined_right = self._is_right()
            self._lift_from_m = self._T_base_object[2, 3]
            self.piece.release()
            self._calm = 0
            return False
        return self._lifted()

    def _lifted(self) -> bool:
        return bool(self._T_base_object[2, 3] - self._lift_from_m >= LIFT_HEIGHT_M)

    def _measure(self) -> None:
        """Read the truth, once per step."""
        piece, gripper = self.piece, self.piece.gripper
        if piece.free:
            self._T_base_object = piece.T_base_object
        self._T_base_tcp = gripper.T_base_tcp
        self._T_object_tcp = se3.inverse(self._T_base_object) @ self._T_base_tcp
        self._error = piece.feature.nearest(self._T_object_tcp)
        self._finger_distance_m = gripper.finger_distance_m
        self._press_m, self._shear_m = gripper.pad_press_m, gripper.pad_shear_m
        self._target_twist = target_twist(self._T_object_tcp, self._error)

    def _is_right(self) -> bool:
        error, (low, high) = self._error, PRESS_RANGE_M
        return bool(
            error.pos_error_m <= POSITION_TOLERANCE_M
            and error.angle_rad <= ANGLE_TOLERANCE_RAD
            and low <= self._press_m.min()
            and self._press_m.max() <= high
        )

    def _observe(self) -> None:
        piece = self.piece
        gray = piece.camera.gray(piece.touch(self._T_object_tcp))
        left, right = self._episode_noise.disturb(gray, self.np_random)
        state = np.empty(7, dtype=np.float32)
        state[:3] = self._T_base_tcp[:3, 3]
        state[3:6] = rotation_vector(self._T_base_tcp)
        state[6] = self._finger_distance_m
        phase = Phase.FINE if self._fine else Phase.COARSE
        if self._refined_error is not None:
            phase = Phase.REPLAY
        self._obs = {
            "pixels": {
                "tactile_left": _three_channels(left),
                "tactile_right": _three_channels(right),
            },
            "agent_pos": state,
            "point_cloud": self._cloud.copy(),
            "phase": np.array([phase], dtype=np.float32),
        }

    def _info(self, action: Array, last: bool, failure: str) -> dict[str, Any]:
        live, gripper = self._error, self.piece.gripper
        reported = self._refined_error or live
        if self._refined_error is not None:
            right = last and self._refined_right and self._lifted() and gripper.both_touch
        else:
            right = last and not self.release and self._is_right()
        return {
            "is_success": right,
            "pos_error_m": reported.pos_error_m,
            "cos_error": reported.cos_error,
            "along_m": reported.along_m,
            "max_force_n": self._max_force_n,
            "reward_terms": rewards.reward_terms(
                pos_error_m=live.pos_error_m,
                angle_rad=live.angle_rad,
                pad_press_m=self._press_m,
                force_n=gripper.force_n,
                action=action,
                is_success=right,
            ),
            "refined": self._refined_error is not None,
            "failure": failure,
            "limited_by": gripper.limited_by,
            "object_index": self._object_index,
            "acceptance_rate": self._acceptance_rate,
            "privileged": self._privileged(),
        }

    def _privileged(self) -> dict[str, Any]:
        error = self._error
        return {
            "target_twist": self._target_twist.copy(),
            "pad_press_m": self._press_m.copy(),
            "pad_shear_m": self._shear_m.copy(),
            "finger_distance_m": self._finger_distance_m,
            "target_finger_distance_m": self.piece.feature.finger_distance_m,
            "pos_error_m": error.pos_error_m,
            "cos_error": error.cos_error,
            "T_base_tcp": self._T_base_tcp.copy(),
            "T_base_target": self._T_base_object @ error.T_object_target,
            "T_base_object": self._T_base_object.copy(),
            "refined": self._refined_error is not None,
        }

    def _reward(self, info: dict[str, Any]) -> float:
        return rewards.total(info["reward_terms"], self.config.reward)


def _three_channels(gray: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(gray[:, :, None], 3, axis=2)


def _observation_space(size: int) -> gymnasium.spaces.Dict:
    box = gymnasium.spaces.Box
    picture = box(0, 255, (size, size, 3), np.uint8)
    return gymnasium.spaces.Dict(
        {
            "pixels": gymnasium.spaces.Dict({"tactile_left": picture, "tactile_right": picture}),
            "agent_pos": box(-np.inf, np.inf, (7,), np.float32),
            "point_cloud": box(-np.inf, np.inf, (NUM_CLOUD_POINTS, 3), np.float32),
            "phase": box(0, 2, (1,), np.float32),
        }
    )


def _check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    if value not in choices:
        raise ValueError(f"Unknown {name} '{value}'. Available: {', '.join(map(str, choices))}.")
