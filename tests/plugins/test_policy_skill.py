"""`neuraltouch skill`: one recorded episode becomes a skill of a checkpoint; the rest of the policy stays as it is."""

from pathlib import Path

import numpy as np
import pytest
import torch

from lerobot_neuraltouch import features, replay, se3
from lerobot_neuraltouch.features import Phase
from lerobot_neuraltouch.ndf.checkpoint import save_ndf
from lerobot_policy_neuraltouch.demonstration import read_episode
from lerobot_policy_neuraltouch.modeling_neuraltouch import NeuralTouchPolicy
from lerobot_policy_neuraltouch.skill_making import lift_replay
from lerobot_policy_neuraltouch.training.episode_writer import EpisodeWriter
from lerobot_policy_neuraltouch.training.expert import LiftConfig
from lerobot_policy_neuraltouch.training.frames import dataset_features
from lerobot_policy_neuraltouch.verbs.skill import DatasetChoice, SkillCommand, make
from tests.plugins.policy_world import small_field

GRASP, LENGTH, MEASURED, SET_POINT = 3, 7, 0.010, 0.006
GRASP_POSE = np.array([0.4, 0.1, 0.1, np.pi, 0.0, 0.0])


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fine phase up to frame 3, then the tcp rises by 1 mm per frame and the fingers squeeze."""
    root = tmp_path_factory.mktemp("recorded") / "data"
    steps = np.arange(LENGTH)
    state = np.tile(np.append(GRASP_POSE, MEASURED), (LENGTH, 1))
    state[:, 2] += 0.001 * np.clip(steps - GRASP, 0, None)
    executed = np.zeros((LENGTH, 7))
    executed[:, 6] = SET_POINT
    cloud = np.random.default_rng(0).uniform(-0.03, 0.03, (1024, 3)) + GRASP_POSE[:3]
    blank = np.zeros((LENGTH, 16, 16, 3), np.uint8)
    writer = EpisodeWriter("local/recorded", root, dataset_features(16, cloud=True), 10)
    frames = {
        features.STATE: state,
        features.ACTION: np.full((LENGTH, 7), 0.5),  # a teacher's label that nobody followed
        features.EXECUTED_ACTION: executed,
        features.POINT_CLOUD: np.tile(cloud, (LENGTH, 1, 1)),
        features.PHASE: np.where(steps <= GRASP, Phase.FINE, Phase.REPLAY)[:, None],
        "next.reward": np.zeros((LENGTH, 1)),
    }
    frames = {key: value.astype(np.float32) for key, value in frames.items()}
    flags = np.zeros((LENGTH, 1), bool)
    images = {features.TACTILE_LEFT: blank, features.TACTILE_RIGHT: blank}
    writer.save({**frames, **images, "next.done": flags, "next.success": flags}, "Hold the spout")
    writer.close()
    return root


@pytest.fixture(scope="module")
def first(recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new policy with one skill whose feature no generator knows."""
    folder = tmp_path_factory.mktemp("policy")
    save_ndf(small_field(), folder / "ndf.safetensors")
    make(_command(recorded, folder / "one", policy="none", ndf=str(folder / "ndf.safetensors")))
    return folder / "one"


def _command(root: Path, output: Path, **changes: object) -> SkillCommand:
    settings = {"feature": "spout", "num_conditions": 2, **changes}
    return SkillCommand(dataset=DatasetChoice(str(root)), output=str(output), **settings)  # type: ignore[arg-type]


def test_a_skill_holds_what_the_demonstration_showed(first: Path) -> None:
    policy = NeuralTouchPolicy.from_pretrained(first)
    skill = policy.skills["Hold the spout"]  # the episode's own text
    assert skill.spec.num_conditions == 0
    assert skill.spec.replay_length == LENGTH - GRASP - 1
    shown = torch.as_tensor(se3.from_rotvec_pose(GRASP_POSE)).float()
    assert torch.allclose(skill.poses[0], shown, atol=1e-6)
    assert float(skill.finger_distance) == pytest.approx(MEASURED)
    assert float(skill.opening) == pytest.approx(MEASURED + 0.004 + 0.040)
    assert torch.allclose(skill.replay_fingers, torch.full((3,), SET_POINT - MEASURED))
    # Up is up, although the tcp points down.
    assert torch.allclose(skill.replay_motion[:, 2, 3], 0.001 * torch.arange(1, 4), atol=1e-6)
    assert skill.target.abs().sum() > 0


def test_a_second_skill_leaves_the_policy_alone(
    recorded: Path, first: Path, tmp_path: Path
) -> None:
    """Known features get conditions on generated objects."""
    make(
        _command(
            recorded,
            tmp_path / "two",
            policy=str(first),
            feature="bottle_head",
            task="Lid",
            replay="none",
        )
    )
    before, after = (NeuralTouchPolicy.from_pretrained(path) for path in (first, tmp_path / "two"))
    assert after.skills.tasks == ["Hold the spout", "Lid"]
    assert after.skills["Lid"].descriptors.shape[0] == 3
    assert after.skills["Lid"].spec.replay_length == 0
    kept = after.state_dict()
    assert all(torch.equal(value, kept[name]) for name, value in before.state_dict().items())


def test_a_new_policy_can_start_with_anothers_refiner(
    recorded: Path, first: Path, tmp_path: Path
) -> None:
    save_ndf(small_field(seed=5), tmp_path / "ndf.safetensors")
    make(
        _command(
            recorded, tmp_path / "new", policy="none", init_refiner=str(first),
            ndf=str(tmp_path / "ndf.safetensors"),
        )
    )  # fmt: skip
    old, new = (NeuralTouchPolicy.from_pretrained(path) for path in (first, tmp_path / "new"))
    assert torch.equal(old.refiner.first.weight, new.refiner.first.weight)
    assert old.config.ndf_hash != new.config.ndf_hash


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"episode": 4}, "Episode 4 does not exist; the dataset has 0 to 0"),
        ({"grasp_frame": 99}, "Frame 99 does not exist; the episode has 7"),
        ({"policy": "elsewhere"}, "elsewhere is no policy checkpoint"),
        ({"policy": "x", "ndf": "y"}, "--ndf goes with --policy=none"),
        ({"replay": "dance"}, "Unknown replay 'dance'. Available: demo, lift, none"),
        ({"feature": ""}, "--feature is needed"),
    ],
)
def test_wrong_commands_are_explained(
    recorded: Path, first: Path, tmp_path: Path, changes: dict, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make(_command(recorded, tmp_path / "out", **{"policy": str(first), **changes}))


def test_a_folder_without_dataset_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no LeRobot dataset"):
        read_episode(tmp_path, 0)


def test_the_made_up_lift_goes_up_in_base() -> None:
    T_base_grasp = se3.from_rotvec_pose(np.array([0.1, 0.2, 0.3, 2.0, 1.0, 0.5]))
    lift = LiftConfig()
    made_up = lift_replay(lift)
    rise = replay.poses_from(T_base_grasp, made_up.motion)[:, :3, 3] - T_base_grasp[:3, 3]
    assert np.allclose(rise[:, :2], 0.0, atol=1e-12)
    assert np.allclose(rise[: lift.squeeze_steps, 2], 0.0, atol=1e-12)
    assert rise[-1, 2] == pytest.approx(lift.height_m)
    assert np.diff(rise[:, 2]).max() <= lift.speed / features.CONTROL_HZ + 1e-12
    assert made_up.finger_changes[-1] == -lift.squeeze_m
