"""The learning side: batches from memory, updates, the averaged refiner, and all that a resumed training needs."""

import copy
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lerobot.optim.optimizers import load_optimizer_state, save_optimizer_state
from safetensors.torch import load_file, save_file
from torch import Tensor

from lerobot_neuraltouch.rl.estimate import compress
from lerobot_neuraltouch.rl.gaussian import GaussianHead
from lerobot_neuraltouch.rl.privileged import are_touching, way_to_target
from lerobot_neuraltouch.rl.proprioception import proprioception
from lerobot_neuraltouch.rl.replay import Frames, Replay
from lerobot_neuraltouch.rl.symmetry import Symmetry
from lerobot_policy_neuraltouch.modeling_neuraltouch import NeuralTouchPolicy
from lerobot_policy_neuraltouch.training.online.contacts import ContactBank
from lerobot_policy_neuraltouch.training.online.experience import Weights
from lerobot_policy_neuraltouch.training.online.sac import Observation, RefinerSAC
from lerobot_policy_neuraltouch.training.online.settings import LearnSettings

_LISTEN_AFTER = 0.05
"""The actor listens to the critics this share of the training after they began to learn,"""
_LISTEN_FULLY = 0.05
"""and fully so much later."""
_LOOK_AT = 512
"""Steps that `look_at_new` draws."""
_LAST_PART = 0.875
"""From this share of the training on, precision at the target counts for more."""
_LAST_LR = 0.05
"""The actor's last learning rate, relative to the first."""


