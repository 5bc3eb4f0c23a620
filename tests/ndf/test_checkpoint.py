"""Fields survive their file; anything else is refused with a message that helps."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from lerobot_neuraltouch.ndf.checkpoint import (
    field_hash,
    load_ndf,
    pretrained_path,
    save_ndf,
)
from lerobot_neuraltouch.ndf.network import DescriptorField


def test_a_field_survives_its_file(
    field: DescriptorField, cloud: torch.Tensor, tmp_path: Path
) -> None:
    save_ndf(field, tmp_path / "field.safetensors")
    loaded = load_ndf(tmp_path / "field.safetensors")
    assert field_hash(loaded) == field_hash(field)
    assert not loaded.training and not any(p.requires_grad for p in loaded.parameters())
    torch.testing.assert_close(loaded.encode(cloud[None]).z, field.encode(cloud[None]).z)
    assert [p.name for p in tmp_path.iterdir()] == ["field.safetensors"]


def test_other_weights_have_another_hash(field: DescriptorField) -> None:
    before = field_hash(field)
    field.metric[0, 0] += 1.0
    assert field_hash(field) != before


def test_foreign_files_are_refused(field: DescriptorField, tmp_path: Path) -> None:
    text = tmp_path / "text.safetensors"
    text.write_text("no weights")
    with pytest.raises(ValueError, match="not a safetensors file"):
        load_ndf(text)
    foreign = tmp_path / "foreign.safetensors"
    save_file({"a": torch.zeros(1)}, foreign)
    with pytest.raises(ValueError, match="not a descriptor field"):
        load_ndf(foreign)
    other = tmp_path / "other.safetensors"
    save_file(field.state_dict(), other, {"format": "neuraltouch-ndf", "version": "0"})
    with pytest.raises(ValueError, match="version '0'"):
        load_ndf(other)
    sizes = tmp_path / "sizes.safetensors"
    metadata = {"format": "neuraltouch-ndf", "version": "1", "config": json.dumps({"width": 3})}
    save_file(field.state_dict(), sizes, metadata)
    with pytest.raises(ValueError, match="gives sizes width"):
        load_ndf(sizes)
    with pytest.raises(FileNotFoundError, match="train-ndf"):
        load_ndf(tmp_path / "absent.safetensors")


def test_the_package_brings_a_field() -> None:
    assert pretrained_path().stat().st_size < 10e6
    field = load_ndf(pretrained_path())
    assert field.config.descriptor == field.metric.shape[1]
