"""The memory of online training: every remembered step comes back with its own past and successor."""

from pathlib import Path

import numpy as np
import pytest

from lerobot_neuraltouch.rl.privileged import PRIVILEGED_SIZE, critic_state
from lerobot_neuraltouch.rl.replay import Replay, Segment, Transitions

SIZE = 4
DELTAS = (-2, -1, 0)


def segment(name: int, steps: int) -> Segment:
    """Every number tells the segment and the step: 100 `name` + step."""
    frames = 100 * name + np.arange(steps + 1, dtype=np.float32)
    pictures = np.broadcast_to(np.arange(steps + 1)[:, None, None], (steps + 1, SIZE, SIZE))
    return Segment(
        contact=name,
        left=pictures.astype(np.uint8),
        right=(pictures + 100).astype(np.uint8),
        state=np.repeat(frames[:, None], 7, axis=1),
        privileged=np.repeat(frames[:, None], PRIVILEGED_SIZE, axis=1),
        action=np.repeat(frames[:-1, None], 7, axis=1),
        label=-np.repeat(frames[:-1, None], 7, axis=1),
        reward=frames[:-1],
    )


def drawn(memory: Replay, count: int = 400) -> Transitions:
    return memory.sample(count, DELTAS, np.random.default_rng(0))


def assert_consistent(steps: Transitions) -> None:
    """Each step belongs to one segment in all its parts."""
    now = steps.action[:, 0].numpy()
    step = now % 100
    np.testing.assert_array_equal(steps.contact, now // 100)
    np.testing.assert_array_equal(steps.label[:, 0], -now)
    np.testing.assert_array_equal(steps.reward, now)
    np.testing.assert_array_equal(steps.now.privileged[:, 0], now)
    np.testing.assert_array_equal(steps.after.privileged[:, 0], now + 1)
    np.testing.assert_allclose(255 * steps.now.left[:, 0, 0, 0], step, atol=1e-3)
    np.testing.assert_allclose(255 * steps.after.right[:, 0, 0, 0], step + 101, atol=1e-3)
    for frames, at in ((steps.now, step), (steps.after, step + 1)):
        ago = -np.array(DELTAS)
        expected = now[:, None] - step[:, None] + np.maximum(at[:, None] - ago, 0)
        np.testing.assert_array_equal(frames.states[..., 0], expected)
        np.testing.assert_array_equal(frames.valid, at[:, None] >= ago)


def test_steps_come_back_with_their_past_and_their_successor() -> None:
    memory = Replay(64, SIZE)
    for name, steps in ((1, 5), (2, 1), (3, 9)):
        memory.add(segment(name, steps))
    steps = drawn(memory)
    assert_consistent(steps)
    assert set(steps.action[:, 0].tolist()) == {
        100.0 * name + i for name, count in ((1, 5), (2, 1), (3, 9)) for i in range(count)
    }


def test_a_full_memory_forgets_the_oldest_and_never_mixes_segments() -> None:
    memory = Replay(23, SIZE)
    rng = np.random.default_rng(1)
    for name in range(1, 60):
        memory.add(segment(name, int(rng.integers(1, 9))))
        steps = drawn(memory, 100)
        assert_consistent(steps)
        assert (steps.contact >= name - 14).all()
        assert (steps.contact == name).any()


def test_the_newest_steps_can_be_asked_for_across_the_end_of_the_ring() -> None:
    memory = Replay(16, SIZE)
    for name in (1, 2, 3):  # rows 0-5, 6-11 and, as four are too few, 0-5 again
        memory.add(segment(name, 5))
    newest = memory.sample(200, DELTAS, np.random.default_rng(0), newest=6)
    assert set(newest.contact.tolist()) == {3}
    both = memory.sample(200, DELTAS, np.random.default_rng(0), newest=12)
    assert set(both.contact.tolist()) == {2, 3}
    assert_consistent(both)


def test_a_segment_longer_than_the_memory_is_refused() -> None:
    with pytest.raises(ValueError, match="9 frames does not fit into a memory of 8"):
        Replay(8, SIZE).add(segment(1, 8))


def test_nothing_can_be_drawn_from_an_empty_memory() -> None:
    with pytest.raises(ValueError, match="empty"):
        drawn(Replay(8, SIZE))


def test_a_memory_in_a_folder_is_taken_up_again(tmp_path: Path) -> None:
    memory = Replay(32, SIZE, tmp_path)
    memory.add(segment(1, 6))
    memory.flush()
    again = Replay(32, SIZE, tmp_path)
    again.add(segment(2, 3))
    steps = drawn(again)
    assert_consistent(steps)
    assert set(steps.contact.tolist()) == {1, 2}


def test_a_folder_that_lacks_an_array_is_refused(tmp_path: Path) -> None:
    memory = Replay(64, SIZE, tmp_path)
    memory.add(segment(1, 5))
    memory.flush()
    (tmp_path / "contact.npy").unlink()
    with pytest.raises(ValueError, match=r"without contact\.npy: it is of another version"):
        Replay(64, SIZE, tmp_path)


def test_a_folder_of_another_size_is_refused(tmp_path: Path) -> None:
    Replay(32, SIZE, tmp_path)
    with pytest.raises(ValueError, match="needs another folder"):
        Replay(33, SIZE, tmp_path)


def test_critics_see_the_truth_in_units_of_its_usual_size() -> None:
    """5 mm along x and 0.1 mm along y; both pads pressed to the target's 2 mm; a gap 10 mm wider than the target's."""
    seen = critic_state(
        {
            "target_twist": [0.005, 0.0001, 0, 0, 0, 0.05],
            "pad_press_m": [0.002, 0.002],
            "pad_shear_m": [0.0, 0.001],
            "force_n": [1.0, 50.0],
            "finger_distance_m": 0.012,
            "target_finger_distance_m": 0.002,
        },
        np.full(6, 0.5),
    )
    assert seen.shape == (PRIVILEGED_SIZE,) and seen.dtype == np.float32
    np.testing.assert_allclose(seen[:6], [0.5, 0.01, 0, 0, 0, 0.5], atol=1e-6)
    np.testing.assert_allclose(seen[[6, 7]], np.tanh([5.0, 0.1]), atol=1e-6)
    np.testing.assert_allclose(seen[12:18], [1, 1, 0, 0.5, 0.2, 4.0], atol=1e-6)
    np.testing.assert_allclose(seen[18:], [1.0, np.tanh(5.0), *[0.5] * 6], atol=1e-6)
