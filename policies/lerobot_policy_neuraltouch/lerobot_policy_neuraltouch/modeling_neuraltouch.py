"""The NeuralTouch policy: a frozen descriptor field, skills, a touch refiner, and a phase machine per environment."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lerobot.policies.pretrained import PreTrainedPolicy
from safetensors.torch import load_model
from torch import Tensor, nn

from lerobot_neuraltouch import features, se3
from lerobot_neuraltouch.ndf.checkpoint import field_hash
from lerobot_neuraltouch.ndf.network import DescriptorField
from lerobot_neuraltouch.rl.estimate import compress, estimate_loss
from lerobot_neuraltouch.rl.imitation import TouchAugmentation, imitation_loss
from lerobot_neuraltouch.rl.proprioception import proprioception
from lerobot_neuraltouch.rl.refiner import ActionScale, Refiner, RefinerOutput
from lerobot_policy_neuraltouch import observations as obs
from lerobot_policy_neuraltouch.configuration_neuraltouch import (
    REQUIRED_OBSERVATIONS,
    NeuralTouchConfig,
)
from lerobot_policy_neuraltouch.episode import Diagnostics, Episode
from lerobot_policy_neuraltouch.episodes import Episodes
from lerobot_policy_neuraltouch.fine import FineServo, Refined
from lerobot_policy_neuraltouch.motion import Feel
from lerobot_policy_neuraltouch.shipped import shipped_parts
from lerobot_policy_neuraltouch.skills import Skill, SkillSet

Explorer = Callable[[RefinerOutput, list[int]], Tensor]
"""Squashed actions, shape (batch, 7), in place of the refiner's own, given its output and the environments' numbers."""
Leader = Callable[[int], np.ndarray]
"""How far beside the target an environment's hand shall come to rest [m, rad], shape (6,), given its number."""
Prompter = Callable[[list[int]], Tensor]
"""Descriptors, shape (batch, length), in place of the skills' own, given the environments' numbers."""
_AT_LIMIT = 0.999
"""A squashed action beyond this may stand for a larger one."""


