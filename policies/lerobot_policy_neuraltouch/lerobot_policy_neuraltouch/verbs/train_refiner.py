"""`neuraltouch train-refiner`: train the touch policy online."""

import draccus

from lerobot_policy_neuraltouch.training.online.settings import TrainRefinerConfig
from lerobot_policy_neuraltouch.training.online.trainer import train


def main() -> None:
    """Train the touch refiner online: imitate a teacher, then reinforcement learning."""
    print(train(draccus.parse(TrainRefinerConfig)))
