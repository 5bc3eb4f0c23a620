"""`neuraltouch train-ndf`: train the descriptor field on generated objects seen from one to four noisy views."""

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

import draccus
import numpy as np
import torch
from accelerate import debug_launcher, notebook_launcher
from tqdm import tqdm

from lerobot_neuraltouch.ndf.calibrate import finish
from lerobot_neuraltouch.ndf.checkpoint import load_ndf, save_ndf
from lerobot_neuraltouch.ndf.data import ShapeSet, load_shapes
from lerobot_neuraltouch.ndf.picture import draw_curve
from lerobot_neuraltouch.ndf.trainer import Trainer, TrainNdfConfig, validate


def train(config: TrainNdfConfig) -> Path:
    """Train in this process (or as one of several), and return the path of the best field's file."""
    torch.set_num_threads(config.threads)
    trainer = Trainer(config)
    with trainer.accelerator.main_process_first():  # the first one generates what is missing
        train_shapes = load_shapes(config.data, "train")
        val_shapes = load_shapes(config.data, "val")
    last, result = config.output / "last.pt", config.output / "ndf.safetensors"
    main = trainer.accelerator.is_main_process
    if config.resume and last.exists():
        trainer.load(last)
    elif main:
        _begin(config)
    trainer.accelerator.wait_for_everyone()
    with tqdm(
        total=config.steps, initial=trainer.step, desc="train-ndf", mininterval=5, disable=not main
    ) as bar:
        recent: list[float] = []
        while trainer.progress < 1.0:
            recent.append(trainer.train_step(train_shapes))
            bar.update()
            if trainer.step % config.val_every == 0 or trainer.progress >= 1.0:
                if main:
                    row = _checkpoint(trainer, val_shapes, float(np.mean(recent)), last, result)
                    bar.set_postfix({k: f"{row[k]:.2f}" for k in ("loss", "sdf_mm", "depth_mm")})
                recent.clear()
    if main:
        field = load_ndf(result)
        categories = tuple(config.data.categories.split(","))
        finish(
            field, train_shapes, categories, num_poses=config.calibration_poses, seed=config.seed
        )
        save_ndf(field, result)
    trainer.accelerator.wait_for_everyone()
    return result


def _begin(config: TrainNdfConfig) -> None:
    config.output.mkdir(parents=True, exist_ok=True)
    (config.output / "curve.csv").unlink(missing_ok=True)
    settings = json.dumps(dataclasses.asdict(config), indent=1, default=str)
    (config.output / "config.json").write_text(settings + "\n")


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
    draw_curve(curve, curve.with_suffix(".png"))
    return row


def launch(config: TrainNdfConfig) -> Path:
    """Train in as many processes as the settings ask for."""
    gpus = 0 if config.cpu else torch.cuda.device_count()
    processes = config.processes or max(gpus, 1)
    if gpus and processes > gpus:
        raise ValueError(
            f"processes={processes}, but there are {gpus} GPUs. Lower it, or set --cpu=true."
        )
    if processes == 1:
        return train(config)
    if gpus:
        notebook_launcher(
            train, (config,), num_processes=processes, mixed_precision=config.mixed_precision
        )
    else:
        debug_launcher(train, (config,), num_processes=processes)
    return config.output / "ndf.safetensors"


@draccus.wrap()
def main(config: TrainNdfConfig) -> None:
    """Train a descriptor field on generated mugs, bottles and bolts."""
    path = launch(config)
    tqdm.write(f"Trained field: {path}")
