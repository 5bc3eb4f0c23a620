"""Symmetries of the gripper, checked against the sensor's and the contact's own geometry."""

import numpy as np
import pytest
import torch
import trimesh
from scipy.spatial.transform import Rotation

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.features import PRESS_DEPTH
from lerobot_neuraltouch.rl.privileged import PRIVILEGED_SIZE, critic_state
from lerobot_neuraltouch.rl.proprioception import proprioception
from lerobot_neuraltouch.rl.symmetry import Symmetry
from lerobot_neuraltouch.tactile.finger import TacTipFinger
from lerobot_neuraltouch.tactile.image import TactileCamera

MIRROR_X = np.diag([-1.0, 1.0, 1.0, 1.0])
TURN = se3.transform(rotation=Rotation.from_euler("z", 180, degrees=True).as_matrix())
CASES = {
    "mirrored": (MIRROR_X, True, False),
    "exchanged": (TURN, False, True),
    "both": (MIRROR_X @ TURN, True, True),
}
"""How the world is changed, and as which symmetry."""


def _symmetry(mirrored: bool, exchanged: bool) -> Symmetry:
    return Symmetry(torch.tensor([mirrored]), torch.tensor([exchanged]))


def _changed(T: np.ndarray, change: np.ndarray) -> np.ndarray:
    """A pose relative to the tcp, as the changed world shows it."""
    return change @ T @ np.linalg.inv(change)


@pytest.mark.parametrize("case", CASES)
def test_pictures_of_a_changed_world(case: str):
    """A brick, moved anyhow, and the same brick in the changed world: one pair of images gives the other."""
    change, *flags = CASES[case]
    finger = TacTipFinger()
    brick = trimesh.creation.box((0.012, 0.010, 0.020))  # each change leaves it as it is
    camera = TactileCamera(brick, finger)
    T_tcp_brick = se3.exp(np.array([0.002, 0.0005, 0.006, 0.05, 0.25, -0.04]))
    pads = finger.pad_poses(0.010 - 2 * PRESS_DEPTH)
    pair, changed = (
        camera.picture(se3.inverse(T) @ pads) for T in (T_tcp_brick, _changed(T_tcp_brick, change))
    )
    left, right = _symmetry(*flags).pictures(
        *(torch.from_numpy(picture.astype(np.float32))[None, None] for picture in pair)
    )
    got = torch.cat([left, right])[:, 0].numpy()
    assert pair[0].max() > 50
    assert np.abs(pair[0].astype(float) - changed[0]).max() > 20
    np.testing.assert_allclose(got, changed, atol=2.0)


@pytest.mark.parametrize("case", CASES)
def test_twists_and_motion_of_a_changed_world(case: str):
    """Twists are logarithms of relative poses, and proprioception is made of relative poses."""
    change, *flags = CASES[case]
    symmetry = _symmetry(*flags)
    twist = np.array([0.003, -0.002, 0.005, 0.04, 0.07, -0.05])
    expected = se3.log(_changed(se3.exp(twist), change))
    action = torch.as_tensor(np.append(twist, 0.5))[None]
    np.testing.assert_allclose(symmetry.twist(action)[0], np.append(expected, 0.5), atol=1e-12)

    poses = [se3.exp(k * twist) for k in (2.0, 1.0, 0.0)]
    states, changed = (
        torch.as_tensor(
            np.stack([[*se3.to_rotvec_pose(T), 0.02 + 0.001 * i] for i, T in enumerate(many)])
        )[None]
        for many in (poses, [_changed(T, change) for T in poses])
    )
    valid = torch.tensor([[True, True, True]])
    np.testing.assert_allclose(
        symmetry.motion(proprioception(states, valid)), proprioception(changed, valid), atol=1e-6
    )


@pytest.mark.parametrize("case", CASES)
def test_what_critics_see_of_a_changed_world(case: str):
    change, *flags = CASES[case]
    twist = np.array([0.003, -0.002, 0.005, 0.04, 0.07, -0.05])
    pairs = {
        name: np.array([0.001, 0.002]) * k
        for k, name in enumerate(("pad_press_m", "pad_shear_m", "force_n"), 1)
    }
    plain = {
        "target_twist": twist,
        "finger_distance_m": 0.01,
        "target_finger_distance_m": 0.008,
        **pairs,
    }
    other = {**plain, "target_twist": se3.log(_changed(se3.exp(twist), change))}
    if flags[1]:
        other |= {name: pair[::-1] for name, pair in pairs.items()}
    gain = np.ones(6)
    seen = torch.from_numpy(critic_state(plain, gain))[None]
    assert seen.shape[1] == PRIVILEGED_SIZE
    np.testing.assert_allclose(
        _symmetry(*flags).privileged(seen)[0], critic_state(other, gain), atol=1e-6
    )


def test_fingers_change_sides_only_where_they_may():
    torch.manual_seed(0)
    drawn = Symmetry.draw(torch.arange(4000) % 2 == 0)
    assert not drawn.exchanged[1::2].any()
    assert 0.45 < drawn.exchanged[::2].float().mean() < 0.55
    assert 0.45 < drawn.mirrored.float().mean() < 0.55
