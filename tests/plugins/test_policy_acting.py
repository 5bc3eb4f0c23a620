"""The policy in a world: phases, guarded approach, averaging, replay; one environment does not disturb another."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lerobot_neuraltouch import features, se3
from lerobot_neuraltouch.features import Phase
from lerobot_neuraltouch.rl.estimate import Estimate, compress
from lerobot_neuraltouch.rl.refiner import RefinerOutput
from lerobot_policy_neuraltouch import coarse_search
from lerobot_policy_neuraltouch.fine import FineServo, Refined
from lerobot_policy_neuraltouch.modeling_neuraltouch import NeuralTouchPolicy
from lerobot_policy_neuraltouch.motion import CoarseMotion, Feel
from lerobot_policy_neuraltouch.settings import CoarseSettings, FineSettings
from tests.plugins.policy_world import LID, RIM, WALL, KinematicWorld, small_policy

DOWN = se3.from_rotvec_pose(np.array([0.4, 0.1, 0.1, np.pi, 0.0, 0.0]))
"""Pointing straight down, 0.1 m above the table."""


def cloud_around(position: np.ndarray) -> np.ndarray:
    return position + np.random.default_rng(0).uniform(-0.02, 0.02, (1024, 3))


class ServoRefiner(torch.nn.Module):
    """Knows where the part is: no touch closes the fingers, touch servoes the tcp with gain 2/s; noisy on demand."""

    def __init__(self, policy, world: KinematicWorld, goals: np.ndarray, noise: float = 0.0):
        super().__init__()
        self.asked = lambda: [d.phase == Phase.FINE for d in policy.diagnostics]
        self.world, self.goals, self.noise = world, goals, noise
        self.generator = torch.Generator().manual_seed(0)

    def forward(self, left, right, motion, descriptor) -> RefinerOutput:
        rows = np.flatnonzero(self.asked())
        error = se3.log(se3.inverse(self.world.poses[rows]) @ self.goals[rows])
        twist = 2.0 * error / np.repeat([0.010, np.deg2rad(5.0)], 3)
        action = torch.full((len(left), 7), -2.0 / 3.0)
        closed = torch.as_tensor(self.world.closed[rows])
        action[:, :6] = torch.as_tensor(twist).float().clamp(-1, 1) * closed[:, None]
        action[:, 6] = torch.where(closed, -1.0 / 6.0, -2.0 / 3.0)
        noise = self.noise * torch.randn(action.shape, generator=self.generator)
        noise = noise * closed[:, None]
        noisy = action + noise
        way = compress(torch.as_tensor(error).float()) + noise[:, :6]
        estimate = Estimate(way, torch.full((len(left), 6), -3.0))
        return RefinerOutput(noisy, torch.atanh(noisy), noisy, estimate)


def with_search(monkeypatch: pytest.MonkeyPatch, T_base_tcp: np.ndarray, confidence: float = 0.9):
    calls = []

    def search(field, cloud, demos, config, **kwargs) -> SimpleNamespace:
        calls.append(cloud)
        return SimpleNamespace(T=T_base_tcp, confidence=confidence)

    monkeypatch.setattr(coarse_search, "search_pose", search)
    return calls


def run(
    policy: NeuralTouchPolicy, world: KinematicWorld, steps: int, task: str = RIM
) -> np.ndarray:
    """Actions, shape (steps, batch, 7)."""
    actions = []
    with torch.inference_mode():
        for _ in range(steps):
            action = policy.select_action(world.observe(task))
            world.step(action)
            actions.append(action.numpy())
    return np.stack(actions)


def near_world(num: int = 1, offset: float = 0.004) -> tuple[KinematicWorld, np.ndarray]:
    goals = np.stack([DOWN] * num)
    twist = np.array([offset, 0.0, -offset, 0.0, 0.1, 0.0])
    return KinematicWorld(goals @ se3.exp(twist), cloud_around(DOWN[:3, 3])), goals


def test_a_whole_episode_passes_through_the_phases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Far away: search, straight in at the skill's opening, fine servo, converge, replay, hold."""
    policy = small_policy()
    T_coarse = DOWN @ se3.exp(np.array([0.005, 0.0, 0.002, 0.0, 0.0, 0.05]))
    calls = with_search(monkeypatch, T_coarse)
    start = DOWN @ se3.exp(np.array([0.05, -0.08, -0.15, 0.3, 0.2, -0.5]))
    world = KinematicWorld(start[None], cloud_around(DOWN[:3, 3]), finger_distance=0.08)
    policy.refiner = ServoRefiner(policy, world, DOWN[None])
    phases, heights, errors = [], [], []
    for _ in range(400):
        world.step(policy.select_action(world.observe()))
        report = policy.diagnostics[0]
        phases.append(report.phase)
        heights.append(world.poses[0, 2, 3])
        errors.append(np.linalg.norm(world.poses[0, :3, 3] - DOWN[:3, 3]))
    assert len(calls) == 1
    assert phases == sorted(phases)
    first_fine, first_replay = phases.index(Phase.FINE), phases.index(Phase.REPLAY)
    assert np.linalg.norm(report.T_base_coarse - T_coarse) == 0.0
    assert errors[first_fine - 1] < 0.008
    assert errors[first_replay - 1] < 1e-4
    assert report.converged and report.confidence == 0.9
    assert 0.0 < report.expected_error_m < 0.01
    assert report.T_base_grasp is not None
    lift = heights[-1] - report.T_base_grasp[2, 3]
    assert lift == pytest.approx(0.005, abs=1e-4)  # the skill's replay: five steps of 1 mm
    assert heights[-1] == pytest.approx(heights[-20], abs=1e-9)  # then it stands still


