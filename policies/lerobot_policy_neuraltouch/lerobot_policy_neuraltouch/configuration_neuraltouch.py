"""Settings of the NeuralTouch policy. `config.json` and `model.safetensors` together are the whole policy."""

from dataclasses import dataclass, field

from lerobot.configs import FeatureType, NormalizationMode, PolicyFeature, PreTrainedConfig
from lerobot.optim import AdamWConfig, LRSchedulerConfig, OptimizerConfig
from lerobot.optim.schedulers import CosineAnnealingWithWarmupSchedulerConfig

from lerobot_neuraltouch import features
from lerobot_neuraltouch.ndf.sizes import FieldConfig
from lerobot_neuraltouch.rl.refiner import SEEING_FINGERS, RefinerConfig
from lerobot_policy_neuraltouch.settings import (
    CoarseSettings,
    FineSettings,
    SkillSpec,
    TrainingSettings,
    WristCamera,
)

FORMAT_VERSION = 4
"""Raised when checkpoints of earlier versions can no longer be read."""

REFINERS = ("learned", "none")
REQUIRED_OBSERVATIONS = (features.STATE, features.TACTILE_LEFT, features.TACTILE_RIGHT)
NOT_INPUTS = (features.PHASE, features.EXECUTED_ACTION)
"""Dataset columns that no network may see."""


