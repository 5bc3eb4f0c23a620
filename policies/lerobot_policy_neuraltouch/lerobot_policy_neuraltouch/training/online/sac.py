"""LeRobot's soft actor-critic around the refiner: critics that see the truth, and a teacher whose actions pull as well."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import torch
from lerobot.configs import FeatureType, PolicyFeature
from lerobot.policies.gaussian_actor.configuration_gaussian_actor import CriticNetworkConfig
from lerobot.rl.algorithms.configs import TrainingStats
from lerobot.rl.algorithms.sac.configuration_sac import SACAlgorithmConfig
from lerobot.rl.algorithms.sac.sac_algorithm import SACAlgorithm
from lerobot.utils.constants import ACTION
from torch import Tensor, nn

from lerobot_neuraltouch.rl.estimate import compress, estimate_loss
from lerobot_neuraltouch.rl.gaussian import GaussianHead
from lerobot_neuraltouch.rl.imitation import imitation_loss
from lerobot_neuraltouch.rl.privileged import PRIVILEGED_SIZE, are_touching, way_to_target
from lerobot_neuraltouch.rl.refiner import NUM_ACTIONS, Refiner, RefinerOutput
from lerobot_policy_neuraltouch.training.online.settings import LearnSettings

Observation = dict[str, Tensor]
"""left, right, motion, descriptor: what the refiner takes; privileged, skill: what the critics take."""
_CLIP_NORM = 10.0
"""Largest norm of a gradient."""
_TARGET_RATE = 0.01
"""How fast the target critics follow."""


class Actor(nn.Module):
    """The refiner as LeRobot's algorithm calls an actor."""

    def __init__(self, refiner: Refiner, head: GaussianHead):
        super().__init__()
        self.refiner, self.head = refiner, head

    def output(self, observation: Observation) -> RefinerOutput:
        """What the refiner says."""
        return self.refiner(
            observation["left"],
            observation["right"],
            observation["motion"],
            observation["descriptor"],
        )

    def forward(
        self, observation: Observation, features: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """An action drawn, shape (batch, 7), its log density, shape (batch,), and the mean action."""
        output = self.output(observation)
        action, log_density = self.head(output)
        return action, log_density, output.action


class PrivilegedInput(nn.Module):
    """What critics see: the truth and which skill is wanted. Has no weights."""

    def __init__(self, num_skills: int):
        super().__init__()
        self.num_skills = num_skills
        self.output_dim = PRIVILEGED_SIZE + num_skills

    def forward(self, observation: Observation, cache: Any = None) -> Tensor:
        """Shape (batch, output_dim)."""
        skill = nn.functional.one_hot(observation["skill"], self.num_skills)
        return torch.cat([observation["privileged"], skill.float()], dim=-1)


class RefinerSAC(SACAlgorithm):
    """Soft actor-critic (Haarnoja et al. 2018) whose actor also imitates a teacher.

    Episodes have no end for the critics: at rest, the pose goes on to cost. An ending that stopped the costs would be
    sought, right or wrong.

    Args:
        refiner: The actor's network.
        head: How far it explores.
        num_skills: Number of skills that observations name.
        settings: Weights, rates and sizes.
        device: Where all of it lives.
    """

    def __init__(
        self,
        refiner: Refiner,
        head: GaussianHead,
        num_skills: int,
        settings: LearnSettings,
        device: str,
    ):
        actor = Actor(refiner, head)
        parts: Any = _Parts(actor, PrivilegedInput(num_skills), device)
        super().__init__(parts, _sac_config(settings, parts.config))
        self.actor = actor
        self.settings = settings
        self.reinforcement = 0.0
        """Weight of the critics' judgement at present."""
        self.near_weight = settings.near_weight
        """Weight of a way of no length at present."""
        self._supervised_log: dict[str, float] = {}
        self._log_density: Tensor = torch.zeros(())
        self.make_optimizers_and_scheduler()

    def imitate(self, batch: dict[str, Any]) -> TrainingStats:
        """One step of imitation alone; critics stay as they are."""
        loss = self._supervised(self.actor.output(batch["state"]), batch)
        self.optimizers["actor"].zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.actor.parameters(), _CLIP_NORM)
        self.optimizers["actor"].step()
        return TrainingStats(losses=dict(self._supervised_log))

    def update(self, batch_iterator: Iterator[Any]) -> TrainingStats:
        """One step of the critics, then of the actor."""
        stats = super().update(batch_iterator)
        stats.losses.update(self._supervised_log)
        return stats

    def set_actor_lr(self, lr: float) -> None:
        """Set the learning rate of the actor."""
        for group in self.optimizers["actor"].param_groups:
            group["lr"] = lr

    def _prepare_forward_batch(
        self, batch: dict[str, Any], *, include_complementary_info: bool = True
    ) -> dict[str, Any]:
        prepared = super()._prepare_forward_batch(batch, include_complementary_info=False)
        return {**prepared, "label": batch["label"]}

    def _compute_loss_actor(self, batch: dict[str, Any]) -> Tensor:
        output = self.actor.output(batch["state"])
        action, log_density = self.actor.head(output)
        self._log_density = log_density.detach()
        lowest = self._critic_forward(batch["state"], action).min(dim=0)[0]
        # Judgements in units of their size (as TD3+BC, Fujimoto and Gu 2021): the weight then does not depend on the reward's.
        size = lowest.detach().abs().mean().clamp_min(1e-3)
        judged = (self.temperature * log_density - lowest).mean() / size
        return self._supervised(output, batch) + self.reinforcement * judged

    def _compute_loss_temperature(self, batch: dict[str, Any]) -> Tensor:
        # The density of the actor's loss serves again: computing it anew, as LeRobot does, costs a pass over the pictures.
        return (-self.log_alpha.exp() * (self._log_density + self.target_entropy)).mean()

    def _supervised(self, output: RefinerOutput, batch: dict[str, Any]) -> Tensor:
        """What the teacher and the truth say: loss of actions, and of estimates where both fingers touch."""
        settings, truth = self.settings, batch["state"]["privileged"]
        imitated, missed = imitation_loss(output, batch["label"], settings.imitation_beta)
        label = compress(way_to_target(truth))
        told, off = estimate_loss(
            output.estimate, label, settings.imitation_beta, near_weight=self.near_weight
        )
        touching = are_touching(truth)
        weight = touching / touching.sum().clamp_min(1)
        self._supervised_log = {
            "imitation": float(missed.mean()),
            "estimate": float(weight @ off.mean(-1)),
        }
        return settings.imitation * imitated.mean() + settings.estimate * (weight @ told)


