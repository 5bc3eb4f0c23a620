"""What a plain Gymnasium user relies on, for every registered id and robot; BottleHead's are quick, the others slow."""

import itertools
from typing import Any

import gymnasium
import gymnasium.utils.env_checker
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import VectorEnv

from gym_neuraltouch.arm_scene import ROBOTS
from gym_neuraltouch.making import make_task, registered_tasks
from gym_neuraltouch.wandering import Wanderer

QUICK = "RefineBottleHead"


def cases() -> list[Any]:
    return [
        pytest.param(task, robot, marks=() if task == QUICK else pytest.mark.slow)
        for task, robot in itertools.product(registered_tasks(), ROBOTS)
    ]


EVERY = pytest.mark.parametrize(("task", "robot"), cases())


def make(task: str, robot: str, **kwargs: Any) -> gymnasium.Env:
    return gymnasium.make(f"gym_neuraltouch/{task}-v0", robot=robot, num_objects=1, **kwargs)


def rollout(env: gymnasium.Env, seed: int, steps: int) -> list[Any]:
    """Everything that an episode under random actions shows, observations first."""
    wanderer = Wanderer(np.random.default_rng(seed))
    obs, info = env.reset(seed=seed)
    seen: list[Any] = [obs]
    for _ in range(steps):
        obs, reward, terminated, truncated, info = env.step(wanderer.act(info["privileged"]))
        seen.append((obs, float(reward), terminated, truncated, info["privileged"]))
    return seen


@EVERY
@pytest.mark.filterwarnings(
    "error",
    "ignore:.*Box observation space (minimum|maximum) value is",
    "ignore:.*we recommend using a symmetric and normalized space",
)
def test_the_checker_has_nothing_to_say(task: str, robot: str) -> None:
    """Poses have no bounds, and actions are in SI units: these two recommendations are declined."""
    env = make(task, robot, render_mode="rgb_array")
    gymnasium.utils.env_checker.check_env(env.unwrapped)
    env.close()


@EVERY
def test_episodes_repeat_under_a_seed_and_stay_inside_their_spaces(task: str, robot: str) -> None:
    first, second = (rollout(make(task, robot), seed=4, steps=8) for _ in range(2))
    assert data_equivalence(first, second)
    space = make(task, robot).observation_space
    assert all(obs in space for obs in [first[0], *(step[0] for step in first[1:])])
    other = rollout(make(task, robot), seed=5, steps=0)
    assert not np.array_equal(first[0]["agent_pos"], other[0]["agent_pos"])


@EVERY
def test_an_action_with_nan_is_refused_by_the_name_of_its_component(task: str, robot: str) -> None:
    env = make(task, robot)
    env.reset(seed=0)
    action = np.zeros(7)
    action[4] = np.nan
    with pytest.raises(ValueError, match=r"NaN or infinity in tcp_wy\.vel"):
        env.step(action)


def make_vector(task: str, mode: str, robot: str = "gripper", **vector_kwargs: Any) -> VectorEnv:
    return gymnasium.make_vec(
        f"gym_neuraltouch/{task}-v0",
        num_envs=2,
        vectorization_mode=mode,
        vector_kwargs=vector_kwargs,
        num_objects=1,
        robot=robot,
    )


def vector_rollout(env: VectorEnv) -> list[Any]:
    """Observations, rewards and endings of three steps of both copies."""
    obs, _ = env.reset(seed=[7, 8])
    env.action_space.seed(0)
    seen: list[Any] = [obs]
    for _ in range(3):
        seen += list(env.step(env.action_space.sample())[:4])
    env.close()
    return seen


def test_a_vector_environment_is_its_copies_side_by_side() -> None:
    seen = vector_rollout(make_vector(QUICK, "sync"))
    single = make(QUICK, "gripper")
    obs, _ = single.reset(seed=8)
    assert np.array_equal(seen[0]["agent_pos"][1], obs["agent_pos"])
    assert np.array_equal(seen[0]["pixels"]["tactile_left"][1], obs["pixels"]["tactile_left"])


@pytest.mark.slow
@pytest.mark.parametrize("context", ["spawn", "forkserver"])
@pytest.mark.parametrize(("task", "robot"), [(QUICK, "gripper"), ("RefineMugRim", "ur5e")])
def test_workers_see_what_one_process_sees(task: str, robot: str, context: str) -> None:
    """However they are started."""
    together = vector_rollout(make_vector(task, "sync", robot))
    apart = vector_rollout(make_vector(task, "async", robot, context=context))
    assert data_equivalence(together, apart)


def test_what_does_not_exist_is_refused_with_what_does() -> None:
    with pytest.raises(ValueError, match=r"Unknown task 'Juggle'\. Available: Bolt.*RefineMugRim"):
        make_task("Juggle")
    with pytest.raises(gymnasium.error.NameNotFound, match="RefineMugRim"):
        gymnasium.make("gym_neuraltouch/RefineMugRin-v0")
    with pytest.raises(ValueError, match=r"Unknown robot 'panda'\. Available: gripper, ur5e, ur5"):
        make(QUICK, "panda")
    with pytest.raises(ValueError, match=r"Unknown option 'robots' of RefineMugRim\. .*\brobot\b"):
        gymnasium.make("gym_neuraltouch/RefineMugRim-v0", robots="ur5e")
    with pytest.raises(ValueError, match=r"Unknown split 'all'\. Available: train, val, test, ood"):
        make(QUICK, "gripper", split="all")
    with pytest.raises(
        ValueError,
        match=r"reset option 'object'\. Available: object_index, start_share, start_turn, contact_offset",
    ):
        make(QUICK, "gripper").reset(options={"object": 1})


def test_every_task_of_the_contract_has_an_id_of_its_name() -> None:
    for task in registered_tasks():
        assert make(task, "gripper").get_wrapper_attr("task").name == task
