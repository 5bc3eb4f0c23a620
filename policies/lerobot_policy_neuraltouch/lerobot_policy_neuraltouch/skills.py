"""Skills: what one demonstration leaves behind, kept as buffers inside the policy.

Entry 0 of the stacked tensors is the user's demonstration: its descriptors are the target Z*. The others are the
conditions: the same contact on other objects of the category, which the refiner sees in training.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lerobot_neuraltouch.ndf.pose_search import Demonstration
from lerobot_neuraltouch.ndf.sizes import FieldConfig
from lerobot_policy_neuraltouch.settings import SkillSpec


@dataclass(frozen=True, kw_only=True)
class SkillTensors:
    """The tensors of a skill; K demonstrations (the user's first), L replay steps."""

    descriptors: Tensor
    """Pose descriptors, shape (K, num_queries, descriptor)."""
    queries: Tensor
    """Query points in the tcp frame [m], shape (num_queries, 3)."""
    latents: Tensor
    """Latents of the objects, shape (K, latent, 3)."""
    centres: Tensor
    """Their centres in the cloud's frame [m], shape (K, 3)."""
    poses: Tensor
    """Demonstrated T_base_tcp, shape (K, 4, 4)."""
    opening: Tensor
    """Finger distance of the approach [m], shape ()."""
    finger_distance: Tensor
    """Finger distance of the demonstrated grasp [m], shape ()."""
    replay_motion: Tensor
    """Displacement of the tcp from the grasp after each replay step, see `lerobot_neuraltouch.replay`, shape (L, 4, 4)."""
    replay_fingers: Tensor
    """Set point of the finger distance less the distance measured at the grasp [m], shape (L,)."""


class Skill(nn.Module):
    """One skill: specification and tensors."""

    descriptors: Tensor
    queries: Tensor
    latents: Tensor
    centres: Tensor
    poses: Tensor
    opening: Tensor
    finger_distance: Tensor
    replay_motion: Tensor
    replay_fingers: Tensor

    def __init__(self, spec: SkillSpec, tensors: SkillTensors):
        super().__init__()
        self.spec = spec
        for name, value in vars(tensors).items():
            self.register_buffer(name, value.detach().to(torch.float32).contiguous().clone())

    @classmethod
    def blank(cls, spec: SkillSpec, field: FieldConfig) -> "Skill":
        """A skill of the right shapes whose tensors are still to be loaded."""
        count = 1 + spec.num_conditions
        return cls(
            spec,
            SkillTensors(
                descriptors=torch.zeros(count, spec.num_queries, field.descriptor),
                queries=torch.zeros(spec.num_queries, 3),
                latents=torch.zeros(count, field.latent, 3),
                centres=torch.zeros(count, 3),
                poses=torch.zeros(count, 4, 4),
                opening=torch.zeros(()),
                finger_distance=torch.zeros(()),
                replay_motion=torch.zeros(spec.replay_length, 4, 4),
                replay_fingers=torch.zeros(spec.replay_length),
            ),
        )

    @property
    def target(self) -> Tensor:
        """Z*, the descriptors of the demonstrated contact, shape (num_queries, descriptor)."""
        return self.descriptors[0]

    def demonstrations(self) -> list[Demonstration]:
        """The demonstrations for the pose search, the user's first, on the CPU."""
        stacks = (self.latents.cpu(), self.centres.cpu(), self.poses.cpu(), self.descriptors.cpu())
        queries = self.queries.cpu()
        opening = float(self.opening)
        return [Demonstration(*entry, queries, opening) for entry in zip(*stacks, strict=True)]


class SkillSet(nn.Module):
    """The skills of a policy, found by task text. Keys of the state dict: `<task_text>.<tensor>`."""

    def __init__(self, skills: Iterable[Skill]):
        super().__init__()
        self._keys: dict[str, str] = {}
        for skill in skills:
            if skill.spec.task in self._keys:
                raise ValueError(f"There is a skill for '{skill.spec.task}' already.")
            self._keys[skill.spec.task] = skill.spec.key
            self.add_module(skill.spec.key, skill)

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def tasks(self) -> list[str]:
        """Task texts that select a skill."""
        return list(self._keys)

    def __getitem__(self, task: str) -> Skill:
        if task not in self._keys:
            known = ", ".join(f"'{text}'" for text in self.tasks) or "none"
            raise ValueError(f"Unknown task '{task}'. Skills of this policy: {known}.")
        skill = self.get_submodule(self._keys[task])
        assert isinstance(skill, Skill)
        return skill

    def all(self) -> list[Skill]:
        """The skills in the order of the configuration."""
        return [self[task] for task in self.tasks]

    def target_descriptors(self, tasks: Sequence[str]) -> Tensor:
        """Z* of each sample, shape (batch, num_queries, descriptor)."""
        return torch.stack([self[task].target for task in tasks])

    def training_descriptors(self, tasks: Sequence[str], noise: float) -> Tensor:
        """A random demonstration's descriptors for each sample, with noise relative to their deviation.

        Returns:
            Shape (batch, num_queries, descriptor).
        """
        drawn = []
        for task in tasks:
            stack = self[task].descriptors
            drawn.append(stack[int(torch.randint(len(stack), ()))])
        chosen = torch.stack(drawn)
        return chosen + noise * chosen.std() * torch.randn_like(chosen)
