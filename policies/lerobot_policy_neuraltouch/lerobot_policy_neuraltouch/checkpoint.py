"""Whole checkpoints: put together from parts, written atomically, read back. The same folders LeRobot reads."""

import copy
import shutil
import tempfile
from pathlib import Path

from lerobot_neuraltouch.ndf.checkpoint import field_hash
from lerobot_neuraltouch.ndf.network import DescriptorField
from lerobot_policy_neuraltouch.configuration_neuraltouch import NeuralTouchConfig
from lerobot_policy_neuraltouch.modeling_neuraltouch import NeuralTouchPolicy
from lerobot_policy_neuraltouch.processor_neuraltouch import make_neuraltouch_pre_post_processors
from lerobot_policy_neuraltouch.skills import Skill


def assemble(
    config: NeuralTouchConfig, field: DescriptorField, skills: list[Skill]
) -> NeuralTouchPolicy:
    """A policy with the given field and skills and an untrained refiner; `config` gives the other settings.

    Raises:
        ValueError: If a skill was made with another field.
    """
    config = copy.deepcopy(config)
    config.ndf, config.ndf_hash, config.ndf_path = field.config, field_hash(field), None
    config.skills = [skill.spec for skill in skills]
    if not config.input_features:
        config.set_standard_features()
    policy = NeuralTouchPolicy(config)
    policy.adopt(field, skills)
    return policy.to(config.device).eval()


def add_skill(policy: NeuralTouchPolicy, skill: Skill) -> NeuralTouchPolicy:
    """The same policy with one more skill, or with one replaced in its place: its refiner needs no retraining."""
    skills = {known.spec.task: known for known in policy.skills.all()} | {skill.spec.task: skill}
    extended = assemble(policy.config, policy.field, list(skills.values()))
    extended.refiner.load_state_dict(policy.refiner.state_dict())
    return extended


def save_checkpoint(policy: NeuralTouchPolicy, path: Path) -> None:
    """Write configuration, weights and processors; a reader finds the old folder or the whole new one.

    Args:
        policy: What to save.
        path: Folder; an existing checkpoint there is replaced.

    Raises:
        ValueError: If something else than a checkpoint is at `path`.
    """
    if path.exists() and not (path / "config.json").exists():
        raise ValueError(f"{path} exists and is not a checkpoint; choose another output.")
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        scratch.chmod(0o755)
        fresh, old = scratch / "new", scratch / "old"
        policy.save_pretrained(fresh)
        (fresh / "model.safetensors").chmod(0o644)  # safetensors writes for its owner only
        for pipeline in make_neuraltouch_pre_post_processors(policy.config):
            pipeline.save_pretrained(fresh)
        if path.exists():
            path.rename(old)
        fresh.rename(path)
    finally:
        shutil.rmtree(scratch)
