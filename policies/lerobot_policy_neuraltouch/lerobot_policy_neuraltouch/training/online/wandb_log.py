"""Weights & Biases, through LeRobot's own logger."""

import copy
from types import SimpleNamespace
from typing import Any

import draccus
from lerobot.common.wandb_utils import WandBLogger

from lerobot_policy_neuraltouch.configuration_neuraltouch import NeuralTouchConfig
from lerobot_policy_neuraltouch.training.online.settings import TrainRefinerConfig


def make_logger(config: TrainRefinerConfig, policy: NeuralTouchConfig) -> WandBLogger | None:
    """LeRobot's logger for an online training, writing to the output folder; None unless it is enabled.

    Args:
        config: Of the training; a resumed one goes on with the run that it logged to before, if it did.
        policy: Of the policy that is being trained.
    """
    if not config.wandb.enable:
        return None
    before = (config.output / "wandb" / "latest-run").exists()
    training: Any = SimpleNamespace(
        wandb=copy.deepcopy(config.wandb),  # the logger writes its run's name into it
        output_dir=config.output,
        job_name=config.output.name,
        resume=config.resume and before,
        seed=config.seed,
        policy=policy,
        dataset=None,
        env=None,
        is_reward_model_training=False,
        to_dict=lambda: draccus.encode(config),
    )
    return WandBLogger(training)
