"""A small untrained field and a cloud to look at; both seeded."""

import numpy as np
import pytest
import torch

from lerobot_neuraltouch.ndf.network import DescriptorField
from lerobot_neuraltouch.ndf.sizes import FieldConfig

SMALL = FieldConfig(
    num_points=64,
    edge_hidden=8,
    scalars=16,
    vectors=8,
    hidden=16,
    heads=4,
    blocks=2,
    latent=16,
    decoder_width=32,
    decoder_blocks=2,
    descriptor=16,
)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def field() -> DescriptorField:
    torch.manual_seed(0)
    return DescriptorField(SMALL).eval().requires_grad_(False)


@pytest.fixture
def cloud() -> torch.Tensor:
    """A lumpy, chiral cloud about the size of a mug, (256, 3) [m]."""
    rng = np.random.default_rng(0)
    points = rng.standard_normal((256, 3)) * [0.02, 0.03, 0.05]
    points[:, 0] += 0.03 * np.sin(40.0 * points[:, 1] + 20.0 * points[:, 2])
    return torch.from_numpy(points.astype(np.float32))
