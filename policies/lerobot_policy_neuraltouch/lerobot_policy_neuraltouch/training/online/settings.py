"""Settings of `neuraltouch train-refiner`. SI units: metres, radians, seconds."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from lerobot.configs.default import WandBConfig

from lerobot_neuraltouch import features
from lerobot_neuraltouch.rl.imitation import TouchAugmentation
from lerobot_neuraltouch.rl.refiner import SEEING_FINGERS

ROLLOUTS = ("inline", "process", "ray")
TURNED = frozenset({"bolt_head"})
"""Contacts at which the turn about the approach direction is not seen from afar."""
ASTRAY = np.array([0.008, 0.002, 0.004, *np.deg2rad([4.0, 10.0, 6.0])])
"""How far beside the target a hand is led astray, at most: twist in the tcp frame [m, rad]."""
SWEEPING_SHARE = 0.4
"""Part of the hands led astray that are kept moving to and fro,"""
SWEEP_M = np.array([0.012, 0.0, 0.006])
"""by so much at most, to either side [m],"""
SWEEP_SPEED = 0.006
"""at this speed [m/s]."""
WANDB_MODES = (None, "online", "offline", "disabled")


def reward_weights() -> dict[str, float]:
    """Weights of the environments' reward terms; an ending is not rewarded: at rest, the pose goes on to cost."""
    return {"position": 1.0, "angle": 1.0, "press": 0.5, "force": 0.5, "effort": 0.02}


@dataclass(frozen=True, kw_only=True)
class PlaySettings:
    """How experience is gathered."""

    task: str = ",".join(features.TASKS)
    """Tasks, comma-separated; the policy needs a skill for each."""
    envs_per_task: int = 2
    """Episodes of each task side by side in one worker, from perturbed starts."""
    perception_envs_per_task: int = 0
    """As many more that begin at a stand-off with the paper's camera error: dear, most of their steps are the way in."""
    switch: str = ""
    """Contacts that are wanted one after another in `envs_per_task` more environments each, comma-separated: with
    mug_rim>mug_wall>mug_rim the policy learns to move from the one to the other."""
    split: str = "train"
    """Objects to take: train | val | test."""
    num_objects: int = 2000
    """Number of different objects per task."""
    episodes_per_object: int = 4
    """Episodes in a row on one object, because making an object takes as long as thirty steps."""
    beside: int = 24
    """Contacts besides each skill's own, a little deeper or tilted, each with its own descriptor (`contacts`); an even number."""
    beside_share: float = 0.3
    """Share of the episodes from perturbed starts that want one of these."""
    astray_share: float = 0.3
    """Share of the episodes in which the hand is led to somewhere beside the target (`ASTRAY`), or to and fro. Otherwise a hand is
    nearly always right, and the refiner learns to say so whatever it feels."""
    turn_rad: float = float(np.deg2rad(18.0))
    """Starts at hexagons are turned by up to so much more about the approach direction: a camera does not tell their flats [rad]."""
    randomisation: str = "nominal"
    """What of the hand is drawn anew per episode: none | nominal | wide."""
    noise: str = "nominal"
    """Noise of the sensors: nominal | off."""
    memory: bool = False
    """Whether players fuse what they felt and search, as the finished policy does (`fine.memory`). Then what is done is not what the
    refiner said last, so this is for imitation alone."""
    explore: float = 0.3
    """Share of episodes whose actions are drawn from the squashed Gaussian; the others follow its mean."""
    reward: dict[str, float] = field(default_factory=reward_weights)
    """Weights of the environments' reward terms."""

    @property
    def task_names(self) -> list[str]:
        """The tasks by name."""
        return [name.strip() for name in self.task.split(",")]

    @property
    def routes(self) -> list[list[features.Task]]:
        """The tasks of the contacts that `switch` names."""
        return [features.route_of(text) for text in self.switch.split(",") if text.strip()]

    @property
    def texts(self) -> list[str]:
        """Texts of all tasks that are played."""
        tasks = [features.get_task(name, features.REFINE_TASKS) for name in self.task_names]
        tasks += [task for route in self.routes for task in route]
        return list(dict.fromkeys(task.text for task in tasks))

    def __post_init__(self) -> None:
        self.texts  # noqa: B018  refuses unknown names
        if self.envs_per_task + self.perception_envs_per_task < 1:
            raise ValueError("envs_per_task and perception_envs_per_task must not both be 0.")
        if self.episodes_per_object < 1 or self.num_objects < 1:
            raise ValueError("episodes_per_object and num_objects must be at least 1.")
        for name in ("explore", "beside_share", "astray_share"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} is a probability, got {getattr(self, name)}.")
        if self.beside < 0 or self.beside % 2:
            raise ValueError(f"beside must be an even number of at least 0, got {self.beside}.")


