"""One file per field: safetensors with the weights, and the network's sizes as metadata."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from lerobot_neuraltouch.ndf.network import DescriptorField
from lerobot_neuraltouch.ndf.sizes import FieldConfig

FORMAT = "neuraltouch-ndf"
VERSION = "1"
"""Changes whenever the same weights would give other descriptors."""


def pretrained_path() -> Path:
    """The field that comes with the package."""
    return Path(__file__).parent / "pretrained" / "ndf.safetensors"


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Write a file under a temporary name and rename it, so that no reader ever sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    write(temporary)
    temporary.replace(path)


def save_ndf(field: DescriptorField, path: str | Path) -> None:
    """Write weights and sizes to a safetensors file, atomically."""
    metadata = {"format": FORMAT, "version": VERSION, "config": _config_json(field)}
    tensors = {name: value.detach().contiguous() for name, value in field.state_dict().items()}
    write_atomically(Path(path), lambda name: save_file(tensors, name, metadata))


def load_ndf(path: str | Path) -> DescriptorField:
    """Read a field, frozen and in evaluation mode, on the CPU.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is none of ours, of another version, or its weights do not fit its sizes.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"No descriptor field at '{path}'. Train one with `neuraltouch train-ndf`, or use "
            f"the one of the package at '{pretrained_path()}'."
        )
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(f"'{path}' is not a safetensors file: {error}.") from error
    if metadata.get("format") != FORMAT:
        raise ValueError(
            f"'{path}' is not a descriptor field: its format is {metadata.get('format')!r}, "
            f"wanted {FORMAT!r}."
        )
    if metadata.get("version") != VERSION:
        raise ValueError(
            f"'{path}' has version {metadata.get('version')!r} of the field's format; this package reads "
            f"version {VERSION!r}. Train it anew with `neuraltouch train-ndf`."
        )
    field = _build(metadata, path)
    try:
        field.load_state_dict(load_file(path))
    except RuntimeError as error:
        raise ValueError(f"The weights in '{path}' do not fit its sizes: {error}") from error
    return field.eval().requires_grad_(False)


def field_hash(field: DescriptorField) -> str:
    """SHA-256 over sizes and weights: equal hashes give equal descriptors."""
    digest = hashlib.sha256(f"{FORMAT} {VERSION} {_config_json(field)}".encode())
    for name, value in sorted(field.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _config_json(field: DescriptorField) -> str:
    return json.dumps(dataclasses.asdict(field.config), sort_keys=True)


def _build(metadata: dict[str, str], path: Path) -> DescriptorField:
    known = {item.name for item in dataclasses.fields(FieldConfig)}
    sizes = json.loads(metadata.get("config", "{}"))
    if set(sizes) != known:
        raise ValueError(
            f"'{path}' gives sizes {', '.join(sorted(sizes)) or 'none'}; wanted {', '.join(sorted(known))}."
        )
    return DescriptorField(FieldConfig(**sizes))