class _Parts:
    """What LeRobot's algorithm looks for in a policy."""

    def __init__(self, actor: Actor, encoder: PrivilegedInput, device: str):
        self.actor, self.encoder_critic = actor, encoder
        self.config = SimpleNamespace(
            output_features={ACTION: PolicyFeature(FeatureType.ACTION, (NUM_ACTIONS,))},
            device=device,
            num_discrete_actions=None,
            vision_encoder_name=None,
            freeze_vision_encoder=False,
        )

    def get_optim_params(self) -> dict[str, list[nn.Parameter]]:
        return {"actor": list(self.actor.parameters())}

    def to(self, device: torch.device) -> None:
        self.actor.to(device)


def _sac_config(settings: LearnSettings, policy_config: Any) -> SACAlgorithmConfig:
    return SACAlgorithmConfig(
        actor_lr=settings.lr,
        critic_lr=settings.critic_lr,
        temperature_lr=settings.critic_lr,
        discount=settings.discount,
        critic_target_update_weight=_TARGET_RATE,
        num_critics=settings.num_critics,
        critic_network_kwargs=CriticNetworkConfig(hidden_dims=[settings.critic_hidden] * 2),
        temperature_init=0.01,
        target_entropy=settings.target_entropy,
        grad_clip_norm=_CLIP_NORM,
        policy_config=policy_config,
    )
