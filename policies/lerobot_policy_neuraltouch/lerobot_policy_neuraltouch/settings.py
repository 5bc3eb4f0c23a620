"""The parts of the policy's configuration. SI units: metres, radians, seconds."""

import re
from dataclasses import dataclass, field

import numpy as np

from lerobot_neuraltouch import features
from lerobot_neuraltouch.ndf.pose_search import PoseSearchConfig
from lerobot_neuraltouch.rl.belief import BeliefConfig

COARSE_MODES = ("auto", "skip", "run")
DOUBTS = ("refuse", "warn")


@dataclass(frozen=True, kw_only=True)
class SkillSpec:
    """What must be known of a skill before its tensors are loaded."""

    task: str
    """The text that selects the skill."""
    feature: str
    """Contact feature it is about, e.g. mug_rim."""
    num_queries: int
    """Query points of a pose descriptor."""
    num_conditions: int
    """Descriptors on other objects, seen by the refiner in training."""
    replay_length: int
    """Steps of the recorded motion after the grasp."""
    ndf_hash: str
    """Fingerprint of the descriptor field the descriptors belong to."""

    @property
    def key(self) -> str:
        """The task text as a name for the state dict."""
        return re.sub(r"\W+", "_", self.task.lower()).strip("_")

    def __post_init__(self) -> None:
        if not self.key:
            raise ValueError(f"A skill needs a task text, got '{self.task}'.")


@dataclass(frozen=True, kw_only=True)
class CoarseSettings:
    """Coarse phase: find the contact in the point cloud and go there."""

    mode: str = "auto"
    """run: always search; skip: the episode starts at the coarse pose; auto: search unless the tcp is near."""
    near_m: float = 0.100
    """In mode auto, an episode that starts with the tcp this close to a cloud point has been brought there [m]."""
    approach_m: float = 0.060
    """Least length of the last, straight leg along the approach direction, guarded by touch [m]."""
    clear_m: float = 0.020
    """It begins where the hand is so far clear of the cloud, if that is farther back; a camera may err by half of it [m]."""
    approach_speed: float = 0.010
    """Speed on that leg [m/s]."""
    gain: float = 5.0
    """Commanded speed per remaining distance [1/s]."""
    position_tolerance_m: float = 0.001
    """A leg ends this close to its goal [m],"""
    angle_tolerance_rad: float = 0.02
    """and this close in angle [rad]."""
    patience: int = 20
    """A leg also ends after so many control steps without progress."""
    blocked_steps: int = 5
    """On the guarded leg, so many steps without progress mean that something other than a skin was met,"""
    retreat_m: float = 0.003
    """and the gripper goes back by this much, so as not to press on it [m]."""
    max_retries: int = 3
    """Where the fingers close on nothing or are held up (`progress`), the part lies further on: open, go on and close again, at most so
    many times,"""
    retry_advance_m: float = 0.008
    """each time by this much, along the approach direction or where the hand was going [m]."""
    min_confidence: float = 0.2
    """Confidence of the pose search [0, 1] below which the object is doubted to be one of the skill's, or its contact to be in sight."""
    doubt: str = "refuse"
    """What to do then: refuse (an error, before anything moves) | warn (and act all the same)."""
    seed: int = 0
    """Seed of the random starts of the pose search."""
    num_demonstrations: int = 4
    """Demonstrations the pose search compares with, the user's first; each costs about 0.1 s; 0 stands for all."""
    search: PoseSearchConfig = field(default_factory=PoseSearchConfig)
    """Settings of the pose search."""

    def __post_init__(self) -> None:
        if self.mode not in COARSE_MODES:
            raise ValueError(
                f"Unknown coarse.mode '{self.mode}'. Available: {', '.join(COARSE_MODES)}."
            )
        if self.doubt not in DOUBTS:
            raise ValueError(
                f"Unknown coarse.doubt '{self.doubt}'. Available: {', '.join(DOUBTS)}."
            )


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """Sliding along the part when touch does not tell where along it the hand is."""

    max_searches: int = 2
    """In one fine phase; 0 leaves searching out."""
    lost_m: float = 0.0005
    """At rest with an expected error of position above this, the hand is lost [m],"""
    lost_rad: float = float(np.deg2rad(1.5))
    """or with one of the angle about the closing axis above this [rad]: on an arc a turn feels like a shift."""
    found_m: float = 0.0003
    """Below this expected error the search has found something [m]."""
    distance_m: float = 0.012
    """How far to either side [m]."""
    speed: float = 0.008
    """[m/s]"""

    def __post_init__(self) -> None:
        if self.max_searches < 0:
            raise ValueError(f"search.max_searches must not be negative, got {self.max_searches}.")
        if not 0.0 < self.found_m < self.lost_m:
            raise ValueError(
                f"search.found_m must lie between 0 and lost_m ({self.lost_m} m), got {self.found_m}."
            )
        if not self.lost_rad > 0.0:
            raise ValueError(f"search.lost_rad must be positive, got {self.lost_rad}.")
        if not 0.0 < self.distance_m <= 0.02:
            raise ValueError(f"search.distance_m must lie in (0, 0.02] m, got {self.distance_m}.")
        if not 0.0 < self.speed <= features.FINE_LINEAR_SPEED:
            raise ValueError(
                f"search.speed must be positive and at most {features.FINE_LINEAR_SPEED} m/s, got {self.speed}."
            )


