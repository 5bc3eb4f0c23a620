"""A refiner that cannot tell where along a flat it is: the hand slides to the flat's end, and finds back from memory."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.rl.belief import BeliefConfig, TargetBelief
from lerobot_neuraltouch.rl.estimate import REACH, Estimate, compress
from lerobot_neuraltouch.rl.refiner import RefinerOutput
from lerobot_policy_neuraltouch.search import Search
from lerobot_policy_neuraltouch.settings import SearchSettings
from tests.plugins.policy_world import KinematicWorld, small_policy

TARGET = se3.from_rotvec_pose(np.array([0.4, 0.1, 0.1, np.pi, 0.0, 0.0]))
BLIND_M = 0.005
"""Nearer to the middle of the flat than this, both its ends are out of the pads' sight."""


class FlatRefiner(torch.nn.Module):
    """Knows all directions but x; that one only where an end of the flat is felt."""

    def __init__(self, world: KinematicWorld, *, arc: bool = False):
        super().__init__()
        self.world, self.arc = world, arc

    def forward(self, left, right, motion, descriptor) -> RefinerOutput:
        error = se3.log(se3.inverse(self.world.poses) @ TARGET)
        blind = np.abs(error[:, 0]) < BLIND_M
        error[blind, 0] = 0.0
        squashed = np.clip(2.0 * error / np.repeat([0.010, np.deg2rad(5.0)], 3), -1.0, 1.0)
        action = torch.full((len(left), 7), -1.0 / 6.0)
        action[:, :6] = torch.as_tensor(squashed).float()
        log_error = torch.full((len(left), 6), -4.0)
        if self.arc:  # on an arc it knows the place quite well and the turn badly
            log_error[torch.as_tensor(blind), 0] = float(np.log(0.2))  # 1 mm
            log_error[torch.as_tensor(blind), 4] = float(np.log(0.9))  # 2.3 deg
        else:
            log_error[torch.as_tensor(blind), 0] = float(np.log(0.6))  # 3 mm
        way = compress(torch.as_tensor(error).float())
        return RefinerOutput(action, action, action, Estimate(way, log_error))


def final_offset(start_m: float, arc: bool = False, **fine: Any) -> tuple[float, int]:
    """How far along the flat the hand ends from the middle [m], and the number of searches."""
    policy = small_policy()
    policy.config.fine = replace(policy.config.fine, **fine)
    policy.reset()
    start = TARGET @ se3.exp(np.array([start_m, 0.0, 0.0, 0.0, 0.0, 0.0]))
    world = KinematicWorld(start[None], TARGET[:3, 3] + np.zeros((1024, 3)), finger_distance=0.002)
    policy.refiner = FlatRefiner(world, arc=arc)
    with torch.inference_mode():
        for _ in range(190):
            world.step(policy.select_action(world.observe()))
            report = policy.diagnostics[0]
            if report.converged:
                break
    return float((se3.inverse(TARGET) @ world.poses[0])[0, 3]), report.searches


@pytest.mark.parametrize("start_m", [-0.004, -0.001, 0.003])
def test_a_lost_hand_finds_the_middle(start_m: float) -> None:
    offset, searches = final_offset(start_m)
    assert searches >= 1
    assert abs(offset) < 0.0006


def test_a_hand_that_cannot_tell_its_turn_searches_as_well() -> None:
    offset, searches = final_offset(0.003, arc=True)
    assert searches >= 1
    assert abs(offset) < 0.001  # what it knew before the search counts as well


def test_without_memory_it_stays_where_it_is() -> None:
    offset, searches = final_offset(0.003, memory=False)
    assert searches == 0
    assert offset == pytest.approx(0.003, abs=2e-4)


def test_searching_can_be_left_out() -> None:
    offset, searches = final_offset(0.003, search=SearchSettings(max_searches=0))
    assert searches == 0
    assert offset == pytest.approx(0.003, abs=2e-4)


def test_a_search_that_finds_nothing_is_given_up() -> None:
    """Ends farther off than it may slide: two searches of 4 mm to both sides, then it rests near where it was."""
    offset, searches = final_offset(0.0, search=SearchSettings(distance_m=0.004))
    assert searches == 2
    assert abs(offset) < 0.006


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("found_m", 0.002),
        ("lost_rad", 0.0),
        ("distance_m", 0.05),
        ("speed", 0.02),
        ("max_searches", -1),
    ],
)
def test_settings_that_mean_nothing_are_refused(setting: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"search.{setting}"):
        SearchSettings(**{setting: value})  # pyright: ignore[reportArgumentType]


def test_a_search_that_leaves_the_part_turns_back_once() -> None:
    """Off the part to one side, back; off it to the other side as well, and the search is over."""
    belief = TargetBelief(BeliefConfig(), REACH)
    vague = np.array([0.002, 0.0001, 0.0001, 0.001, 0.001, 0.001])
    search, here = Search(SearchSettings()), TARGET
    assert search.step_off_part(here) is None
    for _ in range(4):
        way = belief.update(here, np.zeros(6), vague)
        slide = search.step(here, way, belief)
    assert slide is not None and slide[0] > 0.0
    for _ in range(3):  # until it is on the part again, it keeps going back
        back = search.step_off_part(here)
        assert back is not None and back[0] == -slide[0]
    again = search.step(here, belief.update(here, np.zeros(6), vague), belief)
    assert again is not None and again[0] == -slide[0]
    assert search.step_off_part(here) is None
    assert not search.is_running
