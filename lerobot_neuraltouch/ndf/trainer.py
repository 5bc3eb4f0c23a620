"""The state of a training of the descriptor field and its steps, on one processor or several.

Accelerate places network and batches (1 CPU, 1 GPU, or one process per GPU) and sums the gradients of the processes.
Every process draws its own batches: number `step` of process `rank` is always the same one.
"""

import dataclasses
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from torch import nn

from lerobot_neuraltouch.ndf.checkpoint import write_atomically
from lerobot_neuraltouch.ndf.data import DataConfig, ShapeSet
from lerobot_neuraltouch.ndf.losses import Batch, Losses, field_losses
from lerobot_neuraltouch.ndf.network import DescriptorField
from lerobot_neuraltouch.ndf.sizes import ANCHORS, COORDINATES, FieldConfig

PRECISIONS = ("no", "bf16", "fp16")


@dataclass(frozen=True, kw_only=True)
class TrainNdfConfig:
    """Settings of the training."""

    output: Path = Path("outputs/train_ndf")
    """Folder of the result `ndf.safetensors`, of `last.pt` to resume from, of `curve.csv` and its picture."""
    data: DataConfig = field(default_factory=DataConfig)
    network: FieldConfig = field(default_factory=FieldConfig)
    steps: int = 16000
    """Optimiser steps; the learning rate's cosine ends with the last one."""
    minutes: float = 0.0
    """If positive, the schedule also ends after this much training time [min]."""
    batch_size: int = 16
    """Objects per step and process."""
    num_queries: int = 128
    """Labelled points per object and step."""
    learning_rate: float = 2e-3
    """Highest learning rate of the cosine schedule."""
    warm_up: float = 0.02
    """Part of the schedule in which the learning rate rises."""
    weight_decay: float = 1e-4
    clip_norm: float = 1.0
    """Largest norm of a gradient."""
    average: float = 0.998
    """Decay per step of the averaged weights, which are the ones kept."""
    val_every: int = 500
    """Steps between validations and checkpoints."""
    val_batches: int = 8
    """Batches of 32 views to validate on."""
    calibration_poses: int = 40
    """Validation objects per contact for the confidence of found poses; 0 leaves it out."""
    seed: int = 0
    threads: int = 2
    """CPU threads of each process."""
    processes: int = 0
    """Processes that train together; 0 is one per GPU, or one where there is none."""
    cpu: bool = False
    """Train on the CPU even where there is a GPU."""
    mixed_precision: str = "no"
    """`no`, `bf16` or `fp16`: precision of the matrix products on a GPU."""
    compile: bool = False
    """Compile the losses: slow to start, then about one and a half times as fast on a CPU."""
    resume: bool = True
    """Go on from `last.pt` in the output folder, if there is one."""

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "num_queries", "val_every", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}.")
        if not 0.0 < self.learning_rate < 1.0:
            raise ValueError(f"learning_rate must be in (0, 1), got {self.learning_rate}.")
        if self.processes < 0:
            raise ValueError(f"processes must not be negative, got {self.processes}.")
        if self.mixed_precision not in PRECISIONS:
            raise ValueError(
                f"Unknown mixed_precision '{self.mixed_precision}'. Available: {', '.join(PRECISIONS)}."
            )


class Learner(nn.Module):
    """The field with its losses as one module, which is what processes share gradients of."""

    def __init__(self, field: DescriptorField, compiled: bool) -> None:
        super().__init__()
        self.field = field
        self.losses = torch.compile(field_losses) if compiled else field_losses

    def forward(self, batch: Batch) -> Losses:
        """Errors of the field on a batch."""
        return self.losses(self.field, batch)