def test_the_way_in_begins_where_the_hand_is_clear_of_the_object() -> None:
    """A rim 70 mm above the contact, between the fingers: from 10 + 70 + 20 mm back; what lies beside the hand does not matter."""
    rim = np.array([[0.0, 0.03, -0.070], [0.2, 0.0, -0.5]])
    settings = CoarseSettings()
    for cloud, length in ((rim, 0.100), (rim[1:], settings.approach_m)):
        motion = CoarseMotion.towards(DOWN, se3.apply(DOWN, cloud), settings)
        before = se3.inverse(DOWN) @ motion.legs[0].T_base_goal
        np.testing.assert_allclose(before[:3, 3], [0.0, 0.0, -length], atol=1e-9)


def test_limits_hold_in_every_phase(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = small_policy()
    with_search(monkeypatch, DOWN)
    start = DOWN @ se3.exp(np.array([0.05, -0.08, -0.15, 0.3, 0.2, -0.5]))
    world = KinematicWorld(start[None], cloud_around(DOWN[:3, 3]))
    policy.refiner = ServoRefiner(policy, world, DOWN[None], noise=2.0)
    actions = run(policy, world, 350)
    assert (actions >= features.ACTION_LOW - 1e-6).all() and (
        actions <= features.ACTION_HIGH + 1e-6
    ).all()
    fine = actions[250:320]
    assert np.abs(fine[..., :3]).max() <= features.MAX_LINEAR_SPEED


def test_touch_on_the_way_in_stops_it(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = small_policy()
    with_search(monkeypatch, DOWN)
    start = DOWN @ se3.transform(translation=(0.0, 0.0, -0.110))
    world = KinematicWorld(start[None], DOWN[:3, 3] + np.zeros((1024, 3)))
    run(policy, world, 30)
    assert policy.diagnostics[0].phase == Phase.COARSE
    world.finger[:] = 0.002  # the part is in the way
    policy.select_action(world.observe())
    assert policy.diagnostics[0].phase == Phase.FINE


def test_an_obstacle_on_the_way_in_is_not_pressed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocked without a touch for half a second: back off by 3 mm, and the fine phase begins there."""
    policy = small_policy()
    with_search(monkeypatch, DOWN)
    start = DOWN @ se3.transform(translation=(0.0, 0.0, -0.110))
    world = KinematicWorld(start[None], DOWN[:3, 3] + np.zeros((1024, 3)), finger_distance=0.08)
    blocked_at = DOWN[2, 3] + 0.020
    pressing = 0
    while not policy.diagnostics or policy.diagnostics[0].phase == Phase.COARSE:
        world.step(policy.select_action(world.observe()))
        pressing += world.poses[0, 2, 3] < blocked_at
        world.poses[:, 2, 3] = np.maximum(world.poses[:, 2, 3], blocked_at)
        assert pressing <= policy.config.coarse.blocked_steps + 2
    assert world.poses[0, 2, 3] == pytest.approx(blocked_at + 0.003, abs=0.0012)


def test_fingers_that_closed_on_nothing_try_deeper() -> None:
    """The part begins 12 mm below the start: twice open, 8 mm on, and close again; then the grasp is found."""
    policy = small_policy()
    goals = DOWN[None]
    world = KinematicWorld(
        goals @ se3.transform(translation=(0.0, 0.0, -0.016)), cloud_around(DOWN[:3, 3])
    )
    world.part_top = DOWN[2, 3] + 0.004
    policy.refiner = ServoRefiner(policy, world, goals)
    widest = []
    for _ in range(250):
        world.step(policy.select_action(world.observe()))
        widest.append(world.finger[0])
    report = policy.diagnostics[0]
    assert report.retries == 2
    assert min(widest) > -0.008
    assert max(widest[60:]) == pytest.approx(float(policy.skills[RIM].opening), abs=0.002)
    assert report.converged
    assert np.linalg.norm(report.T_base_grasp[:3, 3] - DOWN[:3, 3]) < 1e-3


def test_a_hand_that_is_held_up_opens_and_goes_on() -> None:
    """A finger stands on an edge 5 mm before the goal, unseen: within a second the hand opens, goes on and closes at the goal."""
    policy = small_policy()
    goals = DOWN[None]
    start = goals @ se3.transform(translation=(0.0, 0.0, -0.008))
    world = KinematicWorld(start, cloud_around(DOWN[:3, 3]))
    world.ledge = DOWN[2, 3] + 0.005
    policy.refiner = ServoRefiner(policy, world, goals)
    held, reports = 0, []
    for _ in range(200):
        world.step(policy.select_action(world.observe()))
        reports.append(policy.diagnostics[0])
        closed = world.finger[0] < 0.020 and reports[-1].retries == 0
        held += bool(closed and world.poses[0, 2, 3] <= world.ledge + 1e-9)
    assert 5 <= held <= 10
    assert reports[-1].retries == 1
    assert reports[-1].converged
    assert np.linalg.norm(reports[-1].T_base_grasp[:3, 3] - DOWN[:3, 3]) < 1e-3


def test_closing_fingers_that_are_held_try_further_on() -> None:
    """Both tips rest on the part at 18 mm without a touch on the pads."""
    policy = small_policy()
    world, goals = near_world()
    policy.refiner = ServoRefiner(policy, world, goals)
    set_points = []
    for _ in range(60):
        action = policy.select_action(world.observe())
        set_points.append(float(action[0, 6]) - world.finger[0])
        world.step(action)
        if policy.diagnostics[0].retries == 0:
            world.finger[:] = np.maximum(world.finger, 0.018)
    assert policy.diagnostics[0].retries >= 1
    squeeze = policy.config.fine.touch_squeeze_m
    stopped = next(i for i, s in enumerate(set_points) if s > -1.01 * squeeze)
    assert all(s >= -1.01 * squeeze for s in set_points[stopped : stopped + 4])


def test_fingers_that_find_nothing_give_up_after_three_tries() -> None:
    policy = small_policy()
    world, goals = near_world()
    world.part_top = -np.inf
    policy.refiner = ServoRefiner(policy, world, goals)
    run(policy, world, 400)
    assert policy.diagnostics[0].retries == policy.config.coarse.max_retries
    assert policy.diagnostics[0].phase == Phase.FINE


def test_near_starts_skip_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = small_policy()
    calls = with_search(monkeypatch, DOWN)
    world, _ = near_world()
    policy.select_action(world.observe())
    assert not calls
    assert policy.diagnostics[0].phase == Phase.FINE
    assert np.allclose(policy.diagnostics[0].T_base_coarse, world.poses[0], atol=1e-6)


def test_noise_is_averaged_out() -> None:
    """Output noise as large as the error 1 mm and 0.6 deg away leaves far less than that at the end."""
    policy = small_policy()
    world, goals = near_world(num=16)
    policy.refiner = ServoRefiner(policy, world, goals, noise=0.2)
    ends = np.zeros((16, 4, 4))
    for _ in range(200):
        world.step(policy.select_action(world.observe()))
        for i, report in enumerate(policy.diagnostics):
            if report.phase == Phase.FINE:
                ends[i] = world.poses[i]
    assert all(report.converged for report in policy.diagnostics)
    error = se3.log(se3.inverse(ends) @ goals)
    noise_m, noise_rad = 0.2 * 0.010 / 2.0, 0.2 * np.deg2rad(5.0) / 2.0
    # Less would be left if the filter did not take errors that are felt at one place for the same.
    assert np.sqrt((error[:, :3] ** 2).mean()) < 0.4 * noise_m
    assert np.sqrt((error[:, 3:] ** 2).mean()) < 0.4 * noise_rad


def test_a_hand_can_be_led_astray() -> None:
    """It comes to rest 3 mm and 5 deg beside the target, along and about tcp x and y, and thinks that it is there."""
    policy = small_policy(replay=False)
    world, goals = near_world()
    aside = np.array([0.003, 0.0, 0.0, 0.0, np.deg2rad(5.0), 0.0])
    policy.leader = lambda number: aside
    policy.refiner = ServoRefiner(policy, world, goals)
    run(policy, world, 60)
    assert policy.diagnostics[0].converged
    np.testing.assert_allclose(world.poses[0], DOWN @ se3.exp(aside), atol=3e-4)


def test_the_grip_stays_gentle_in_the_fine_phase() -> None:
    policy = small_policy()
    world, goals = near_world()
    policy.refiner = ServoRefiner(policy, world, goals)
    for _ in range(60):
        before, closed = world.finger.copy(), world.closed.copy()
        action = policy.select_action(world.observe()).numpy()
        if policy.diagnostics[0].phase == Phase.FINE:
            squeeze = before - action[:, 6]
            limit = np.where(
                closed, policy.config.fine.touch_squeeze_m, policy.config.fine.finger_step_m
            )
            assert (squeeze <= limit + 1e-6).all()
        world.step(torch.as_tensor(action))


def test_without_refiner_the_fingers_close_where_vision_said() -> None:
    policy = small_policy(refiner="none")
    world, _ = near_world()
    start = world.poses.copy()
    for _ in range(60):
        world.step(policy.select_action(world.observe()))
        if policy.diagnostics[0].phase == Phase.REPLAY:
            break
    assert policy.diagnostics[0].converged
    grasp = policy.diagnostics[0].T_base_grasp
    assert grasp is not None and np.allclose(grasp, start[0], atol=1e-6)
    assert world.closed.all()


def test_without_replay_the_gripper_stays_at_the_grasp() -> None:
    policy = small_policy(replay=False)
    world, goals = near_world()
    policy.refiner = ServoRefiner(policy, world, goals)
    run(policy, world, 120)
    assert policy.diagnostics[0].phase == Phase.REPLAY
    assert np.allclose(world.poses, goals, atol=1e-3)


def test_environments_do_not_disturb_each_other() -> None:
    """A batch of two gives the same actions as each alone."""
    policy = small_policy()
    torch.nn.init.normal_(policy.refiner.action.weight, std=0.1)
    pair, _ = near_world(num=2)
    pair.poses[1] = pair.poses[1] @ se3.transform(translation=(0.003, 0.0, 0.0))
    starts = pair.poses.copy()
    together = run(policy, pair, 30)
    for i in range(2):
        policy.reset()
        alone = KinematicWorld(starts[i : i + 1], pair.cloud)
        assert np.allclose(run(policy, alone, 30)[:, 0], together[:, i], atol=1e-5)


def test_reset_new_clouds_and_new_tasks_begin_episodes() -> None:
    policy = small_policy()
    world, goals = near_world(num=2)
    policy.refiner = ServoRefiner(policy, world, goals)
    run(policy, world, 3)
    assert [d.fine_steps for d in policy.diagnostics] == [3, 3]
    batch = world.observe()
    batch[features.POINT_CLOUD][1] += 1e-4
    policy.select_action(batch)
    assert [d.fine_steps for d in policy.diagnostics] == [4, 1]
    batch["task"][0] = LID
    policy.select_action(batch)
    assert [(d.task, d.fine_steps) for d in policy.diagnostics] == [(LID, 1), (RIM, 2)]
    policy.reset()
    assert policy.diagnostics == []
    policy.select_action(batch)
    assert [d.fine_steps for d in policy.diagnostics] == [1, 1]


def test_a_neighbouring_contact_is_taken_up_by_touch_and_another_one_by_a_search(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Rim to wall in the fine phase: no search, the fingers stay; rim to wall on the way in, or to a lid: from the beginning."""
    policy = small_policy(tasks=(RIM, WALL, LID), replay=False)
    calls = with_search(monkeypatch, DOWN)
    start = DOWN @ se3.transform(translation=(0.0, 0.0, -0.110))
    world = KinematicWorld(start[None], DOWN[:3, 3] + np.zeros((1024, 3)))
    run(policy, world, 3, RIM)
    run(policy, world, 3, WALL)
    assert len(calls) == 2
    policy.refiner = ServoRefiner(policy, world, DOWN[None])
    while not policy.diagnostics[0].converged:
        run(policy, world, 1, WALL)
    policy.refiner.goals = DOWN[None] @ se3.transform(translation=(0.0, 0.0, -0.006))
    asked = []
    policy.refiner.register_forward_hook(lambda module, inputs, output: asked.append(inputs[3][0]))
    with caplog.at_level("INFO"):
        run(policy, world, 1, RIM)
    report = policy.diagnostics[0]
    assert (report.task, report.phase, report.switches) == (RIM, Phase.FINE, 1)
    assert not report.converged
    assert f"from '{WALL}' on to '{RIM}' by touch" in caplog.text
    torch.testing.assert_close(asked[-1], policy.skills[RIM].target)
    run(policy, world, 60, RIM)
    assert len(calls) == 2
    assert np.allclose(world.poses, policy.refiner.goals, atol=1e-3)
    run(policy, world, 1, LID)
    assert policy.diagnostics[0].switches == 0


def test_what_is_missing_is_named(caplog: pytest.LogCaptureFixture, monkeypatch) -> None:
    policy = small_policy()
    world, _ = near_world()
    with pytest.raises(
        ValueError, match=r"Unknown task 'Juggle'. Skills of this policy: 'Grasp the mug"
    ):
        policy.select_action(world.observe("Juggle"))
    batch = world.observe()
    del batch[features.POINT_CLOUD]
    with pytest.raises(ValueError, match=r"needs observation.point_cloud or .*coarse.mode=skip"):
        policy.select_action(batch)
    batch[features.WRIST_DEPTH] = torch.ones(1, 1, 4, 4)
    with pytest.raises(ValueError, match="needs wrist_camera"):
        policy.select_action(batch)
    far = near_world()[0]
    far.poses[:, 2, 3] += 0.3
    with_search(monkeypatch, DOWN, confidence=0.1)
    doubtful = small_policy()
    with pytest.raises(ValueError, match=r"confidence 0.10, below coarse.min_confidence"):
        doubtful.select_action(far.observe())
    doubtful.config.coarse = type(doubtful.config.coarse)(doubt="warn")
    doubtful.select_action(far.observe())
    assert "confidence 0.10" in caplog.text


def test_chunks_have_one_step() -> None:
    policy = small_policy()
    world, _ = near_world(num=2)
    assert policy.predict_action_chunk(world.observe()).shape == (2, 1, 7)


def test_a_hand_that_is_open_already_tries_again_where_it_is() -> None:
    """Held up with the fingers as open as they go, and touching: there is no way to go, and the fine phase begins anew."""
    policy = small_policy()
    world, _ = near_world()
    policy.select_action(world.observe())
    episode = policy._episodes._running[0]
    assert episode is not None
    feel = Feel(world.poses[0], float(episode.skill.opening), (True, True))
    episode._try_again(feel, np.array([0.0, 0.0, 1.0]))
    assert episode.phase == Phase.FINE and episode.retries == 1


@pytest.mark.parametrize("memory", [True, False])
def test_a_hand_that_feels_nothing_stays_where_it_is(memory: bool) -> None:
    """Whatever the refiner says: an unknown prompt must not send it through the air."""
    settings = FineSettings(memory=memory)
    feel = Feel(DOWN, 0.05, (False, False))
    away = Refined(np.full(6, 0.01), -0.002, np.full(6, 0.01), np.full(6, 0.001))
    twist, set_point = FineServo(settings).step(away, feel)
    np.testing.assert_array_equal(twist, 0.0)
    assert set_point == pytest.approx(0.048)
    assert FineServo(settings).step(away, replace(feel, touch=(True, False)))[0].any()
