"""The field's symmetries: what moves with the object, what does not change, and what must."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from lerobot_neuraltouch.ndf.network import DescriptorField
from lerobot_neuraltouch.ndf.sizes import FieldConfig


def moved(points: torch.Tensor, R: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    return points @ R.T + shift


def random_motion(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    R = Rotation.random(rng=rng).as_matrix()
    return torch.from_numpy(R), torch.from_numpy(rng.uniform(-1.0, 1.0, 3))


def test_latent_turns_and_moves_with_the_cloud(field: DescriptorField, cloud: torch.Tensor) -> None:
    field, cloud = field.double(), cloud.double()
    R, shift = random_motion(1)
    before, after = field.encode(cloud[None]), field.encode(moved(cloud, R, shift)[None])
    torch.testing.assert_close(after.z, before.z @ R.T, rtol=0.0, atol=1e-9)
    torch.testing.assert_close(after.centre, moved(before.centre, R, shift), rtol=0.0, atol=1e-9)


def test_descriptors_and_distance_are_invariant_in_single_precision(
    field: DescriptorField, cloud: torch.Tensor
) -> None:
    R, shift = (part.float() for part in random_motion(2))
    points = cloud[:10] + 0.01
    before = field.encode(cloud[None])
    after = field.encode(moved(cloud, R, shift)[None])
    for read in (field.descriptors, field.sdf):
        here, there = read(before, points[None]), read(after, moved(points, R, shift)[None])
        spread = here.std()
        assert float((here - there).abs().max()) < 1e-3 * float(spread) + 1e-4


def test_mirror_images_differ(field: DescriptorField, cloud: torch.Tensor) -> None:
    """A left-handed object is another object: descriptors change by far more than float error."""
    mirror = torch.tensor([1.0, 1.0, -1.0])
    points = cloud[:10] + 0.01
    here = field.descriptors(field.encode(cloud[None]), points[None])
    there = field.descriptors(field.encode((cloud * mirror)[None]), (points * mirror)[None])
    assert float((here - there).abs().max()) > 0.05 * float(here.std())


def test_latents_of_an_untrained_field_are_not_small(
    field: DescriptorField, cloud: torch.Tensor
) -> None:
    z = field.encode(cloud[None]).z
    assert 0.01 < float(z.square().mean().sqrt()) < 20.0


def test_encode_averages_parts_of_large_clouds(field: DescriptorField, cloud: torch.Tensor) -> None:
    parts = [field.encoder(cloud[None, i::4]).latent.z for i in range(4)]
    torch.testing.assert_close(field.encode(cloud[None]).z, torch.stack(parts).mean(0))


def test_doubt_is_positive_and_does_not_depend_on_the_frame(
    field: DescriptorField, cloud: torch.Tensor
) -> None:
    R, shift = (part.float() for part in random_motion(3))
    here, there = field.read(cloud[None]).doubt, field.read(moved(cloud, R, shift)[None]).doubt
    assert here.shape == (1, field.config.anchors) and bool((here > 0.0).all())
    torch.testing.assert_close(here, there, rtol=1e-3, atol=1e-5)


def test_a_field_may_vote_for_fewer_anchors(cloud: torch.Tensor) -> None:
    field = DescriptorField(FieldConfig(anchors=3))
    encoding = field.encoder(cloud[None])
    assert encoding.anchors[-1].shape == (1, 3, 3)
    assert encoding.latent.z.shape == (1, field.config.latent, 3)
    with pytest.raises(ValueError, match="anchors must be 3 to 4, got 2"):
        FieldConfig(anchors=2)


def test_heads_must_divide_channels() -> None:
    try:
        FieldConfig(vectors=33)
    except ValueError as error:
        assert "vectors=33" in str(error)
    else:
        raise AssertionError("33 vectors cannot be shared by 8 heads")
