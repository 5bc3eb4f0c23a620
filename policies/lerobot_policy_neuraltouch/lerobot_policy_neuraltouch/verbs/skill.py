"""`neuraltouch skill`: a new skill from one demonstration, without retraining."""

from dataclasses import dataclass, field
from pathlib import Path

import draccus

from lerobot_neuraltouch.ndf.checkpoint import load_ndf, pretrained_path
from lerobot_neuraltouch.ndf.descriptor import NUM_QUERIES
from lerobot_neuraltouch.ndf.network import DescriptorField
from lerobot_policy_neuraltouch.checkpoint import add_skill, assemble, save_checkpoint
from lerobot_policy_neuraltouch.configuration_neuraltouch import NeuralTouchConfig
from lerobot_policy_neuraltouch.demonstration import RecordedEpisode, read_episode
from lerobot_policy_neuraltouch.modeling_neuraltouch import NeuralTouchPolicy
from lerobot_policy_neuraltouch.shipped import shipped_path
from lerobot_policy_neuraltouch.skill_making import (
    REPLAYS,
    Replay,
    lift_replay,
    make_skill,
    recorded_replay,
)
from lerobot_policy_neuraltouch.skills import Skill
from lerobot_policy_neuraltouch.training.expert import LiftConfig


@dataclass(frozen=True)
class DatasetChoice:
    """Where the demonstration is."""

    root: str = ""
    """Folder of a LeRobotDataset with observation.point_cloud."""


@dataclass(frozen=True)
class SkillCommand:
    """Settings of `neuraltouch skill`."""

    dataset: DatasetChoice = field(default_factory=DatasetChoice)
    """The dataset."""
    episode: int = 0
    """Episode of the demonstration."""
    grasp_frame: int | None = None
    """Frame at which the fingers hold the part as they should; default: the last fine-phase frame."""
    task: str = ""
    """Text that selects the skill; default: the episode's own."""
    feature: str = ""
    """Contact feature, e.g. mug_rim; for a known one, conditions are made on generated objects."""
    policy: str = ""
    """Checkpoint to extend; default: the shipped one; none: a new policy with an untrained refiner."""
    init_refiner: str = ""
    """With --policy=none: checkpoint whose refiner the new policy starts with, to be trained on; same sizes."""
    ndf: str = ""
    """With --policy=none: the descriptor field's weights; default: the shipped field."""
    output: str = ""
    """Folder of the new checkpoint."""
    num_conditions: int = 12
    """Descriptors of the same contact on other objects."""
    replay: str = "demo"
    """Motion after the grasp: demo (the frames after the grasp frame) | lift (tighten the grip, lift 50 mm) | none."""
    seed: int = 0
    """Seed of the conditions."""
    device: str = "cpu"
    """Where to compute."""

    def __post_init__(self) -> None:
        for name in ("feature", "output"):
            if not getattr(self, name):
                raise ValueError(f"--{name} is needed.")
        if not self.dataset.root:
            raise ValueError("--dataset.root is needed.")
        if self.replay not in REPLAYS:
            raise ValueError(f"Unknown replay '{self.replay}'. Available: {', '.join(REPLAYS)}.")


def main() -> None:
    """Make a skill from one demonstration and add it to a policy checkpoint."""
    make(draccus.parse(SkillCommand))


def make(command: SkillCommand) -> None:
    """Run the command."""
    episode = read_episode(Path(command.dataset.root), command.episode)
    frame = episode.grasp_frame(command.grasp_frame)
    base = _base_policy(command)
    descriptor_field = base.field if base is not None else _chosen_field(command)
    known_queries = [spec.num_queries for spec in base.config.skills] if base is not None else []
    skill = make_skill(
        descriptor_field,
        episode,
        grasp_frame=frame,
        task=command.task or episode.task,
        feature=command.feature,
        num_conditions=command.num_conditions,
        num_queries=known_queries[0] if known_queries else NUM_QUERIES,
        after=_replay(command.replay, episode, frame),
        seed=command.seed,
    )
    if base is None:
        policy = _new_policy(command, descriptor_field, skill)
    else:
        policy = add_skill(base, skill)
    save_checkpoint(policy, Path(command.output))
    print(
        f"{command.output}: skills {', '.join(repr(task) for task in policy.skills.tasks)}; the new one has "
        f"{skill.spec.num_conditions} conditions and {skill.spec.replay_length} replay steps from frame {frame}."
    )


def _new_policy(
    command: SkillCommand, descriptor_field: DescriptorField, skill: Skill
) -> NeuralTouchPolicy:
    """A policy with one skill; its refiner is untrained or another policy's."""
    if not command.init_refiner:
        return assemble(NeuralTouchConfig(device=command.device), descriptor_field, [skill])
    source = NeuralTouchPolicy.from_pretrained(command.init_refiner)
    policy = assemble(source.config, descriptor_field, [skill])
    policy.refiner.load_state_dict(source.refiner.state_dict())
    return policy


def _base_policy(command: SkillCommand) -> NeuralTouchPolicy | None:
    """The policy to extend, or None for a new one."""
    if command.policy == "none":
        return None
    for name in ("ndf", "init_refiner"):
        if getattr(command, name):
            raise ValueError(
                f"--{name.replace('_', '-')} goes with --policy=none: a policy keeps its own field and refiner."
            )
    path = Path(command.policy) if command.policy else shipped_path()
    if not (path / "config.json").exists():
        raise ValueError(f"{path} is no policy checkpoint: it has no config.json.")
    return NeuralTouchPolicy.from_pretrained(path)


def _chosen_field(command: SkillCommand) -> DescriptorField:
    return load_ndf(Path(command.ndf) if command.ndf else pretrained_path())


def _replay(kind: str, episode: RecordedEpisode, frame: int) -> Replay:
    if kind == "lift":
        return lift_replay(LiftConfig())
    replay = recorded_replay(episode, frame)
    return replay if kind == "demo" else Replay(replay.motion[:0], replay.finger_changes[:0])