class NeuralTouchPolicy(PreTrainedPolicy):
    """Coarse by descriptor, fine by touch, then the recorded skill.

    State dict: `field.*` (frozen), `skills.<task>.*` (frozen), `refiner.*` (the trained actor; neither holds the other).
    """

    config_class = NeuralTouchConfig  # pyright: ignore[reportAssignmentType]
    name = "neuraltouch"  # pyright: ignore[reportAssignmentType]

    def __init__(self, config: NeuralTouchConfig, **kwargs: Any):
        """Build the policy; LeRobot's factory passes dataset_stats and dataset_meta, which are not needed.

        A configuration without skills means a policy from scratch: field and skills of the shipped checkpoint. One with
        skills means that weights are about to be loaded.

        Raises:
            ValueError: If there is no shipped checkpoint, or the field is not the one the skills were made with.
        """
        super().__init__(config)
        self.config: NeuralTouchConfig = config
        config.check_version()
        config.validate_features()
        parts = None if config.skills else shipped_parts(config)
        if parts is not None:
            config.ndf, config.ndf_hash = parts.field.config, field_hash(parts.field)
            config.skills = [skill.spec for skill in parts.skills]
            config.ndf_path = None
        self.field = DescriptorField(config.ndf).requires_grad_(False).eval()
        self.skills = SkillSet(Skill.blank(spec, config.ndf) for spec in config.skills)
        self.refiner = Refiner(config.refiner_sizes())
        self.scale = ActionScale(
            config.fine.linear_speed, config.fine.angular_speed, config.fine.finger_step_m
        )
        self.augmentation = TouchAugmentation()
        self.explorer: Explorer | None = None
        self.prompter: Prompter | None = None
        self.leader: Leader | None = None
        self._checked = False
        if parts is not None:
            self.adopt(parts.field, parts.skills)
        self.reset()

    # --- weights ---------------------------------------------------------------------------------------------------

    def adopt(self, field: DescriptorField, skills: list[Skill]) -> None:
        """Copy in a descriptor field and the tensors of all configured skills, and check that they fit together."""
        self.field.load_state_dict(field.state_dict())
        for skill in skills:
            self.skills[skill.spec.task].load_state_dict(skill.state_dict())
        self.check_field()

    def check_field(self) -> None:
        """Make sure that the loaded field is the one that the skills were made with.

        Raises:
            ValueError: If no field was loaded or another one.
        """
        found = field_hash(self.field)
        foreign = [spec.task for spec in self.config.skills if spec.ndf_hash != found]
        if found != self.config.ndf_hash or foreign:
            raise ValueError(
                f"The descriptor field {found[:12]} is not the one this policy was made with "
                f"({self.config.ndf_hash[:12] or 'none'}); skills of another field: {foreign or 'none'}. Were the "
                "weights loaded (pretrained_path)? Skills are made for a new field by "
                "`neuraltouch skill --policy=none --ndf=PATH`."
            )
        self._checked = True

    @classmethod
    def _load_as_safetensor(
        cls, model: "NeuralTouchPolicy", model_file: str, map_location: str, strict: bool
    ) -> "NeuralTouchPolicy":
        """Load weights; unlike LeRobot's, missing or surplus ones are an error, not a warning."""
        if model.config.ndf_path is not None:
            raise ValueError(
                "ndf_path is for policies from scratch; this one brings its own field."
            )
        missing, surplus = load_model(model, model_file, strict=False, device=str(map_location))
        if missing or surplus:
            raise ValueError(
                f"{Path(model_file).name} does not fit its configuration: missing {sorted(missing) or 'nothing'}, "
                f"surplus {sorted(surplus) or 'nothing'}. (Another condition_on_descriptor or other sizes need a "
                "training of their own.)"
            )
        model.check_field()
        return model

    def train(self, mode: bool = True) -> "NeuralTouchPolicy":
        """Switch the refiner's mode; the field and the skills stay as they are."""
        super().train(mode)
        self.field.eval()
        return self

    def get_optim_params(self) -> list[nn.Parameter]:
        """The refiner's parameters only."""
        return [p for p in self.refiner.parameters() if p.requires_grad]

    # --- learning --------------------------------------------------------------------------------------------------

    def forward(
        self, batch: dict[str, Any], reduction: str = "mean"
    ) -> tuple[Tensor, dict[str, float] | None]:
        """Behaviour cloning on the fine-phase frames of a batch.

        Args:
            batch: As LeRobot's preprocessor gives it; needs state, both tactile images, action and task.
            reduction: "mean" over the fine-phase frames, or "none": one loss per sample, 0 outside the fine phase.

        Raises:
            ValueError: If something needed is missing, or a task has no skill.
        """
        if not self._checked:
            self.check_field()
        obs.require(batch, (*REQUIRED_OBSERVATIONS, features.ACTION, "task"))
        left, right = self._tactile(batch)
        tasks = obs.tasks_of(batch, len(left))
        fine = obs.fine_mask(batch, *self._seen(left, right), self.config.fine).nonzero()[:, 0]
        losses = torch.zeros(len(left), device=left.device)
        if not len(fine):
            nothing = sum((p.sum() for p in self.get_optim_params()), start=losses.sum()) * 0.0
            return (nothing if reduction == "mean" else losses + nothing), {"fine_share": 0.0}
        states, valid = obs.history_of(batch, self.config.history_length)
        action = batch[features.ACTION].float().reshape(len(left), -1)
        target = self.scale.from_si(action, states[:, -1, 6])[fine]
        output = self._learned_output(
            left[fine], right[fine], states[fine], valid[fine], [tasks[i] for i in fine.tolist()]
        )
        beta = self.config.training.loss_beta
        loss, residual = imitation_loss(output, target, beta)
        way, at_least = self._ways_of(target)
        told, _ = estimate_loss(output.estimate, way, beta, at_least=at_least)
        loss = loss + told * self._both_touch(left[fine], right[fine])
        logs = self._training_logs(residual, len(fine) / len(left))
        if reduction == "none":
            return losses.index_copy(0, fine, loss), logs
        return loss.mean(), logs

    def _learned_output(
        self, left: Tensor, right: Tensor, states: Tensor, valid: Tensor, tasks: list[str]
    ) -> RefinerOutput:
        """The refiner's output on augmented inputs, in training, or plain ones."""
        settings = self.config.training
        if not self.training:
            return self._refine(left, right, states, valid, self.skills.target_descriptors(tasks))
        if settings.augmentation:
            left, right = self.augmentation(left), self.augmentation(right)
        kept = torch.rand(len(valid), 1, device=valid.device) >= settings.history_dropout
        descriptors = self.skills.training_descriptors(tasks, settings.descriptor_noise)
        return self._refine(left, right, states, valid & kept, descriptors)

    def _ways_of(self, target: Tensor) -> tuple[Tensor, Tensor]:
        """What demonstrated actions tell of the way to the target: compressed, and where it may be longer; each of shape (batch, 6)."""
        twist = (target * self.scale.limits(target))[:, :6]
        at_limit = target[:, :6].abs() > _AT_LIMIT
        # Who slows down keeps the direction: where one component is at its limit, the others are shortened with it.
        parts = [part.any(1, keepdim=True).expand(-1, 3) for part in at_limit.split(3, dim=1)]
        return compress(twist / self.config.fine.servo_gain), torch.cat(parts, dim=1)

    def _both_touch(self, left: Tensor, right: Tensor) -> Tensor:
        """Whether both fingers touch, shape (batch,)."""
        seen = self._seen(left, right)
        return torch.stack([obs.touches(image, self.config.fine) for image in seen]).all(0)

    def _training_logs(self, residual: Tensor, fine_share: float) -> dict[str, float]:
        error = (residual * self.scale.limits(residual)).mean(0)
        return {
            "fine_share": fine_share,
            "linear_error_mm_s": 1e3 * float(error[:3].mean()),
            "angular_error_deg_s": float(torch.rad2deg(error[3:6].mean())),
            "finger_error_mm": 1e3 * float(error[6]),
        }

    # --- acting ----------------------------------------------------------------------------------------------------

    def reset(self) -> None:
        """Forget all episodes. Called whenever the environments are reset."""
        self._episodes = Episodes(self.config, self.field, self.skills)

    @property
    def diagnostics(self) -> list[Diagnostics]:
        """What the policy knows about each environment since its last `select_action`."""
        return self._episodes.reports()

    @torch.no_grad()
    def select_action(self, batch: dict[str, Any], **kwargs: Any) -> Tensor:
        """One action per environment, shape (batch, 7): twist [m/s, rad/s] and finger set point [m].

        Each environment has its own phase. An episode begins at the first call after `reset`, and when the cloud or
        the task of an environment changes. A new task whose contact is a neighbour of the one being refined
        (`features.NEIGHBOURS`) takes over its descriptor and goes on by touch, without a search.

        Raises:
            ValueError: If something needed is missing, or a task has no skill.
        """
        if not self._checked:
            self.check_field()
        obs.require(batch, (*REQUIRED_OBSERVATIONS, "task"))
        left, right = self._tactile(batch)
        states = obs.history_of(batch, 1)[0][:, -1].cpu().numpy()
        feels = self._feels(states, left, right)
        episodes = self._episodes.current(batch, feels)
        for episode, state, feel in zip(episodes, states, feels, strict=True):
            episode.advance(state, feel)
        refined = self._refine_episodes(episodes, left, right)
        actions = [
            episode.act(feel, row)
            for episode, feel, row in zip(episodes, feels, refined, strict=True)
        ]
        clipped = np.clip(np.stack(actions), features.ACTION_LOW, features.ACTION_HIGH)
        return torch.as_tensor(clipped, dtype=torch.float32, device=left.device)

    @torch.no_grad()
    def predict_action_chunk(self, batch: dict[str, Any], **kwargs: Any) -> Tensor:
        """The action of `select_action` as a chunk of one step, shape (batch, 1, 7)."""
        return self.select_action(batch)[:, None]

    def _feels(self, states: np.ndarray, left: Tensor, right: Tensor) -> list[Feel]:
        seen = self._seen(left, right)
        flags = torch.stack([obs.touches(image, self.config.fine) for image in seen], 1)
        poses = se3.from_rotvec_pose(states[:, :6])
        return [
            Feel(T, float(state[6]), (bool(touch[0]), bool(touch[1])))
            for T, state, touch in zip(poses, states, flags.tolist(), strict=True)
        ]

    def _refine_episodes(
        self, episodes: list[Episode], left: Tensor, right: Tensor
    ) -> list[Refined | None]:
        """What the refiner says of each environment in the fine phase; None for the others."""
        rows = [
            i
            for i, episode in enumerate(episodes)
            if episode.phase == features.Phase.FINE and isinstance(episode.fine, FineServo)
        ]
        refined: list[Refined | None] = [None] * len(episodes)
        if not rows:
            return refined
        if self.leader is not None:
            for i in rows:
                episodes[i].lead(self.leader(i))
        deltas = self.config.history_deltas
        states, valid = zip(*(episodes[i].past(deltas) for i in rows), strict=True)
        own = [episodes[i].skill.target for i in rows]
        output = self._refine(
            left[rows],
            right[rows],
            torch.as_tensor(np.stack(states), device=left.device),
            torch.as_tensor(np.stack(valid), device=left.device),
            torch.stack(own) if self.prompter is None else self.prompter(rows),
        )
        squashed = output.action if self.explorer is None else self.explorer(output, rows)
        actions = (squashed * self.scale.limits(squashed)).double().cpu().numpy()
        ways = output.estimate.way().double().cpu().numpy()
        errors = output.estimate.error().double().cpu().numpy()
        for i, action, way, error in zip(rows, actions, ways, errors, strict=True):
            refined[i] = Refined(action[:6], float(action[6]), way, error)
        return refined

    # --- shared ----------------------------------------------------------------------------------------------------

    def _tactile(self, batch: dict[str, Any]) -> tuple[Tensor, Tensor]:
        size = self.config.tactile_size
        return (
            obs.tactile_of(batch, features.TACTILE_LEFT, size),
            obs.tactile_of(batch, features.TACTILE_RIGHT, size),
        )

    def _seen(self, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        """The images by which each finger's touch is judged: with one seeing finger, its image for both."""
        return {"both": (left, right), "left": (left, left), "right": (right, right)}[
            self.config.fingers
        ]

    def _refine(
        self, left: Tensor, right: Tensor, states: Tensor, valid: Tensor, descriptors: Tensor
    ) -> RefinerOutput:
        motion = proprioception(states, valid)
        return self.refiner(left, right, motion, descriptors)
