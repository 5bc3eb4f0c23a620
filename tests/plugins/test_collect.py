"""Recording rollouts: who acts, who labels, and that an interruption changes nothing."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.testing import assert_array_equal

from lerobot_neuraltouch import features
from lerobot_policy_neuraltouch.training import collect as collecting
from lerobot_policy_neuraltouch.training import rollout
from lerobot_policy_neuraltouch.training.collect import CollectConfig, DatasetTarget, collect
from lerobot_policy_neuraltouch.training.expert import GraspExpert, LiftConfig
from lerobot_policy_neuraltouch.training.rollout import Disturbance, run_round
from lerobot_policy_neuraltouch.training.student import policy_batch

TASK = features.TASKS["RefineBottleHead"]
STUDENT_ACTION = np.array([0.001, 0, 0, 0, 0, 0, 0.05])


class OpenSpace(gym.Env):
    """A gripper that goes where it is told, with a target but nothing to touch; ends after six steps."""

    def __init__(self, **kwargs: Any) -> None:
        self.kwargs = kwargs

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[dict, dict]:
        super().reset(seed=seed)
        self.state = np.append(self.np_random.normal(size=6), 0.06)
        self.steps = 0
        return self._observation(), self._info()

    def step(self, action: np.ndarray) -> tuple[dict, float, bool, bool, dict]:
        self.state[:6] += 0.1 * action[:6]
        self.state[6] = action[6]
        self.steps += 1
        return self._observation(), -1.0, self.steps == 6, False, self._info()

    def _observation(self) -> dict[str, Any]:
        noise = self.np_random.integers(0, 9, (2, 64, 64, 3), dtype=np.uint8)
        return {
            "pixels": {"tactile_left": noise[0], "tactile_right": noise[1]},
            "agent_pos": self.state.astype(np.float32),
            "point_cloud": np.ones((features.NUM_CLOUD_POINTS, 3), np.float32),
            "phase": np.array([features.Phase.FINE], np.float32),
        }

    def _info(self) -> dict[str, Any]:
        privileged = {
            "target_twist": -self.state[:6],
            "pad_press_m": np.zeros(2),
            "pad_shear_m": np.zeros(2),
            "finger_distance_m": self.state[6],
        }
        return {"is_success": self.steps == 6, "privileged": privileged}


class FixedStudent:
    """Always the same action."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.resets = 0

    def reset(self) -> None:
        self.resets += 1

    def act(self, observations: Sequence[Mapping], tasks: Sequence[str]) -> np.ndarray:
        return np.tile(STUDENT_ACTION, (len(observations), 1))


@pytest.fixture(autouse=True)
def open_space(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "make_env", lambda task, **kwargs: OpenSpace(**kwargs))
    monkeypatch.setattr(collecting, "Student", FixedStudent)


def config(root: Path, **changes: Any) -> CollectConfig:
    return CollectConfig(
        task=TASK.name, dataset=DatasetTarget(repo_id="local/test", root=root), **changes
    )


def table(root: Path) -> list[dict]:
    return [
        row for path in sorted(root.glob("data/*/*")) for row in pq.read_table(path).to_pylist()
    ]


def test_an_interrupted_recording_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    report = collect(config(tmp_path / "whole", num_episodes=3))
    assert report == {"episodes": 3, "frames": 18, "success": 1.0}
    collect(config(tmp_path / "parts", num_episodes=1))
    collect(config(tmp_path / "parts", num_episodes=3, resume=True))
    assert table(tmp_path / "whole") == table(tmp_path / "parts")
    assert collect(config(tmp_path / "parts", num_episodes=3, resume=True))["episodes"] == 0


def test_seeds_are_streams_of_their_own(tmp_path: Path) -> None:
    for seed in (0, 1):
        collect(config(tmp_path / str(seed), num_episodes=1, seed=seed))
    states = [table(tmp_path / str(seed))[0]["observation.state"] for seed in (0, 1)]
    assert states[0] != states[1]