@dataclass(frozen=True, kw_only=True)
class FineSettings:
    """Fine phase: limits of the refiner and when it is done."""

    linear_speed: float = features.FINE_LINEAR_SPEED
    """Largest component of the linear velocity [m/s]; the network's output 1."""
    angular_speed: float = features.FINE_ANGULAR_SPEED
    """Largest component of the angular velocity [rad/s]; the network's output 1."""
    finger_step_m: float = 0.003
    """Largest distance of the set point from the measured finger distance [m]; the network's output 1."""
    touch_squeeze_m: float = 0.0015
    """With a finger touching or held, the set point is at most this far below the measured distance [m]: gentle touch."""
    touch_level: float = 0.04
    """Gray level [0, 1] above which a pixel counts as touched: 0.2 mm, five times the nominal noise,"""
    touch_area: float = 0.003
    """and the share of such pixels above which a finger touches."""
    servo_gain: float = 2.0
    """Speed per error of the demonstrations' servo [1/s]; turns expected twist errors into pose errors."""
    expected_position_scale: float = 1.0
    """Expected errors of position are multiplied by this: actual over expected at the end of episodes on validation objects,"""
    expected_angle_scale: float = 1.0
    """and those of orientation by this; both are set by `neuraltouch train-refiner`."""
    memory: bool = True
    """Whether estimates are fused over time (`rl.belief`), and the hand searches where touch does not tell. False follows the
    refiner's latest output alone."""
    belief: BeliefConfig = field(default_factory=BeliefConfig)
    """Noise of that fusion."""
    search: SearchSettings = field(default_factory=SearchSettings)
    """When and how far to search."""
    still_linear: float = 0.001
    """Averaging over noisy images begins once the smoothed network output is below this [m/s],"""
    still_angular: float = 0.026
    """and this [rad/s], with both fingers touching,"""
    max_steps: int = 100
    """or after this many steps with both fingers touching."""
    averaging_steps: int = 5
    """n0 of the gain n0 / (n0 + n) after n changes of sign; about 1 / (servo_gain * control period)."""
    hold_after: int = 60
    """After so many steps of averaging the tcp stands still."""
    converged_linear: float = 0.0005
    """Converged when the commanded speed stays below this [m/s],"""
    converged_angular: float = float(np.deg2rad(0.25))
    """and this [rad/s],"""
    converged_steps: int = 8
    """for so many steps with both fingers touching; more than an environment's five, which thus ends first."""

    def __post_init__(self) -> None:
        if self.linear_speed > features.MAX_LINEAR_SPEED:
            raise ValueError(
                f"fine.linear_speed must not exceed {features.MAX_LINEAR_SPEED} m/s, got {self.linear_speed}."
            )
        if self.angular_speed > features.MAX_ANGULAR_SPEED:
            raise ValueError(
                f"fine.angular_speed must not exceed {features.MAX_ANGULAR_SPEED:.4f} rad/s, got {self.angular_speed}."
            )


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How the refiner learns from demonstrations. LeRobot takes optimizer settings from the policy."""

    lr: float = 1e-3
    """Peak learning rate."""
    weight_decay: float = 1e-4
    """AdamW's weight decay."""
    grad_clip_norm: float = 1.0
    """Largest norm of the gradient."""
    cosine: bool = True
    """Anneal the learning rate to zero over the training."""
    warmup_steps: int = 200
    """Steps over which the learning rate rises."""
    loss_beta: float = 0.3
    """The loss is quadratic below this error, linear above (1 is the fine phase's limit)."""
    augmentation: bool = False
    """Vary tactile images by the nominal touch noise; for data recorded without noise."""
    history_dropout: float = 0.5
    """Share of samples whose past is hidden: keeps the refiner from copying its own motion."""
    descriptor_noise: float = 0.05
    """Noise added to descriptors, relative to their standard deviation."""


@dataclass(frozen=True, kw_only=True)
class WristCamera:
    """Intrinsics and hand-eye calibration of the wrist's depth camera."""

    width: int
    """[pixels]"""
    height: int
    """[pixels]"""
    fx: float
    """[pixels]"""
    fy: float
    """[pixels]"""
    cx: float
    """[pixels]"""
    cy: float
    """[pixels]"""
    tcp_camera: list[float] = field(default_factory=lambda: [0.0] * 6)
    """T_tcp_camera as position [m] and rotation vector [rad]; camera axes x right, y down, z forward."""
    depth_unit_m: float = 0.001
    """Length of one unit of depth [m]."""
    table_height_m: float = 0.0
    """Height of the table in base [m]; points below it are cut off."""

    def __post_init__(self) -> None:
        if len(self.tcp_camera) != 6:
            raise ValueError(
                f"wrist_camera.tcp_camera needs 6 numbers, got {len(self.tcp_camera)}."
            )
