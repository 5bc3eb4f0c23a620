"""One worker's environments, played by the policy that is being trained and labelled by the teacher."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lerobot_neuraltouch import features
from lerobot_neuraltouch.rl.gaussian import GaussianHead
from lerobot_neuraltouch.rl.privileged import critic_state
from lerobot_neuraltouch.rl.refiner import RefinerOutput
from lerobot_neuraltouch.rl.replay import Segment
from lerobot_neuraltouch.rl.teacher import ServoTeacher
from lerobot_policy_neuraltouch.modeling_neuraltouch import NeuralTouchPolicy
from lerobot_policy_neuraltouch.training.collect import SEED_STRIDE, make_env
from lerobot_policy_neuraltouch.training.online.contacts import ContactBank
from lerobot_policy_neuraltouch.training.online.experience import Ended, Experience, Weights
from lerobot_policy_neuraltouch.training.online.settings import (
    ASTRAY,
    SWEEP_M,
    SWEEP_SPEED,
    SWEEPING_SHARE,
    TURNED,
    PlaySettings,
    Stage,
)
from lerobot_policy_neuraltouch.training.student import Student

logger = logging.getLogger(__name__)

Array = NDArray[np.float64]


@dataclass
class Slot:
    """One environment and the episode in it."""

    env: gym.Env
    task: features.Task
    """What its episodes begin with."""
    number: int
    """Which of the training's environments this is: the source of its seeds."""
    perturbed: bool
    """Whether its episodes begin around the contact."""
    episodes: int = 0
    explores: bool = False
    text: str = ""
    """Text of the task that is wanted at present."""
    contact: int = 0
    """Number of the contact that is wanted at present."""
    prompt: Tensor = field(default_factory=lambda: torch.zeros(0))
    """Its descriptors, shape (length,)."""
    observation: Mapping[str, Any] = field(default_factory=dict)
    info: Mapping[str, Any] = field(default_factory=dict)
    aside: Array = field(default_factory=lambda: np.zeros(6))
    """How far beside the target the hand is led [m, rad], shape (6,),"""
    sweep: Array = field(default_factory=lambda: np.zeros(3))
    """and from there to and fro along this way, shape (3,) [m]."""
    steps: int = 0
    frames: list[dict[str, Any]] = field(default_factory=list)
    """Of the running segment."""


