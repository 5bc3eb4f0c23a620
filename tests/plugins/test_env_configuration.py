"""`--env.type=neuraltouch`: settings, features and vector environments for LeRobot's own commands."""

from dataclasses import dataclass
from pathlib import Path

import draccus
import numpy as np
import pytest
from lerobot.configs import FeatureType
from lerobot.envs.configs import EnvConfig
from lerobot.envs.utils import NEW_ROLLOUT_OPTION, env_to_policy_features, preprocess_observation

from gym_neuraltouch.randomisation import RANDOMISATIONS
from lerobot_env_neuraltouch import NeuralTouchEnv, configuration_neuraltouch
from lerobot_neuraltouch import features
from lerobot_neuraltouch.tactile import FINGERS, GRAY_MAPS

TASKS = "RefineMugRim,RefineBottleHead"


@dataclass
class Command:
    env: EnvConfig


def parse(*flags: str) -> EnvConfig:
    return draccus.parse(Command, args=["--env.type=neuraltouch", *flags]).env


def test_flags_choose_tasks_and_settings() -> None:
    env = parse(
        "--env.task=RefineMugRim, RefineBottleHead",
        "--env.start=perception",
        "--env.noise=off",
        "--env.robot=ur5e",
        "--env.finger=flat",
        "--env.gray_map=tactile_gym",
        "--env.randomisation=none",
    )
    assert isinstance(env, NeuralTouchEnv)
    assert env.task_names == ["RefineMugRim", "RefineBottleHead"]
    assert env.gym_kwargs["start"] == "perception"
    assert env.gym_kwargs["noise"] == "off"
    assert env.gym_kwargs["robot"] == "ur5e"
    assert env.gym_kwargs["finger"] == "flat"
    assert env.gym_kwargs["gray_map"] == "tactile_gym"
    assert env.gym_kwargs["randomisation"] == "none"


def test_the_choices_are_those_of_the_environments() -> None:
    """Spelled out here, so that a command's help needs no simulator."""
    assert tuple(FINGERS) == configuration_neuraltouch.FINGERS
    assert tuple(GRAY_MAPS) == configuration_neuraltouch.GRAY_MAPS
    assert tuple(RANDOMISATIONS) == configuration_neuraltouch.RANDOMISATIONS


def test_whole_tasks_go_through_the_adapter_on_their_own_robot() -> None:
    """Without `--env.robot` a whole task is done by an arm; the observation is that of every task."""
    env = NeuralTouchEnv(task="BottleLidOpening", image_size=8, num_objects=1)
    assert "robot" not in env.gym_kwargs
    copies = env.create_envs(1)["BottleLidOpening"][0]
    observation, _ = copies.reset(seed=[0])
    assert copies.envs[0].unwrapped.robot == "ur5e"
    assert observation["agent_pos"].shape == (1, 7)
    assert copies.call("task_description") == ("Open the bottle",)


def test_the_next_contact_is_named_to_the_policy_through_the_adapter() -> None:
    env = NeuralTouchEnv(task="RefineMugRim", then="mug_wall", image_size=8, num_objects=1)
    copies = env.create_envs(1)["RefineMugRim"][0]
    copies.reset(seed=[0])
    texts = []
    for _ in range(201):
        texts += copies.call("task_description")
        copies.step(np.array([[0.0] * 6 + [0.04]], np.float32))
    assert list(dict.fromkeys(texts)) == ["Grasp the mug by its rim", "Grasp the mug by its wall"]
    with pytest.raises(ValueError, match="'mug_wall' is not reached from 'bottle_head' by touch"):
        NeuralTouchEnv(task=TASKS, then="mug_wall")


def test_the_config_survives_a_checkpoint() -> None:
    """lerobot-train stores the config in train_config.json and reads it on --resume."""
    command = Command(parse(f"--env.task={TASKS}", "--env.image_size=32"))
    assert draccus.decode(Command, draccus.encode(command)) == command


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"task": "RefineMugRim,Grasp"}, "Unknown task 'Grasp'. Available: BoltOutInHole, Bot"),
        ({"task": ""}, "Unknown task ''. Available"),
        ({"start": "far"}, "Unknown start 'far'. Available: perturbed, perception"),
        ({"split": "all"}, "Unknown split"),
        ({"noise": "loud"}, "Unknown noise"),
        ({"calibration": "poor"}, "Unknown calibration"),
        ({"robot": "ur10"}, "Unknown robot 'ur10'. Available: gripper, ur5e, ur5"),
        ({"finger": "round"}, "Unknown finger 'round'. Available: dome, flat"),
        ({"gray_map": "log"}, "Unknown gray_map 'log'. Available: linear, tactile_gym"),
        ({"randomisation": "all"}, "Unknown randomisation 'all'. Available: none, nominal, wide"),
        ({"fps": 30}, "fps must be 10, got 30"),
        ({"image_size": 0}, "image_size"),
        ({"num_objects": 0}, "num_objects"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NeuralTouchEnv(**settings)


def test_a_missing_object_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="object_path"):
        NeuralTouchEnv(object_path=str(tmp_path / "none.yaml"))