def flaws_of_a_frame() -> TouchAugmentation:
    """A sensor's flaws stay the same for an episode, by which its steps could be told from all others and learned by heart: so each
    remembered step gets a few of its own, too small to move what is seen."""
    return TouchAugmentation(gain=0.03, shift_px=0.0, yaw_rad=0.0, noise=0.0, dead_pixels=0.01)


@dataclass(frozen=True)
class Stage:
    """How far a training has come, as far as playing depends on it."""

    teacher_share: float = 1.0
    """Probability that at a given step the teacher acts in the policy's place."""
    start_share: float = 1.0
    """How far off perturbed starts are, relative to the environments' own, in (0, 1]."""


@dataclass(frozen=True, kw_only=True)
class LearnSettings:
    """How the refiner learns from experience."""

    batch_size: int = 128
    """Steps per update."""
    updates_per_step: float = 0.05
    """Updates per environment step."""
    lr: float = 1e-3
    """Learning rate of the actor, annealed to a twentieth along a cosine."""
    critic_lr: float = 3e-4
    """Learning rate of the critics and of the temperature."""
    imitation: float = 1.0
    """Weight of the teacher's actions; 0 is reinforcement learning from scratch."""
    estimate: float = 1.0
    """Weight of the true way to the target, which the refiner estimates (`rl.estimate`)."""
    near_weight: float = 0.1
    """Weight of a way of no length among the ways, to which its length is added (`estimate_loss`): small, so that an estimate is what
    touch tells rather than what is usual;"""
    last_near_weight: float = 0.3
    """and that in the last eighth of the training, as the learning rate runs out: for precision at the target."""
    imitation_beta: float = 0.2
    """Both losses are quadratic below this error, linear above (1 is the fine phase's limit, and 5 mm or 2.5 deg)."""
    reinforcement: float = 0.3
    """Weight of the critics' judgement in the actor's loss, in units of their mean size; 0 is imitation alone."""
    imitation_only: float = 0.5
    """Share of the environment steps after which the critics begin to learn; they are listened to a twentieth later."""
    discount: float = 0.95
    """Per control step."""
    target_entropy: float = -18.0
    """Of the squashed action; seven components with a standard deviation of about 0.02."""
    num_critics: int = 2
    """Critics; the lowest counts."""
    critic_hidden: int = 256
    """Width of their two hidden layers."""
    average: float = 0.995
    """The players' and the saved refiner are means over about 1 / (1 - average) updates."""
    history_dropout: float = 0.2
    """Share of samples whose past is hidden from the actor."""
    descriptor_noise: float = 0.05
    """Noise added to descriptors, relative to their standard deviation."""
    symmetry: bool = True
    """Whether steps are also learned mirrored and with the fingers changed over (`rl.symmetry`)."""
    augmentation: TouchAugmentation = field(default_factory=flaws_of_a_frame)
    """Changes of each remembered touch image, besides the noise that it was seen with."""


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """Sizes of a refiner that is made anew; see `NeuralTouchConfig`."""

    condition_on_descriptor: bool = True
    """False trains the ablation without the descriptor (NDF + RL-Touch)."""
    fingers: str = "both"
    """Fingers whose images it sees: both | left | right; one of them is the ablation with one finger."""
    history_length: int = 4
    """States in the proprioception; 1 is the ablation without memory."""
    history_stride: int = 2
    """Control steps between them."""
    pooling: int = 2
    """The convolutions see means of so many by so many pixels."""
    channels: list[int] = field(default_factory=lambda: [16, 32, 64])
    """Channels after each stride-2 convolution."""
    touch_features: int = 128
    """Features per finger."""
    hidden_size: int = 256
    """Width of the trunk."""

    def __post_init__(self) -> None:
        if self.fingers not in SEEING_FINGERS:
            raise ValueError(
                f"Unknown fingers '{self.fingers}'. Available: {', '.join(SEEING_FINGERS)}."
            )
        for name in ("history_length", "history_stride", "pooling"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}.")