class Trainer:
    """Network, optimiser and progress of one training; all of it goes into a checkpoint."""

    def __init__(self, config: TrainNdfConfig) -> None:
        self.config = config
        # Not every parameter reaches a loss in every batch (one without a mug): nobody must wait for its gradient.
        shared = DistributedDataParallelKwargs(find_unused_parameters=True)
        self.accelerator = Accelerator(
            cpu=config.cpu, mixed_precision=config.mixed_precision, kwargs_handlers=[shared]
        )
        torch.manual_seed(config.seed)
        self.field = DescriptorField(config.network).to(self.accelerator.device)
        self.averaged = DescriptorField(config.network).to(self.accelerator.device)
        self.averaged.requires_grad_(False).load_state_dict(self.field.state_dict())
        optimizer = torch.optim.AdamW(
            self.field.parameters(), config.learning_rate, (0.9, 0.98), weight_decay=config.weight_decay
        )  # fmt: skip
        self.learner, self.optimizer = self.accelerator.prepare(
            Learner(self.field, config.compile), optimizer
        )
        self.step, self.seconds, self.best = 0, 0.0, float("inf")

    @property
    def progress(self) -> float:
        """Part of the schedule that is done."""
        done = self.step / self.config.steps
        if self.config.minutes > 0.0:
            done = max(done, self.seconds / 60.0 / self.config.minutes)
        return min(done, 1.0)

    def train_step(self, shapes: ShapeSet) -> float:
        """One optimiser step; returns the loss."""
        start = time.monotonic()
        config = self.config
        rate = learning_rate(self.progress, config.learning_rate, config.warm_up)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        rng = np.random.default_rng((config.seed, self.step, self.accelerator.process_index))
        batch = shapes.batch(rng, config.batch_size, config.network.num_points, config.num_queries)
        losses = self.learner(Batch(*(part.to(self.accelerator.device) for part in batch)))
        self.accelerator.backward(losses.total)
        self.accelerator.clip_grad_norm_(self.field.parameters(), config.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        decay = min(config.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for mean, value in zip(
                self.averaged.parameters(), self.field.parameters(), strict=True
            ):
                mean.lerp_(value, 1.0 - decay)
        self.step += 1
        # One clock for all: every process has to leave the loop after the same step.
        self.seconds = self._agree(self.seconds + time.monotonic() - start)
        return losses.total.item()

    def _agree(self, seconds: float) -> float:
        if self.accelerator.num_processes == 1:
            return seconds
        mine = torch.tensor([seconds], device=self.accelerator.device, dtype=torch.float32)
        return float(self.accelerator.gather(mine).max())  # pyright: ignore[reportAttributeAccessIssue]

    def save(self, path: Path) -> None:
        """Write everything that a resumed training needs."""
        state = {
            "field": self.field.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "progress": [self.step, self.seconds, self.best],
            "network": dataclasses.asdict(self.config.network),
        }
        write_atomically(path, lambda name: torch.save(state, name))

    def load(self, path: Path) -> None:
        """Go on from a checkpoint.

        Raises:
            ValueError: If it was made with a network of other sizes.
        """
        state = torch.load(path, map_location=self.accelerator.device, weights_only=True)
        if state["network"] != dataclasses.asdict(self.config.network):
            raise ValueError(
                f"'{path}' is of a network of other sizes: {state['network']}; wanted "
                f"{dataclasses.asdict(self.config.network)}. Choose another --output or --resume=false."
            )
        self.field.load_state_dict(state["field"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds, self.best = state["progress"]


def learning_rate(progress: float, highest: float, warm_up: float) -> float:
    """Linear rise, then half a cosine down to one percent."""
    if progress < warm_up:
        return highest * (0.02 + 0.98 * progress / warm_up)
    fall = (progress - warm_up) / max(1.0 - warm_up, 1e-9)
    return highest * (0.01 + 0.99 * 0.5 * (1.0 + float(np.cos(np.pi * fall))))


def validate(
    field: DescriptorField, shapes: ShapeSet, num_batches: int = 8, batch_size: int = 32
) -> dict[str, float]:
    """Errors on the same validation examples every time [mm, except the categories and the loss]."""
    device = next(field.parameters()).device
    sums: dict[str, float] = {}
    for index in range(num_batches):
        rng = np.random.default_rng((1, index))
        batch = shapes.batch(
            rng, batch_size, field.config.num_points, 128, max_views=1, stretch=False
        )
        with torch.no_grad():
            losses = field_losses(field, Batch(*(part.to(device) for part in batch)))
        found = {"loss": losses.total.item(), "sdf_mm": 100.0 * losses.distance.item()}
        found |= {
            f"{name}_mm": 100.0 * value
            for name, value in zip(COORDINATES, losses.coordinates.tolist(), strict=True)
        }
        anchors = (100.0 * losses.anchors).tolist()
        found |= {f"anchor_{name}_mm": value for name, value in zip(ANCHORS, anchors, strict=False)}
        for name, value in found.items():
            sums[name] = sums.get(name, 0.0) + value / num_batches
    return sums