@PreTrainedConfig.register_subclass("neuraltouch")
@dataclass
class NeuralTouchConfig(PreTrainedConfig):
    """NeuralTouch: a frozen descriptor field finds the contact, a touch policy refines it, a skill follows."""

    format_version: int = FORMAT_VERSION
    """Layout of the checkpoint; not yours to set."""
    skills: list[SkillSpec] = field(default_factory=list)
    """What the policy can do; empty means: take the shipped checkpoint's. Made by `neuraltouch skill`."""
    ndf: FieldConfig = field(default_factory=FieldConfig)
    """Sizes of the descriptor field, so that its weights have a place to be loaded to."""
    ndf_hash: str = ""
    """Fingerprint of the descriptor field the policy was made with; not yours to set."""
    ndf_path: str | None = None
    """Weights of another descriptor field for a policy started from scratch (a .safetensors file)."""

    refiner: str = "learned"
    """Who moves in the fine phase: learned | none (vision only: close the fingers and stop)."""
    replay: bool = True
    """After the fine phase, play the skill's recorded motion; false: stand still (to measure the grasp)."""
    condition_on_descriptor: bool = True
    """False removes the descriptor from the refiner (the ablation NDF + RL-Touch; to be trained separately)."""
    fingers: str = "both"
    """Fingers whose images the policy sees: both | left | right. The other one's is taken as blank, and it counts as touching where
    the seeing one does (the ablation with one finger; to be trained separately)."""
    tactile_size: int = features.TACTILE_SIZE
    """Height and width at which the refiner sees tactile images [pixels]; others are resized."""
    channels: list[int] = field(default_factory=lambda: [16, 32, 64, 64])
    """Channels after each stride-2 convolution of the touch encoder."""
    pooling: int = 1
    """Those convolutions see means of so many by so many pixels; 2 makes them several times as fast."""
    touch_features: int = 128
    """Features per finger."""
    hidden_size: int = 256
    """Width of the refiner's trunk."""
    condition_size: int = 64
    """Width of the descriptor's embedding."""
    history_length: int = 1
    """Robot states in the proprioception, the present one included; more than one makes LeRobot's loader 20 times slower."""
    history_stride: int = 2
    """Control steps between those states."""

    coarse: CoarseSettings = field(default_factory=CoarseSettings)
    """The way to the contact, by vision."""
    fine: FineSettings = field(default_factory=FineSettings)
    """The contact, by touch."""
    training: TrainingSettings = field(default_factory=TrainingSettings)
    """How the refiner learns from demonstrations."""
    wrist_camera: WristCamera | None = None
    """Camera behind `observation.images.wrist_depth`, where the robot sends depth instead of a point cloud."""

    normalization_mapping: dict[str, NormalizationMode] = field(
        default_factory=lambda: {
            kind: NormalizationMode.IDENTITY for kind in ("VISUAL", "STATE", "ENV", "ACTION")
        }
    )
    """Everything stays in SI units; the network's output is scaled inside the policy."""
    push_to_hub: bool = False  # pyright: ignore[reportIncompatibleMethodOverride, reportIncompatibleVariableOverride]
    """Upload the trained policy (then `repo_id` is needed)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.refiner not in REFINERS:
            raise ValueError(f"Unknown refiner '{self.refiner}'. Available: {', '.join(REFINERS)}.")
        if self.fingers not in SEEING_FINGERS:
            raise ValueError(
                f"Unknown fingers '{self.fingers}'. Available: {', '.join(SEEING_FINGERS)}."
            )
        if self.history_length < 1 or self.history_stride < 1:
            raise ValueError("history_length and history_stride must be at least 1.")
        unit = self.pooling * 2 ** len(self.channels)
        if self.pooling < 1 or self.tactile_size % unit:
            raise ValueError(
                f"tactile_size must be a multiple of {unit} for {len(self.channels)} convolutions after pooling by "
                f"{self.pooling}, got {self.tactile_size}."
            )
        tasks = [skill.task for skill in self.skills]
        if len({skill.key for skill in self.skills}) != len(tasks):
            raise ValueError(f"Each skill needs a task text of its own, got {tasks}.")
        self.normalization_mapping = {
            kind: NormalizationMode(mode) for kind, mode in self.normalization_mapping.items()
        }
        scaled = {
            kind
            for kind, mode in self.normalization_mapping.items()
            if mode is not NormalizationMode.IDENTITY
        }
        if scaled:
            raise ValueError(
                f"NeuralTouch works in SI units; normalization_mapping must be IDENTITY for {sorted(scaled)}."
            )

    @property
    def observation_delta_indices(self) -> list[int] | None:
        """Control steps of the proprioception, the present one last; None where there is only that one."""
        return self.history_deltas if self.history_length > 1 else None

    @property
    def history_deltas(self) -> list[int]:
        """The same, always as a list."""
        return [
            -self.history_stride * steps_ago for steps_ago in reversed(range(self.history_length))
        ]

    @property
    def action_delta_indices(self) -> None:
        """One action, the present one."""
        return None

    @property
    def reward_delta_indices(self) -> None:
        """No rewards."""
        return None

    def get_optimizer_preset(self) -> OptimizerConfig:
        """AdamW on the refiner."""
        return AdamWConfig(
            lr=self.training.lr,
            weight_decay=self.training.weight_decay,
            grad_clip_norm=self.training.grad_clip_norm,
        )

    def get_scheduler_preset(self) -> LRSchedulerConfig | None:
        """Cosine annealing to zero over the whole training, or a constant rate."""
        if not self.training.cosine:
            return None
        return CosineAnnealingWithWarmupSchedulerConfig(num_warmup_steps=self.training.warmup_steps)

    def set_dataset_feature_metadata(self, dataset_features: dict) -> None:
        """Check a dataset's columns before the policy is built on it (a hook of LeRobot's factory).

        Raises:
            ValueError: If columns that the policy learns from are missing; the message names them.
        """
        required = (*REQUIRED_OBSERVATIONS, features.ACTION)
        missing = [key for key in required if key not in dataset_features]
        if missing:
            raise ValueError(
                f"The dataset lacks {', '.join(missing)}; it has {', '.join(sorted(dataset_features))}."
            )
        self.input_features = {
            key: feature
            for key, feature in (self.input_features or {}).items()
            if key not in NOT_INPUTS
        }
        self.validate_features()

    def refiner_sizes(self) -> RefinerConfig:
        """Sizes of the refiner for these skills.

        Raises:
            ValueError: If the skills' descriptors differ in length.
        """
        queries = {spec.num_queries for spec in self.skills}
        if len(queries) > 1:
            raise ValueError(
                f"All skills must have the same number of query points, got {sorted(queries)}."
            )
        return RefinerConfig(
            image_size=self.tactile_size,
            history_length=self.history_length,
            descriptor_size=max(queries, default=0) * self.ndf.descriptor,
            condition_on_descriptor=self.condition_on_descriptor,
            fingers=self.fingers,
            channels=tuple(self.channels),
            pooling=self.pooling,
            touch_features=self.touch_features,
            hidden_size=self.hidden_size,
            condition_size=self.condition_size,
        )

    def check_version(self) -> None:
        """Refuse the configuration of another layout.

        Raises:
            ValueError: If the checkpoint was written by an incompatible version of this package.
        """
        if self.format_version != FORMAT_VERSION:
            raise ValueError(
                f"This checkpoint has format version {self.format_version}, this package reads {FORMAT_VERSION}: "
                "install the matching lerobot_policy_neuraltouch or make the checkpoint again."
            )

    def validate_features(self) -> None:
        """Check names and shapes of inputs and outputs, where they are known.

        Raises:
            ValueError: If one is missing or has another shape.
        """
        inputs, outputs = self.input_features or {}, self.output_features or {}
        missing = [key for key in REQUIRED_OBSERVATIONS if inputs and key not in inputs]
        if missing:
            raise ValueError(
                f"The policy needs {', '.join(missing)}; inputs are {', '.join(sorted(inputs))}."
            )
        wanted = {
            features.STATE: len(features.STATE_NAMES),
            features.ACTION: len(features.ACTION_NAMES),
        }
        for key, size in wanted.items():
            found = {**inputs, **outputs}.get(key)
            if found is not None and tuple(found.shape) != (size,):
                raise ValueError(f"{key} must have shape ({size},), got {tuple(found.shape)}.")
        for key in REQUIRED_OBSERVATIONS[1:]:
            if inputs and (len(inputs[key].shape) != 3 or inputs[key].shape[0] != 3):
                raise ValueError(f"{key} must be an image of 3 channels, got {inputs[key].shape}.")

    def set_standard_features(self) -> None:
        """Fill in the features of the contract, for a policy that is made without a dataset."""
        image = PolicyFeature(FeatureType.VISUAL, (3, self.tactile_size, self.tactile_size))
        self.input_features = {
            features.STATE: PolicyFeature(FeatureType.STATE, (len(features.STATE_NAMES),)),
            features.TACTILE_LEFT: image,
            features.TACTILE_RIGHT: image,
            features.POINT_CLOUD: PolicyFeature(FeatureType.STATE, (features.NUM_CLOUD_POINTS, 3)),
        }
        self.output_features = {
            features.ACTION: PolicyFeature(FeatureType.ACTION, (len(features.ACTION_NAMES),))
        }
