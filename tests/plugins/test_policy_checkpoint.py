"""Checkpoints: config.json and model.safetensors are the whole policy, and nothing foreign gets in."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from lerobot.configs import PreTrainedConfig
from lerobot.datasets.lerobot_dataset import LeRobotDatasetMetadata
from lerobot.policies.factory import make_policy, make_pre_post_processors
from safetensors.torch import load_file, save_file

from lerobot_neuraltouch import features
from lerobot_neuraltouch.ndf.checkpoint import save_ndf
from lerobot_policy_neuraltouch import shipped
from lerobot_policy_neuraltouch.checkpoint import add_skill, assemble, save_checkpoint
from lerobot_policy_neuraltouch.modeling_neuraltouch import NeuralTouchPolicy
from tests.plugins.policy_world import (
    LID,
    RIM,
    make_made_skill,
    small_config,
    small_field,
    small_policy,
    training_batch,
    write_checkpoint,
)


def test_a_round_trip_changes_nothing(tmp_path: Path) -> None:
    policy = write_checkpoint(tmp_path / "policy")
    loaded = NeuralTouchPolicy.from_pretrained(tmp_path / "policy")
    assert loaded.config.skills == policy.config.skills
    assert policy.state_dict().keys() == loaded.state_dict().keys()
    for name, value in policy.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name]), name
    batch = training_batch()
    assert torch.equal(policy.forward(batch)[0], loaded.forward(batch)[0])


def test_saving_over_a_checkpoint_replaces_it(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "policy", seed=0)
    policy = write_checkpoint(tmp_path / "policy", seed=1)
    loaded = NeuralTouchPolicy.from_pretrained(tmp_path / "policy")
    assert torch.equal(loaded.refiner.first.weight, policy.refiner.first.weight)
    assert [p.name for p in tmp_path.iterdir()] == ["policy"]
    (tmp_path / "notes").mkdir()
    with pytest.raises(ValueError, match="is not a checkpoint"):
        save_checkpoint(policy, tmp_path / "notes")


def test_skills_are_added_without_touching_the_rest() -> None:
    field = small_field()
    one = assemble(small_config(), field, [make_made_skill(field, RIM)])
    two = add_skill(one, make_made_skill(field, LID))
    assert two.skills.tasks == [RIM, LID]
    kept = two.state_dict()
    assert all(torch.equal(value, kept[name]) for name, value in one.state_dict().items())
    replaced = add_skill(two, make_made_skill(field, LID, replay_length=9))
    assert replaced.skills.tasks == [RIM, LID]
    assert len(replaced.skills[LID].replay_fingers) == 9


def _edit_weights(path: Path, drop: str = "", noise: str = "") -> None:
    weights = load_file(path / "model.safetensors")
    weights = {
        name: value for name, value in weights.items() if not (drop and name.startswith(drop))
    }
    for name in weights:
        if noise and name.startswith(noise):
            weights[name] = weights[name] + 1.0
    save_file(weights, path / "model.safetensors")


@pytest.mark.parametrize("part", ["field.", "skills.", "refiner."])
def test_missing_weights_are_an_error(tmp_path: Path, part: str) -> None:
    write_checkpoint(tmp_path / "policy")
    _edit_weights(tmp_path / "policy", drop=part)
    with pytest.raises(ValueError, match=f"does not fit its configuration: missing .*{part}"):
        NeuralTouchPolicy.from_pretrained(tmp_path / "policy")


def test_a_foreign_field_is_an_error(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "policy")
    _edit_weights(tmp_path / "policy", noise="field.")
    with pytest.raises(ValueError, match="is not the one this policy was made with"):
        NeuralTouchPolicy.from_pretrained(tmp_path / "policy")
    with pytest.raises(ValueError, match="skills of another field"):
        assemble(small_config(), small_field(seed=1), [make_made_skill(small_field(seed=0))])


def test_weights_that_were_never_loaded_are_an_error() -> None:
    """A configuration read from a checkpoint does not bring its weights."""
    config = small_policy().config
    with pytest.raises(ValueError, match="Were the weights loaded"):
        NeuralTouchPolicy(config).forward(training_batch())


def test_another_ablation_needs_its_own_weights(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "policy")
    config = PreTrainedConfig.from_pretrained(
        tmp_path / "policy", cli_overrides=["--condition_on_descriptor=false"]
    )
    with pytest.raises(ValueError, match=r"surplus .*refiner.condition"):
        NeuralTouchPolicy.from_pretrained(tmp_path / "policy", config=config)


def test_another_format_version_is_an_error(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "policy")
    file = tmp_path / "policy" / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "format_version": 99}))
    with pytest.raises(ValueError, match="format version 99"):
        NeuralTouchPolicy.from_pretrained(tmp_path / "policy")


def test_from_scratch_takes_field_and_skills_of_the_shipped_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = write_checkpoint(tmp_path / "shipped", seed=3)
    monkeypatch.setattr(shipped, "shipped_path", lambda: tmp_path / "shipped")
    fresh = NeuralTouchPolicy(small_config())
    assert fresh.skills.tasks == known.skills.tasks
    assert torch.equal(fresh.skills[RIM].target, known.skills[RIM].target)
    assert not torch.equal(fresh.refiner.first.weight, known.refiner.first.weight)
    save_ndf(small_field(seed=4), tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="skills of another field"):
        NeuralTouchPolicy(small_config(ndf_path=str(tmp_path / "other.safetensors")))


def test_without_a_shipped_checkpoint_the_error_says_how_to_make_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shipped, "__file__", str(tmp_path / "shipped.py"))
    with pytest.raises(ValueError, match="neuraltouch skill --policy=none"):
        NeuralTouchPolicy(small_config())


def test_lerobots_factories_build_it(tmp_path: Path) -> None:
    """Policy and processors come back from a checkpoint by their type alone, as in lerobot-eval and -train."""
    write_checkpoint(tmp_path / "policy")
    config = PreTrainedConfig.from_pretrained(tmp_path / "policy", cli_overrides=["--device=cpu"])
    config.pretrained_path = tmp_path / "policy"
    meta = LeRobotDatasetMetadata.create(
        "local/made", fps=10, root=tmp_path / "data", use_videos=False, features=dataset_features()
    )
    policy = make_policy(config, ds_meta=meta)
    assert isinstance(policy, NeuralTouchPolicy)
    assert features.PHASE not in config.input_features
    overrides = {
        "device_processor": {"device": "cpu"},
        "rename_observations_processor": {"rename_map": {}},
    }
    normaliser = {
        "features": {**config.input_features, **config.output_features},
        "norm_map": config.normalization_mapping,
        "stats": {features.STATE: {"mean": np.ones(7), "std": np.ones(7)}},
    }
    pre, post = make_pre_post_processors(
        config,
        pretrained_path=str(tmp_path / "policy"),
        preprocessor_overrides={**overrides, "normalizer_processor": normaliser},
        postprocessor_overrides={"device_processor": {"device": "cpu"}},
    )
    depth = torch.arange(12, dtype=torch.int32).to(torch.uint16).reshape(1, 3, 4)
    state = torch.arange(7.0)
    seen = pre({features.STATE: state, features.WRIST_DEPTH: depth, "task": RIM})
    assert torch.equal(seen[features.STATE], state[None])
    assert seen[features.WRIST_DEPTH].dtype == torch.float32
    assert seen[features.WRIST_DEPTH].shape == (1, 1, 3, 4)
    action = torch.rand(2, 7)
    assert torch.equal(post(action), action)


def dataset_features() -> dict:
    """Columns of a collected dataset."""
    image = {"dtype": "image", "shape": (64, 64, 3), "names": ["height", "width", "channels"]}
    return {
        features.STATE: {"dtype": "float32", "shape": (7,), "names": list(features.STATE_NAMES)},
        features.ACTION: {"dtype": "float32", "shape": (7,), "names": list(features.ACTION_NAMES)},
        features.TACTILE_LEFT: image,
        features.TACTILE_RIGHT: image,
        features.POINT_CLOUD: {"dtype": "float32", "shape": (1024, 3), "names": None},
        features.PHASE: {"dtype": "float32", "shape": (1,), "names": None},
    }


def test_the_shipped_checkpoint_carries_the_field_of_its_skills() -> None:
    policy = NeuralTouchPolicy.from_pretrained(shipped.shipped_path())
    policy.check_field()
    assert {spec.feature for spec in policy.config.skills} >= {"mug_rim", "bottle_head"}
