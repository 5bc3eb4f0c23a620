"""Ablations of the refiner: each can be trained, and its checkpoint acts without what was taken away."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from lerobot_neuraltouch import features
from lerobot_policy_neuraltouch.modeling_neuraltouch import NeuralTouchPolicy
from lerobot_policy_neuraltouch.training.online.settings import (
    LearnSettings,
    NetworkSettings,
    PlaySettings,
)
from lerobot_policy_neuraltouch.training.online.trainer import train
from lerobot_policy_neuraltouch.training.student import Student
from tests.plugins.policy_world import (
    LID,
    RIM,
    KinematicWorld,
    small_policy,
    touch_picture,
    write_checkpoint,
)
from tests.plugins.test_train_refiner import SMALL, config


def trained(folder: Path, learn: dict | None = None, **network: Any) -> NeuralTouchPolicy:
    """The checkpoint of a training of seconds with one setting changed."""
    write_checkpoint(folder / "policy")
    settings = config(
        folder,
        env_steps=40,
        play=PlaySettings(task="RefineMugRim", envs_per_task=1, num_objects=1),
        learn=LearnSettings(
            **{"batch_size": 8, "updates_per_step": 0.2, "imitation_only": 0.5} | (learn or {})
        ),
        network=NetworkSettings(**SMALL | {"hidden_size": 16, "touch_features": 8} | network),
    )
    policy = Student(train(settings)).policy
    assert isinstance(policy, NeuralTouchPolicy)
    loud = torch.Generator().manual_seed(0)  # after seconds of training it hardly moves
    torch.nn.init.normal_(policy.refiner.action.weight, std=0.3, generator=loud)
    return policy


def action_of(policy: NeuralTouchPolicy, num_calls: int = 1, **changes: Any) -> torch.Tensor:
    """The last action of so many calls in a row on one observation in which nothing touches, shape (1, 7)."""
    world = KinematicWorld(np.eye(4)[None], np.zeros((1024, 3)))
    policy.reset()
    for _ in range(num_calls - 1):
        policy.select_action(world.observe() | changes)
    return policy.select_action(world.observe() | changes)


def faint() -> torch.Tensor:
    """A picture too faint to count as touch, shape (1, 3, 64, 64)."""
    return 0.03 * torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("fingers", "seen", "unseen"),
    [
        ("left", features.TACTILE_LEFT, features.TACTILE_RIGHT),
        ("right", features.TACTILE_RIGHT, features.TACTILE_LEFT),
    ],
)
def test_a_policy_with_one_finger_sees_nothing_of_the_other(
    tmp_path: Path, fingers: str, seen: str, unseen: str
) -> None:
    policy = trained(tmp_path, fingers=fingers)
    assert policy.config.fingers == fingers
    plain = action_of(policy)
    pressed = touch_picture(torch.tensor([True]))
    for picture in (faint(), pressed):
        assert torch.equal(action_of(policy, **{unseen: picture}), plain)
        assert not torch.equal(action_of(policy, **{seen: picture}), plain)


def test_where_the_seeing_finger_touches_both_count_as_touching() -> None:
    """Else a policy with one finger would never come to rest."""
    policy = small_policy(fingers="left")
    pressed, nothing = (touch_picture(torch.tensor([flag]))[:, :1] for flag in (True, False))
    states = np.zeros((1, 7), np.float32)
    assert policy._feels(states, pressed, nothing)[0].both
    assert not policy._feels(states, nothing, pressed)[0].any


def test_a_policy_without_history_forgets(tmp_path: Path) -> None:
    """The same observation gives the same action, whatever came before; with a history it does not."""
    policy = trained(tmp_path / "without", history_length=1)
    assert torch.equal(action_of(policy, 4), action_of(policy))
    policy = trained(tmp_path / "with")
    assert not torch.equal(action_of(policy, 4), action_of(policy))


def test_a_policy_without_descriptor_does_the_same_for_every_skill(tmp_path: Path) -> None:
    policy = trained(tmp_path / "without", condition_on_descriptor=False)
    assert torch.equal(action_of(policy, task=[LID]), action_of(policy, task=[RIM]))
    policy = trained(tmp_path / "with")
    assert not torch.equal(action_of(policy, task=[LID]), action_of(policy, task=[RIM]))


def test_imitation_alone_leaves_the_critics_alone(tmp_path: Path) -> None:
    """They still are what their slow copies are."""
    trained(tmp_path, learn={"reinforcement": 0.0})
    last = tmp_path / "training" / "checkpoints" / "last"
    state = load_file(last / "training_state" / "learner.safetensors")
    critics = [v for k, v in sorted(state.items()) if "critic_ensemble" in k]
    copies = [v for k, v in sorted(state.items()) if "critic_target" in k]
    assert critics and all(torch.equal(a, b) for a, b in zip(critics, copies, strict=True))
    trained(tmp_path / "with")
    last = tmp_path / "with" / "training" / "checkpoints" / "last"
    state = load_file(last / "training_state" / "learner.safetensors")
    names = [k for k in state if "critic_ensemble" in k]
    pairs = [(state[k], state[k.replace("critic_ensemble", "critic_target")]) for k in names]
    assert not all(torch.equal(a, b) for a, b in pairs)