def test_in_dagger_the_student_acts_and_the_teacher_labels(tmp_path: Path) -> None:
    collect(config(tmp_path / "data", num_episodes=3, policy="somewhere", num_envs=2))
    rows = table(tmp_path / "data")
    assert len(rows) == 18
    for row in rows:
        assert_array_equal(row["observation.executed_action"], STUDENT_ACTION.astype(np.float32))
        closing = row["observation.state"][6] - 0.002  # the teacher, in open space: only close
        np.testing.assert_allclose(row["action"], [0, 0, 0, 0, 0, 0, closing], atol=1e-7)


def test_beta_is_the_teachers_share() -> None:
    envs = [OpenSpace() for _ in range(40)]
    episodes = run_round(envs, [TASK] * 40, range(40), student=FixedStudent(), beta=0.3)  # type: ignore[arg-type]
    teacher = [
        np.all(e.frames[features.ACTION] == e.frames[features.EXECUTED_ACTION], axis=1)
        for e in episodes
    ]
    assert np.mean(teacher) == pytest.approx(0.3, abs=0.09)  # 240 draws: three standard deviations


def test_an_episode_does_not_depend_on_its_neighbours() -> None:
    together = run_round([OpenSpace(), OpenSpace()], [TASK] * 2, [5, 6], beta=0.5)
    alone = run_round([OpenSpace()], [TASK], [6], beta=0.5)
    for key, values in alone[0].frames.items():
        assert_array_equal(values, together[1].frames[key])


def test_pushes_change_what_is_done_and_not_what_is_shown() -> None:
    disturbance = Disturbance(share=0.5, steps=2)
    frames = [
        run_round([OpenSpace()], [TASK], [seed], disturbance=disturbance)[0].frames
        for seed in range(40)
    ]
    shown = np.concatenate([f[features.ACTION] for f in frames])
    done = np.concatenate([f[features.EXECUTED_ACTION] for f in frames])
    pushed = np.any(shown != done, axis=1)
    assert 0.2 < pushed.mean() < 0.6
    assert_array_equal(shown[:, :6], 0.0)  # the teacher's: nothing touches
    assert_array_equal(shown[:, 6], done[:, 6])
    assert np.abs(done[:, :3]).max() <= disturbance.linear + 1e-9


def test_the_lift_goes_straight_up_after_the_release() -> None:
    """Followed exactly, the shown motion squeezes, raises the tcp by the height along base z and holds."""
    lift = LiftConfig(height_m=0.02, squeeze_steps=3, hold_steps=2)
    expert = GraspExpert(lift)
    state = np.array([0.1, 0.2, 0.3, 0.0, np.pi / 2, 0.0, 0.004])
    world, start = state.copy(), state.copy()
    while not expert.is_over:
        action = expert.act({"refined": True}, world)
        # tcp z lies along base x here, so base z is -x of the tcp
        world[:3] += 0.1 * np.array([action[2], action[1], -action[0]])
        world[6] = action[6]
    np.testing.assert_allclose(world[:6], start[:6] + [0, 0, 0.02, 0, 0, 0], atol=1e-9)
    assert world[6] == pytest.approx(0.004 - lift.squeeze_m)


def test_frames_after_the_release_are_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    class Releasing(OpenSpace):
        def _info(self) -> dict[str, Any]:
            return super()._info() | {"refined": self.steps >= 2}

    frames = run_round([Releasing()], [TASK], [0], lift=LiftConfig(), cloud=True)[0].frames
    assert_array_equal(frames[features.PHASE][:, 0], [1, 1, 2, 2, 2, 2])
    assert frames[features.POINT_CLOUD].shape == (6, features.NUM_CLOUD_POINTS, 3)
    assert frames[rollout.SUCCESS][-1] and not frames[rollout.SUCCESS][:-1].any()


def test_batches_look_like_lerobots_evaluation() -> None:
    observation, _ = OpenSpace().reset(seed=0)
    batch = policy_batch([observation, observation], ["a", "b"])
    image = batch[features.TACTILE_LEFT]
    assert image.shape == (2, 3, 64, 64) and float(image.max()) <= 1.0
    assert batch["task"] == ["a", "b"]


def test_wrong_settings_are_explained(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs --policy"):
        config(tmp_path, start="perception")
    with pytest.raises(ValueError, match="Available: BoltOutInHole, BottleLidOpening"):
        CollectConfig(task="RefineTeapot")
    with pytest.raises(ValueError, match="share must lie"):
        Disturbance(share=1.0)
