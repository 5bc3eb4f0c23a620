"""Each training configuration loads, says nothing that is a default already, and names things that exist."""

import re
from pathlib import Path

import draccus
import pytest
import yaml
from lerobot.configs.train import TrainPipelineConfig

from lerobot_neuraltouch.cli import normalise_flag
from lerobot_policy_neuraltouch import NeuralTouchConfig
from lerobot_policy_neuraltouch.training.online.settings import TrainRefinerConfig

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").glob("train_neuraltouch*.yaml"))
ONLINE = sorted((ROOT / "configs").glob("train_r*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_training_configurations_load(path: Path) -> None:
    config = draccus.parse(TrainPipelineConfig, config_path=path, args=["--policy.device=cpu"])
    assert isinstance(config.policy, NeuralTouchConfig)
    written = yaml.safe_load(path.read_text())
    defaults = draccus.encode(
        draccus.parse(
            TrainPipelineConfig,
            args=["--policy.type=neuraltouch", "--policy.device=cpu", "--dataset.repo_id=none"],
        )
    )
    assert not list(_repeated(written, defaults))


@pytest.mark.parametrize("path", ONLINE, ids=lambda path: path.stem)
def test_configurations_of_online_training_load(path: Path) -> None:
    draccus.parse(TrainRefinerConfig, config_path=path, args=[])
    written = yaml.safe_load(path.read_text())
    assert not list(_repeated(written, draccus.encode(TrainRefinerConfig())))


def test_the_ablation_without_descriptor_differs_in_nothing_else() -> None:
    ours, ablation = (
        yaml.safe_load((ROOT / "configs" / f"{name}.yaml").read_text())
        for name in ("train_refiner", "train_rl_touch")
    )
    assert ablation.pop("network") == {"condition_on_descriptor": False}
    assert ablation.pop("output") == "outputs/train_rl_touch"
    assert ablation == ours


def test_weights_and_biases_is_off_unless_asked_for() -> None:
    assert not TrainRefinerConfig().wandb.enable
    args = ["--wandb.enable=true", "--wandb.mode=offline", "--wandb.project=touch"]
    found = draccus.parse(TrainRefinerConfig, args=args).wandb
    assert (found.enable, found.mode, found.project) == (True, "offline", "touch")


def test_the_ablations_commands_change_what_they_name_and_nothing_else() -> None:
    """The table in docs/training.md, against the recipe; outputs differ, so that no ablation overwrites another."""
    page = (ROOT / "docs" / "training.md").read_text()
    commands = re.findall(r"\| `neuraltouch train-refiner (--config_path=.*?)` \|", page)
    recipe = draccus.encode(
        draccus.parse(
            TrainRefinerConfig, config_path=ROOT / "configs" / "train_refiner.yaml", args=[]
        )
    )
    changes = []
    for command in commands:
        path, *flags = [normalise_flag(flag) for flag in command.split()]
        found = draccus.parse(
            TrainRefinerConfig, config_path=ROOT / path.partition("=")[2], args=flags
        )
        changes.append(set(_changed(draccus.encode(found), recipe)) - {"output"})
        assert found.output != TrainRefinerConfig().output
    with_rl = {"learn.reinforcement", "play.memory", "play.explore"}
    teacher = {
        "learn.imitation",
        "learn.estimate",
        "learn.imitation_only",
        "teacher_steps",
        "teacher_share",
    }
    assert changes == [
        {"network.condition_on_descriptor"},
        {"network.fingers"},
        {"network.history_length"},
        with_rl,
        with_rl | teacher,
        {"learn.symmetry"},
        {"play.astray_share"},
        {"play.beside_share"},
    ]


def _changed(found: dict, recipe: dict, prefix: str = ""):
    """Keys whose values differ."""
    for key, value in found.items():
        if isinstance(value, dict):
            yield from _changed(value, recipe[key], f"{prefix}{key}.")
        elif value != recipe[key]:
            yield prefix + key


def _repeated(written: dict, defaults: dict, prefix: str = ""):
    """Keys whose value is the default."""
    for key, value in written.items():
        if isinstance(value, dict):
            yield from _repeated(value, defaults[key], f"{prefix}{key}.")
        elif value == defaults[key] and key != "type":
            yield prefix + key


def test_settings_can_be_given_on_the_command_line() -> None:
    config = draccus.parse(
        TrainPipelineConfig,
        args=[
            "--policy.type=neuraltouch",
            "--policy.device=cpu",
            "--policy.refiner=none",
            "--policy.coarse.mode=skip",
            "--policy.fine.max_steps=50",
            "--policy.training.lr=1e-4",
            "--dataset.repo_id=none",
        ],
    )
    assert config.policy.refiner == "none"
    assert config.policy.coarse.mode == "skip"
    assert config.policy.fine.max_steps == 50
    assert config.policy.get_optimizer_preset().lr == 1e-4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"refiner": "magic"}, "Unknown refiner 'magic'. Available: learned, none"),
        ({"fingers": "thumb"}, "Unknown fingers 'thumb'. Available: both, left, right"),
        ({"tactile_size": 60}, "multiple of 16"),
        ({"history_length": 0}, "history_length"),
        ({"normalization_mapping": {"STATE": "MEAN_STD"}}, "must be IDENTITY for"),
    ],
)
def test_bad_settings_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NeuralTouchConfig(device="cpu", **settings)