@dataclass(frozen=True, kw_only=True)
class TrainRefinerConfig:
    """Train the refiner online: a privileged teacher is imitated first, then reinforcement learning goes on from there.

    Every simulated control step counts as an environment step, the teacher's and the way in included.
    """

    policy: str = ""
    """Checkpoint that gives field, skills and settings; default: the shipped one."""
    keep_refiner: bool = False
    """Go on with that checkpoint's refiner instead of a new one."""
    output: Path = Path("outputs/train_refiner")
    """Folder: checkpoints/{last,best}/pretrained_model, learning_curve.csv, log.csv, train_refiner.json."""
    resume: bool = False
    """Go on where the training in `output` was interrupted."""
    env_steps: int = 1_000_000
    """Environment steps in all."""
    teacher_steps: int = 40_000
    """Over so many environment steps the teacher's share of the actions falls from all to `teacher_share`."""
    teacher_share: float = 0.05
    """Share of actions that remain the teacher's (DAgger's beta)."""
    start_share: float = 1.0
    """Curriculum: at first, perturbed starts are off by this share of the environments' own offsets and angles; 1 is no curriculum."""
    start_share_steps: int = 100_000
    """Environment steps over which that share grows linearly to 1."""
    rollout: str = "process"
    """Where episodes are played: inline (in this process) | process | ray (on a cluster; needs the extra `ray`)."""
    num_workers: int = 1
    """Players with rollout=process or ray."""
    chunk: int = 60
    """Control steps of each environment between two deliveries."""
    capacity: int = 250_000
    """Frames in memory, 8.5 kB each; they are kept as files in the output folder."""
    eval_every: int = 50_000
    """Environment steps between evaluations on validation objects."""
    eval_episodes: int = 10
    """Episodes per task of an evaluation."""
    save_every: int = 10_000
    """Environment steps between checkpoints that a training can be resumed from."""
    seed: int = 0
    """Of weights, objects, starts and draws. What workers do depends on timing as well, so that figures repeat within their
    spread only."""
    device: str = "cpu"
    """Where to learn; players always use the processor."""
    threads: int = 1
    """Threads of the learner on the processor."""
    play: PlaySettings = field(default_factory=PlaySettings)
    """How experience is gathered."""
    learn: LearnSettings = field(default_factory=LearnSettings)
    """How the refiner learns from it."""
    network: NetworkSettings = field(default_factory=NetworkSettings)
    """Its sizes."""
    wandb: WandBConfig = field(default_factory=WandBConfig)
    """LeRobot's Weights & Biases settings; `mode`: online | offline | disabled."""

    def __post_init__(self) -> None:
        if self.rollout not in ROLLOUTS:
            raise ValueError(f"Unknown rollout '{self.rollout}'. Available: {', '.join(ROLLOUTS)}.")
        if self.wandb.mode not in WANDB_MODES:
            raise ValueError(
                f"Unknown wandb.mode '{self.wandb.mode}'. Available: {', '.join(filter(None, WANDB_MODES))}."
            )
        if self.play.memory and self.learn.reinforcement > 0.0:
            raise ValueError("play.memory is for imitation alone: set learn.reinforcement=0.")
        if not 0.0 < self.start_share <= 1.0:
            raise ValueError(f"start_share must lie in (0, 1], got {self.start_share}.")
        for name in (
            "env_steps",
            "start_share_steps",
            "num_workers",
            "chunk",
            "eval_every",
            "save_every",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}.")

    def stage(self, env_steps: float) -> Stage:
        """What is played after so many environment steps."""
        grown = min(env_steps / self.start_share_steps, 1.0)
        falling = 1.0 - env_steps / self.teacher_steps if self.teacher_steps else 0.0
        return Stage(
            teacher_share=max(falling, self.teacher_share),
            start_share=self.start_share + (1.0 - self.start_share) * grown,
        )