class Learner:
    """Trains a policy's refiner from a memory.

    Args:
        policy: The policy; its refiner is trained in place.
        memory: Where experience comes from.
        bank: The contacts that it is about.
        settings: How to learn.
        seed: Of the draws.
    """

    def __init__(
        self,
        policy: NeuralTouchPolicy,
        memory: Replay,
        bank: ContactBank,
        settings: LearnSettings,
        seed: int,
    ):
        self.policy, self.memory, self.settings = policy, memory, settings
        self.updates = 0
        device = str(policy.config.device)
        self._deltas = policy.config.history_deltas
        self._bank = bank.to(device)
        head = GaussianHead(policy.config.hidden_size)
        self.algorithm = RefinerSAC(policy.refiner, head, len(policy.skills), settings, device)
        self.averaged = copy.deepcopy(self.algorithm.actor).requires_grad_(False)
        self._rng = np.random.default_rng([seed, 7])
        self._device = device

    def learn(self, progress: float) -> dict[str, float]:
        """One update.

        Args:
            progress: Share of the environment steps that have been played, in [0, 1].

        Returns:
            What to log.
        """
        settings, algorithm = self.settings, self.algorithm
        algorithm.set_actor_lr(settings.lr * _annealed(progress))
        last = progress >= _LAST_PART
        algorithm.near_weight = settings.last_near_weight if last else settings.near_weight
        self.policy.refiner.train()
        critics = settings.reinforcement > 0 and progress >= settings.imitation_only
        if critics:
            begun = settings.imitation_only + _LISTEN_AFTER
            heard = min(max((progress - begun) / _LISTEN_FULLY, 0.0), 1.0)
            algorithm.reinforcement = settings.reinforcement * heard
            stats = algorithm.update(self._batches(successors=True))
        else:
            stats = algorithm.imitate(next(self._batches(successors=False)))
        self._average()
        self.updates += 1
        return {**stats.losses, **stats.extra}

    @torch.no_grad()
    def look_at_new(self, newest: int) -> dict[str, float]:
        """Errors of the averaged refiner on the newest steps, which it has hardly learned from yet, and how large it expects them to be.

        An error far above that of the steps that are learned from, or above what is expected, means learning by heart.

        Args:
            newest: How many frames count as new.

        Returns:
            `new` and `new_expected`: mean absolute error of the estimate's compressed components where both fingers touch, as found and
            as expected.
        """
        drawn = self.memory.sample(_LOOK_AT, self._deltas, self._rng, newest)
        frames = drawn.now
        output = self.averaged.refiner(
            frames.left.to(self._device),
            frames.right.to(self._device),
            proprioception(frames.states, frames.valid).to(self._device),
            self._bank.descriptors[drawn.contact.to(self._device), 0],
        )
        truth = frames.privileged.to(self._device)
        touching = are_touching(truth)
        error = (output.estimate.compressed - compress(way_to_target(truth))).abs()[touching]
        expected = output.estimate.log_error.exp()[touching]
        return {"new": float(error.mean()), "new_expected": float(expected.mean())}

    def weights(self) -> Weights:
        """Averaged weights, for players and checkpoints."""
        return {
            "refiner": self.averaged.refiner.state_dict(),
            "head": self.averaged.head.state_dict(),
        }

    def save(self, folder: Path, counters: dict[str, float]) -> None:
        """Write what a resumed training needs besides the policy and the memory."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {f"actor.{k}": v for k, v in self.algorithm.actor.state_dict().items()}
        tensors |= {f"averaged.{k}": v for k, v in self.averaged.state_dict().items()}
        tensors |= {f"algorithm.{k}": v for k, v in self.algorithm.state_dict().items()}
        save_file({k: v.contiguous() for k, v in tensors.items()}, folder / "learner.safetensors")
        save_optimizer_state(self.algorithm.optimizers, folder)
        (folder / "counters.json").write_text(json.dumps({**counters, "updates": self.updates}))
        self.memory.flush()

    def load(self, folder: Path) -> dict[str, float]:
        """Go on from what `save` wrote; returns the counters."""
        tensors = load_file(folder / "learner.safetensors", device=self._device)

        def part(name: str) -> dict[str, Tensor]:
            return {k.removeprefix(name): v for k, v in tensors.items() if k.startswith(name)}

        self.algorithm.actor.load_state_dict(part("actor."))
        self.averaged.load_state_dict(part("averaged."))
        self.algorithm.load_state_dict(part("algorithm."), self._device)
        self.algorithm.optimizers = load_optimizer_state(self.algorithm.optimizers, folder)  # pyright: ignore[reportAttributeAccessIssue]
        counters = json.loads((folder / "counters.json").read_text())
        self.updates = int(counters["updates"])
        self._rng = np.random.default_rng([self.updates, 11])
        return counters

    def _batches(self, *, successors: bool) -> Iterator[dict[str, Any]]:
        while True:
            drawn = self.memory.sample(self.settings.batch_size, self._deltas, self._rng)
            contact = drawn.contact.to(self._device)
            symmetry = self._symmetry(contact)
            contact = torch.where(symmetry.mirrored, self._bank.mirrored[contact], contact)
            skill, descriptor = self._bank.skill[contact], self._descriptors(contact)
            batch: dict[str, Any] = {
                "state": self._observation(drawn.now, skill, descriptor, symmetry, hide=True),
                "action": symmetry.twist(drawn.action.to(self._device)),
                "label": symmetry.twist(drawn.label.to(self._device)),
                "reward": drawn.reward.to(self._device),
                "done": torch.zeros(len(contact), device=self._device),
            }
            if successors:
                batch["next_state"] = self._observation(
                    drawn.after, skill, descriptor, symmetry, hide=False
                )
            yield batch

    def _symmetry(self, contact: Tensor) -> Symmetry:
        if self.settings.symmetry:
            return Symmetry.draw(self._bank.exchangeable[contact])
        none = torch.zeros(len(contact), dtype=torch.bool, device=self._device)
        return Symmetry(none, none)

    def _observation(
        self,
        frames: Frames,
        skill: Tensor,
        descriptor: Tensor,
        symmetry: Symmetry,
        *,
        hide: bool,
    ) -> Observation:
        valid = frames.valid
        if hide:
            valid = valid & (torch.rand(len(valid), 1) >= self.settings.history_dropout)
        pictures = (frames.left.to(self._device), frames.right.to(self._device))
        left, right = symmetry.pictures(*map(self.settings.augmentation, pictures))
        motion = proprioception(frames.states, valid).to(self._device)
        return {
            "left": left,
            "right": right,
            "motion": symmetry.motion(motion),
            "descriptor": descriptor,
            "privileged": symmetry.privileged(frames.privileged.to(self._device)),
            "skill": skill,
        }

    def _descriptors(self, contact: Tensor) -> Tensor:
        """A random demonstration's descriptors for each sample, with noise, shape (batch, length)."""
        counts = self._bank.counts[contact]
        number = (torch.rand(len(contact), device=self._device) * counts).long()
        chosen = self._bank.descriptors[contact, number]
        return chosen + self.settings.descriptor_noise * chosen.std() * torch.randn_like(chosen)

    @torch.no_grad()
    def _average(self) -> None:
        # Early on, the mean of all updates so far: the untrained weights are to be forgotten.
        kept = min(self.settings.average, self.updates / (self.updates + 10))
        pairs = zip(self.averaged.parameters(), self.algorithm.actor.parameters(), strict=True)
        for mean, value in pairs:
            mean.lerp_(value, 1.0 - kept)


def _annealed(progress: float) -> float:
    """Learning rate relative to the first one."""
    return _LAST_LR + (1 - _LAST_LR) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
