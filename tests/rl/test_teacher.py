"""What the servo teacher does in each situation; whole episodes are in tests/plugins/test_gym_env.py."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.features import (
    FINE_ANGULAR_SPEED,
    FINE_LINEAR_SPEED,
)
from lerobot_neuraltouch.rl.teacher import ServoTeacher

TEACHER = ServoTeacher()


def privileged(**changes: object) -> dict[str, object]:
    """A hand 20 mm and 0.2 rad off, fingers open."""
    values: dict[str, object] = {
        "target_twist": np.array([0.02, -0.01, 0.005, 0.2, -0.1, 0.0]),
        "pad_press_m": np.zeros(2),
        "pad_shear_m": np.zeros(2),
        "finger_distance_m": 0.040,
        "target_finger_distance_m": 0.026,
        "T_base_tcp": np.eye(4),
        "T_base_target": se3.transform(translation=(0.1, 0.0, 0.2)),
        "refined": False,
    }
    return values | changes


def test_without_touch_it_only_closes() -> None:
    """By 2 mm per step: what a policy that feels nothing can copy."""
    action = TEACHER.act(privileged())
    assert_array_equal(action[:6], 0)
    assert action[6] == pytest.approx(0.038)


@pytest.mark.parametrize(("touching", "direction"), [(0, -1.0), (1, 1.0)])
def test_one_touching_pad_pulls_the_hand_to_its_side(touching: int, direction: float) -> None:
    """So that the other pad comes in, while this one stays lightly pressed."""
    press = np.zeros(2)
    press[touching] = 0.001
    action = TEACHER.act(privileged(pad_press_m=press))
    assert action[1] * direction > 0
    assert_array_equal(action[[0, 2, 3, 4, 5]], 0)
    # at the light press of 1 mm the hand keeps pace with half the closing
    assert action[1] == pytest.approx(direction * 10 * (0.040 - action[6]) / 2)


def test_two_touching_pads_start_the_servo_within_the_fine_limits() -> None:
    """Along the whole error, at a gain of 2 per second."""
    far = TEACHER.act(privileged(pad_press_m=np.full(2, 0.001)))
    assert np.abs(far[:3]).max() == pytest.approx(FINE_LINEAR_SPEED)
    assert np.abs(far[3:6]).max() == pytest.approx(FINE_ANGULAR_SPEED)
    assert_allclose(far[:3] / np.linalg.norm(far[:3]), np.array([4, -2, 1]) / np.sqrt(21))
    small = np.array([0.001, 0, -0.0005, 0, 0.01, 0])
    near = TEACHER.act(privileged(pad_press_m=np.full(2, 0.001), target_twist=small))
    assert_allclose(near[:6], 2 * small)


def test_at_the_target_it_holds_still() -> None:
    """No twist, and a set point whose gap holds 2 mm of press."""
    at_rest = privileged(
        target_twist=np.zeros(6), pad_press_m=np.full(2, 0.002), finger_distance_m=0.026
    )
    assert_allclose(TEACHER.act(at_rest), [0, 0, 0, 0, 0, 0, 0.026 - 0.3 * 0.002])


def test_it_opens_where_an_edge_holds_a_skin_back() -> None:
    """Shear beyond what sliding explains opens the fingers."""
    press = np.full(2, 0.001)
    free = TEACHER.act(privileged(pad_press_m=press))
    held = TEACHER.act(privileged(pad_press_m=press, pad_shear_m=np.array([0.004, 0.0])))
    assert held[6] > free[6] + 0.002