class Player:
    """Plays for as long as it is asked to; episodes go on from one call to the next.

    Args:
        policy: Checkpoint that is being trained; its weights are replaced by `load`.
        settings: What to play.
        seed: Of the training.
        worker: Number of this worker, from 0.
    """

    def __init__(self, policy: str | Path, settings: PlaySettings, *, seed: int, worker: int):
        self._settings, self._seed = settings, seed
        memory = f"--fine.memory={str(settings.memory).lower()}"
        overrides = ["--coarse.doubt=warn", "--replay=false", memory]
        self._student = Student(policy, overrides=overrides)
        assert isinstance(self._student.policy, NeuralTouchPolicy)
        self._policy = self._student.policy
        self._policy.explorer = self._explore
        self._policy.prompter = self._prompt
        self._policy.leader = self._lead
        skills = self._policy.skills.all()
        self._bank = ContactBank(skills, self._policy.field, settings.beside, seed)
        self._head = GaussianHead(self._policy.config.hidden_size)
        self._skills = {task: i for i, task in enumerate(self._policy.skills.tasks)}
        self._teacher = ServoTeacher()
        self._rng = np.random.default_rng([seed, worker])
        torch.manual_seed(seed * SEED_STRIDE + worker)
        self._slots = self._make_slots(worker)
        self._stage = Stage()
        self._squashed: dict[int, Array] = {}
        self._segments: list[Segment] = []
        self._ended: list[Ended] = []

    def load(self, weights: Weights) -> None:
        """Play with these weights from now on."""
        self._policy.refiner.load_state_dict(dict(weights["refiner"]))
        self._head.load_state_dict(dict(weights["head"]))

    def play(self, num_steps: int, stage: Stage) -> Experience:
        """Play so many control steps in each environment.

        Args:
            num_steps: Per environment.
            stage: Of the training.
        """
        self._stage = stage
        self._segments, self._ended = [], []
        for slot in self._slots:
            if not slot.observation:
                self._begin(slot)
        for _ in range(num_steps):
            self._step()
        for slot in self._slots:
            self._close_segment(slot)
        return Experience(self._segments, self._ended, num_steps * len(self._slots))

    def close(self) -> None:
        """Free the simulators."""
        for slot in self._slots:
            slot.env.close()

    def _make_slots(self, worker: int) -> list[Slot]:
        settings = self._settings
        starts = ["perturbed"] * settings.envs_per_task
        starts += ["perception"] * settings.perception_envs_per_task
        tasks = [features.get_task(name, features.REFINE_TASKS) for name in settings.task_names]
        wanted = [(task, {"start": start}) for task in tasks for start in starts]
        for first, *later in settings.routes:
            then = ",".join(task.feature for task in later)
            wanted += [(first, {"start": "perturbed", "then": then})] * settings.envs_per_task
        return [
            Slot(
                self._make_env(task, **options),
                task,
                worker * len(wanted) + i,
                options["start"] == "perturbed",
            )
            for i, (task, options) in enumerate(wanted)
        ]

    def _make_env(self, task: features.Task, *, start: str, **options: str) -> gym.Env:
        settings = self._settings
        return make_env(
            task.name,
            start=start,
            split=settings.split,
            num_objects=settings.num_objects,
            noise=settings.noise,
            calibration="paper" if start == "perception" else "exact",
            randomisation=settings.randomisation,
            **options,
        )

    def _begin(self, slot: Slot) -> None:
        seed = [self._seed, slot.number, slot.episodes]
        rng = np.random.default_rng(
            [*seed[:2], slot.episodes // self._settings.episodes_per_object]
        )
        options: dict[str, Any] = {"object_index": int(rng.integers(self._settings.num_objects))}
        draws = np.random.default_rng(seed)
        episode_seed = int(draws.integers(2**31))
        self._want(slot, slot.task.text)
        if slot.perturbed:
            options["start_share"] = self._stage.start_share
            options |= self._want_beside(slot, draws)
            if slot.task.feature in TURNED:
                options["start_turn"] = self._settings.turn_rad * draws.uniform(-1.0, 1.0)
        self._lead_astray(slot, draws)
        try:
            slot.observation, slot.info = slot.env.reset(seed=episode_seed, options=options)
        except RuntimeError as error:
            harder = options.keys() & {"contact_offset", "start_turn"}
            if not harder:
                raise
            options = {name: value for name, value in options.items() if name not in harder}
            logger.warning("%s The task's own contact and start are taken instead.", error)
            self._want(slot, slot.task.text)
            slot.observation, slot.info = slot.env.reset(seed=episode_seed, options=options)
        slot.explores = bool(self._rng.random() < self._settings.explore)
        slot.episodes += 1
        slot.steps, slot.frames = 0, []

    def _lead_astray(self, slot: Slot, draws: np.random.Generator) -> None:
        """Decide whether and how far the hand shall come to rest beside the target, or not to rest at all."""
        astray = draws.random() < self._settings.astray_share
        sweeps = astray and draws.random() < SWEEPING_SHARE
        slot.aside = astray * ASTRAY * draws.uniform(-1.0, 1.0, 6)
        slot.sweep = sweeps * SWEEP_M * draws.uniform(-1.0, 1.0, 3)

    def _lead(self, number: int) -> Array:
        """Where beside the target a hand shall be now [m, rad], shape (6,): to and fro as a triangle over time."""
        slot = self._slots[number]
        length = float(np.linalg.norm(slot.sweep))
        if length == 0.0:
            return slot.aside
        turns = slot.steps * SWEEP_SPEED / features.CONTROL_HZ / (4.0 * length)
        share = 4.0 * abs(turns - np.floor(turns + 0.5)) - 1.0
        return slot.aside + share * np.append(slot.sweep, np.zeros(3))

    def _want(self, slot: Slot, text: str) -> None:
        """A skill's own contact is the wanted one."""
        slot.text, slot.contact = text, self._skills[text]
        slot.prompt = self._bank.descriptors[slot.contact, 0]

    def _want_beside(self, slot: Slot, draws: np.random.Generator) -> dict[str, Any]:
        """In some episodes want a contact beside the skill's own, shown on any of its objects; returns options of the reset."""
        others = self._bank.beside(slot.contact)
        if not others or draws.random() >= self._settings.beside_share:
            return {}
        slot.contact = int(draws.choice(others))
        shown = int(draws.integers(int(self._bank.counts[slot.contact])))
        slot.prompt = self._bank.descriptors[slot.contact, shown]
        return {"contact_offset": self._bank.contacts[slot.contact].offset}

    def _step(self) -> None:
        slots = self._slots
        self._squashed.clear()
        actions = self._student.act([s.observation for s in slots], [s.text for s in slots])
        reports = self._policy.diagnostics
        for i, (slot, action, report) in enumerate(zip(slots, actions, reports, strict=True)):
            fine = i in self._squashed
            if not fine:
                self._close_segment(slot)
            frame = self._frame(slot, report.servo_gain)
            label = self._teacher.act(slot.info["privileged"])
            frame["label"] = self._squash(slot, label)
            if fine and self._rng.random() < self._stage.teacher_share:
                action, frame["action"] = label, frame["label"]
            elif fine:
                frame["action"] = self._squashed[i]
            self._advance(slot, np.asarray(action, np.float32), frame if fine else None)

    def _advance(
        self, slot: Slot, action: NDArray[np.float32], frame: dict[str, Any] | None
    ) -> None:
        slot.observation, _, terminated, truncated, slot.info = slot.env.step(action)
        slot.steps += 1
        if frame is not None:
            terms, weights = slot.info["reward_terms"], self._settings.reward
            frame["reward"] = sum(weights[name] * terms[name] for name in weights)
            slot.frames.append(frame)
        if (text := slot.env.get_wrapper_attr("task_description")) != slot.text:
            self._change_contact(slot, text)
        if terminated or truncated:
            self._close_segment(slot)
            self._ended.append(
                Ended(
                    slot.task.name,
                    bool(slot.info["is_success"]),
                    float(slot.info["pos_error_m"]),
                    slot.steps,
                    float(slot.info["max_force_n"]),
                )
            )
            self._begin(slot)

    def _close_segment(self, slot: Slot) -> None:
        """Deliver the running segment with the frame after its last step; the simulator's failures are left out."""
        frames, slot.frames = slot.frames, []
        if not frames or slot.info["failure"]:
            return
        self._deliver(slot, frames, self._frame(slot, frames[-1]["servo_gain"]))

    def _change_contact(self, slot: Slot, text: str) -> None:
        """Deliver the running segment without its last step, whose reward is that of another contact."""
        frames, slot.frames = slot.frames, []
        if len(frames) > 1:
            self._deliver(slot, frames[:-1], frames[-1])
        self._want(slot, text)

    def _deliver(self, slot: Slot, frames: list[dict[str, Any]], last: dict[str, Any]) -> None:
        """Hand over the steps of a segment and the frame after them."""
        around = [*frames, last]
        self._segments.append(
            Segment(
                slot.contact,
                np.stack([frame["left"] for frame in around]),
                np.stack([frame["right"] for frame in around]),
                np.stack([frame["state"] for frame in around]),
                np.stack([frame["privileged"] for frame in around]),
                np.stack([frame["action"] for frame in frames]).astype(np.float32),
                np.stack([frame["label"] for frame in frames]).astype(np.float32),
                np.array([frame["reward"] for frame in frames], np.float32),
            )
        )

    def _frame(self, slot: Slot, servo_gain: Array) -> dict[str, Any]:
        pixels = slot.observation["pixels"]
        return {
            "left": pixels["tactile_left"][:, :, 0].copy(),
            "right": pixels["tactile_right"][:, :, 0].copy(),
            "state": np.asarray(slot.observation["agent_pos"], np.float32),
            "privileged": critic_state(slot.info["privileged"], servo_gain),
            "servo_gain": servo_gain,
        }

    def _squash(self, slot: Slot, action: Array) -> Array:
        distance = torch.as_tensor(slot.observation["agent_pos"][6:7], dtype=torch.float64)
        return self._policy.scale.from_si(torch.as_tensor(action)[None], distance)[0].numpy()

    def _prompt(self, rows: list[int]) -> Tensor:
        return torch.stack([self._slots[i].prompt for i in rows])

    def _explore(self, output: RefinerOutput, rows: list[int]) -> Tensor:
        """The policy's own actions, or draws around them in the episodes that explore; remembers them."""
        explores = torch.tensor([self._slots[i].explores for i in rows])
        drawn, _ = self._head(output)
        squashed = torch.where(explores[:, None], drawn, output.action)
        self._squashed.update(zip(rows, squashed.double().numpy(), strict=True))
        return squashed
