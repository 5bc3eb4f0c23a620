"""The policy as LeRobot trains it: losses, gradients, features."""

import pytest
import torch

from lerobot_neuraltouch import features
from tests.plugins.policy_world import LID, RIM, small_config, small_policy, training_batch


def test_only_the_refiner_learns() -> None:
    policy = small_policy().train()
    loss, logs = policy.forward(training_batch())
    loss.backward()
    assert loss.isfinite()
    assert logs is not None and logs["fine_share"] == 0.5
    grads = {name for name, p in policy.named_parameters() if p.grad is not None}
    assert grads and all(name.startswith("refiner.") for name in grads)
    trained = {id(p) for p in policy.get_optim_params()}
    assert trained == {id(p) for p in policy.refiner.parameters()}
    assert not policy.field.training


def test_training_on_one_batch_lowers_the_loss() -> None:
    policy = small_policy().train()
    policy.config.training = type(policy.config.training)(augmentation=False, descriptor_noise=0.0)
    batch = training_batch(12)
    optimizer = torch.optim.AdamW(policy.get_optim_params(), lr=3e-3)
    losses = []
    for _ in range(150):
        loss, _ = policy.forward(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]


def test_samples_outside_the_fine_phase_do_not_count() -> None:
    policy = small_policy().eval()
    batch = training_batch()
    before, _ = policy.forward(batch)
    batch[features.ACTION][3:] += 1.0
    after, _ = policy.forward(batch)
    assert torch.equal(before, after)
    rows, _ = policy.forward(batch, reduction="none")
    assert rows.shape == (6,)
    assert torch.equal(rows[3:], torch.zeros(3))
    assert torch.allclose(rows[:3].mean(), after)


def test_a_batch_without_fine_frames_gives_zero_loss_and_gradients() -> None:
    policy = small_policy().train()
    batch = training_batch()
    batch[features.PHASE] = torch.zeros_like(batch[features.PHASE])
    loss, _ = policy.forward(batch)
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert all(float(p.grad.abs().sum()) == 0.0 for p in policy.get_optim_params())


def test_without_phases_touch_on_both_fingers_selects_frames() -> None:
    policy = small_policy().eval()
    batch = training_batch()
    del batch[features.PHASE]
    batch[features.TACTILE_LEFT][:4] = 0.0
    _, logs = policy.forward(batch)
    assert logs is not None and logs["fine_share"] == pytest.approx(1 / 3)


def test_one_frame_batches_need_no_time_axis() -> None:
    """Without a history LeRobot's loader gives no time axis."""
    policy = small_policy().eval()
    batch = training_batch()
    flat = {
        key: value[:, 0] if isinstance(value, torch.Tensor) and value.ndim > 2 else value
        for key, value in batch.items()
    }
    flat[features.PHASE] = batch[features.PHASE][:, 0]  # shape (1,) features arrive as (batch,)
    del flat[f"{features.STATE}_is_pad"]
    assert policy.config.observation_delta_indices is None
    assert torch.equal(policy.forward(batch)[0], policy.forward(flat)[0])


def test_a_padded_or_missing_past_does_not_matter() -> None:
    policy = small_policy(history_length=3).eval()
    assert policy.config.observation_delta_indices == [-4, -2, 0]
    batch = training_batch(history=3)
    before, _ = policy.forward(batch)
    batch[features.STATE][0, :-1] += 0.05  # sample 0 has no past
    assert torch.equal(before, policy.forward(batch)[0])
    batch[features.STATE][1, :-1] += 0.05  # sample 1 has
    assert not torch.equal(before, policy.forward(batch)[0])
    assert policy.forward(training_batch(history=1))[0].isfinite()


def test_missing_keys_and_unknown_tasks_are_named() -> None:
    policy = small_policy()
    batch = training_batch()
    with pytest.raises(
        ValueError, match=r"Unknown task 'Peel'. Skills of this policy: 'Grasp the mug"
    ):
        policy.forward({**batch, "task": ["Peel"] * 6})
    del batch[features.TACTILE_RIGHT]
    with pytest.raises(ValueError, match=r"lacks observation.images.tactile_right"):
        policy.forward(batch)


def test_a_dataset_without_touch_is_refused() -> None:
    config = small_config()
    with pytest.raises(ValueError, match=r"lacks observation.images.tactile_left, .*right; it has"):
        config.set_dataset_feature_metadata({features.STATE: {}, features.ACTION: {}})


def test_conditioning_can_be_left_out() -> None:
    with_z, without = small_policy().eval(), small_policy(condition_on_descriptor=False).eval()
    batch = {**training_batch(2), "task": [RIM, RIM]}
    outputs = []
    for policy in (with_z, without):
        torch.nn.init.normal_(policy.refiner.action.weight)
        torch.nn.init.normal_(policy.refiner.second.weight)
        swapped = {**batch, "task": [LID, LID]}
        outputs.append((policy.forward(batch)[0], policy.forward(swapped)[0]))
    assert outputs[0][0] != outputs[0][1]
    assert outputs[1][0] == outputs[1][1]