def test_a_policy_sees_the_contracts_features() -> None:
    seen = env_to_policy_features(NeuralTouchEnv(image_size=48))
    assert {key: feature.shape for key, feature in seen.items()} == {
        features.ACTION: (7,),
        features.STATE: (7,),
        features.TACTILE_LEFT: (3, 48, 48),
        features.TACTILE_RIGHT: (3, 48, 48),
        features.POINT_CLOUD: (1024, 3),
        features.PHASE: (1,),
    }
    assert seen[features.TACTILE_LEFT].type is FeatureType.VISUAL
    assert not any("/" in key for key in NeuralTouchEnv().features)  # dataset columns hold none


@pytest.fixture(scope="module")
def environments() -> dict:
    env = NeuralTouchEnv(task=TASKS, num_objects=1, noise="off")
    made = env.create_envs(n_envs=2, use_async_envs=False)
    yield made
    for suite in made.values():
        suite[0].close()


def test_each_task_is_a_suite_of_its_own(environments: dict) -> None:
    assert list(environments) == TASKS.split(",")
    for task, suite in environments.items():
        env = suite[0]
        assert env.num_envs == 2
        assert env.unwrapped.metadata["render_fps"] == features.CONTROL_HZ
        assert list(env.call("task_description")) == [features.TASKS[task].text] * 2
        assert len(set(env.call("_max_episode_steps"))) == 1


def test_observations_arrive_under_the_contracts_names(environments: dict) -> None:
    env = environments["RefineMugRim"][0]
    raw, info = env.reset(seed=[0, 1], options={NEW_ROLLOUT_OPTION: True})
    seen = preprocess_observation(raw)
    assert {key: tuple(value.shape[1:]) for key, value in seen.items()} == {
        key: feature.shape
        for key, feature in env_to_policy_features(NeuralTouchEnv()).items()
        if key != features.ACTION
    }
    assert not np.any(info["is_success"])
    action = np.tile(env.single_action_space.low * 0.0, (2, 1))
    action[:, 6] = features.MAX_FINGER_DISTANCE
    _, reward, _, _, info = env.step(action)
    assert reward.shape == (2,)
    assert "is_success" in info or "is_success" in info["final_info"]


def test_an_environment_rests_after_its_episode() -> None:
    """LeRobot goes on stepping the batch until its slowest episode ends; those steps must not count."""
    env = NeuralTouchEnv(num_objects=1, noise="off").create_envs(n_envs=1)["RefineMugRim"][0]
    env.reset(seed=[3], options={NEW_ROLLOUT_OPTION: True})
    action = np.zeros((1, 7), dtype=np.float32)
    action[:, 6] = features.MAX_FINGER_DISTANCE
    limit = env.call("_max_episode_steps")[0]
    ends = [bool(np.any(env.step(action)[3])) for _ in range(limit)]
    assert ends == [False] * (limit - 1) + [True]
    last, reward, _, truncated, _ = env.step(action)
    assert truncated[0]
    assert reward[0] == 0.0
    again = env.step(action)[0]
    assert np.array_equal(last["agent_pos"], again["agent_pos"])
    fresh, _ = env.reset(seed=[4], options={NEW_ROLLOUT_OPTION: True})
    assert not np.array_equal(last["agent_pos"], fresh["agent_pos"])
    env.close()


@pytest.mark.slow
def test_workers_make_the_same_episodes_as_one_process() -> None:
    config = NeuralTouchEnv(num_objects=1)
    seen = []
    for use_async in (False, True):
        env = config.create_envs(n_envs=2, use_async_envs=use_async)["RefineMugRim"][0]
        observation, _ = env.reset(seed=[0, 1], options={NEW_ROLLOUT_OPTION: True})
        assert env.call("_max_episode_steps") == (200, 200)
        seen.append(observation)
        env.close()
    for key in ("agent_pos", "point_cloud"):
        assert np.array_equal(seen[0][key], seen[1][key])
    assert np.array_equal(seen[0]["pixels"]["tactile_left"], seen[1]["pixels"]["tactile_left"])
