"""The checkpoint inside this package: where it is, and what a policy from scratch takes from it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lerobot_neuraltouch.ndf.checkpoint import load_ndf
from lerobot_neuraltouch.ndf.network import DescriptorField
from lerobot_policy_neuraltouch.skills import Skill

if TYPE_CHECKING:
    from lerobot_policy_neuraltouch.configuration_neuraltouch import NeuralTouchConfig

HOW_TO_MAKE_ONE = (
    "Make a first checkpoint with `neuraltouch skill --policy=none --dataset.root=DATASET --task=TEXT "
    "--feature=FEATURE --output=CHECKPOINT` and start from it with --policy.path=CHECKPOINT."
)


@dataclass(frozen=True)
class Parts:
    """The frozen parts of a policy."""

    field: DescriptorField
    skills: list[Skill]


def shipped_path() -> Path:
    """Folder of the shipped checkpoint.

    Raises:
        ValueError: If this installation has none.
    """
    path = Path(__file__).parent / "pretrained"
    if not (path / "model.safetensors").exists():
        raise ValueError(f"This installation ships no trained policy. {HOW_TO_MAKE_ONE}")
    return path


def shipped_parts(config: "NeuralTouchConfig") -> Parts:
    """Field and skills for a policy from scratch; `config.ndf_path` replaces the field.

    Raises:
        ValueError: If this installation ships no checkpoint.
    """
    from lerobot_policy_neuraltouch.modeling_neuraltouch import NeuralTouchPolicy

    policy = NeuralTouchPolicy.from_pretrained(shipped_path())
    field = policy.field if config.ndf_path is None else load_ndf(Path(config.ndf_path))
    return Parts(field, policy.skills.all())
