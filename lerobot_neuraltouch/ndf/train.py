"""`neuraltouch train-ndf`: train the descriptor field on generated objects seen from one to four noisy views."""

import csv
import dataclasses
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import draccus
import numpy as np
import torch
from tqdm import tqdm

from lerobot_neuraltouch.ndf.calibrate import finish
from lerobot_neuraltouch.ndf.checkpoint import load_ndf, save_ndf, write_atomically
from lerobot_neuraltouch.ndf.data import DataConfig, ShapeSet, load_shapes
from lerobot_neuraltouch.ndf.losses import Losses, field_losses
from lerobot_neuraltouch.ndf.network import COORDINATES, DescriptorField, FieldConfig


@dataclass(frozen=True, kw_only=True)
class TrainNdfConfig:
    """Settings of the training."""

    output: Path = Path("outputs/train_ndf")
    """Folder of the result `ndf.safetensors`, of `last.pt` to resume from and of `curve.csv`."""
    data: DataConfig = field(default_factory=DataConfig)
    network: FieldConfig = field(default_factory=FieldConfig)
    steps: int = 16000
    """Optimiser steps; the learning rate's cosine ends with the last one."""
    minutes: float = 0.0
    """If positive, the schedule also ends after this much training time [min]."""
    batch_size: int = 16
    """Objects per step."""
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
    calibration_poses: int = 60
    """Validation objects per category for the confidence of found poses; 0 leaves it out."""
    seed: int = 0
    threads: int = 2
    """CPU threads."""
    device: str = "cpu"
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


class Trainer:
    """Network, optimiser and progress of one training; all of it goes into a checkpoint."""

    def __init__(self, config: TrainNdfConfig) -> None:
        self.config = config
        torch.manual_seed(config.seed)
        self.field = DescriptorField(config.network).to(config.device)
        self.averaged = DescriptorField(config.network).to(config.device).requires_grad_(False)
        self.averaged.load_state_dict(self.field.state_dict())
        self.optimizer = torch.optim.AdamW(
            self.field.parameters(), config.learning_rate, (0.9, 0.98), weight_decay=config.weight_decay
        )  # fmt: skip
        self.step, self.seconds, self.best = 0, 0.0, float("inf")
        self.losses = torch.compile(field_losses) if config.compile else field_losses

    @property
    def progress(self) -> float:
        """Part of the schedule that is done."""
        done = self.step / self.config.steps
        if self.config.minutes > 0.0:
            done = max(done, self.seconds / 60.0 / self.config.minutes)
        return min(done, 1.0)

    def train_step(self, shapes: ShapeSet) -> Losses:
        """One optimiser step; batch number `step` is always the same one."""
        start = time.monotonic()
        config = self.config
        rate = learning_rate(self.progress, config.learning_rate, config.warm_up)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        rng = np.random.default_rng((config.seed, self.step))
        batch = shapes.batch(rng, config.batch_size, config.network.num_points, config.num_queries)
        losses = self.losses(self.field, type(batch)(*(part.to(config.device) for part in batch)))
        losses.total.backward()
        torch.nn.utils.clip_grad_norm_(self.field.parameters(), config.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        decay = min(config.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for mean, value in zip(
                self.averaged.parameters(), self.field.parameters(), strict=True
            ):
                mean.lerp_(value, 1.0 - decay)
        self.step += 1
        self.seconds += time.monotonic() - start
        return losses

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
        state = torch.load(path, map_location=self.config.device, weights_only=True)
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
    """Errors on the same validation examples every time [mm, except the kind and the loss]."""
    device = next(field.parameters()).device
    sums: dict[str, float] = {}
    for index in range(num_batches):
        rng = np.random.default_rng((1, index))
        batch = shapes.batch(
            rng, batch_size, field.config.num_points, 128, max_views=1, stretch=False
        )
        with torch.no_grad():
            losses = field_losses(field, type(batch)(*(part.to(device) for part in batch)))
        found = {"loss": losses.total.item(), "sdf_mm": 100.0 * losses.distance.item()}
        found |= {
            f"{name}_mm": 100.0 * value
            for name, value in zip(COORDINATES, losses.coordinates.tolist(), strict=True)
        }
        top, base, handle = (100.0 * losses.anchors).tolist()
        found |= {"anchor_top_mm": top, "anchor_base_mm": base, "anchor_handle_mm": handle}
        for name, value in found.items():
            sums[name] = sums.get(name, 0.0) + value / num_batches
    return sums


def train(config: TrainNdfConfig) -> Path:
    """Train, and return the path of the best field's file."""
    torch.set_num_threads(config.threads)
    train_shapes = load_shapes(config.data, "train")
    val_shapes = load_shapes(config.data, "val")
    config.output.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(config)
    last, result = config.output / "last.pt", config.output / "ndf.safetensors"
    if config.resume and last.exists():
        trainer.load(last)
    else:
        (config.output / "curve.csv").unlink(missing_ok=True)
    settings = json.dumps(dataclasses.asdict(config), indent=1, default=str)
    (config.output / "config.json").write_text(settings + "\n")
    with tqdm(total=config.steps, initial=trainer.step, desc="train-ndf", mininterval=5) as bar:
        recent: list[float] = []
        while trainer.progress < 1.0:
            recent.append(trainer.train_step(train_shapes).total.item())
            bar.update()
            if trainer.step % config.val_every == 0 or trainer.progress >= 1.0:
                row = _checkpoint(trainer, val_shapes, float(np.mean(recent)), last, result)
                bar.set_postfix({k: f"{row[k]:.2f}" for k in ("loss", "sdf_mm", "depth_mm")})
                recent.clear()
    field = load_ndf(result)
    categories = tuple(config.data.categories.split(","))
    finish(field, train_shapes, categories, num_poses=config.calibration_poses, seed=config.seed)
    save_ndf(field, result)
    return result


def _checkpoint(
    trainer: Trainer, shapes: ShapeSet, train_loss: float, last: Path, result: Path
) -> dict[str, float]:
    row: dict[str, Any] = {"step": trainer.step, "minutes": round(trainer.seconds / 60.0, 2)}
    row |= {
        "train_loss": train_loss,
        **validate(trainer.averaged, shapes, trainer.config.val_batches),
    }
    if row["loss"] < trainer.best:
        trainer.best = row["loss"]
        save_ndf(trainer.averaged, result)
    trainer.save(last)
    curve = last.with_name("curve.csv")
    new = not curve.exists()
    with curve.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        if new:
            writer.writeheader()
        writer.writerow({k: round(v, 5) if isinstance(v, float) else v for k, v in row.items()})
    return row


@draccus.wrap()
def main(config: TrainNdfConfig) -> None:
    """Train a descriptor field on generated mugs and bottles."""
    path = train(config)
    tqdm.write(f"Trained field: {path}")
