"""The page that leads to the others."""

from collections.abc import Mapping

import gymnasium
from environment_page import NOTE, picture, task_of
from markdown_tables import table

from gym_neuraltouch.making import NAMESPACE
from gym_neuraltouch.refine_env import RefineEnv


def index(envs: Mapping[str, gymnasium.Env]) -> str:
    """The page that leads to the others."""
    refine = [name for name, env in envs.items() if isinstance(env.unwrapped, RefineEnv)]
    whole = [name for name in envs if name not in refine]
    first, a_whole = refine[0], whole[0]
    return (
        "\n\n".join(
            [
                NOTE,
                "# Environments",
                "Two TacTip fingers in MuJoCo as plain [Gymnasium](https://gymnasium.farama.org) environments: no torch and no LeRobot "
                "in the process. All tasks share one action and one observation space.",
                "## Refine tasks: to bring both fingertips to an ideal contact on a fixed object",
                overview({name: envs[name] for name in refine}),
                "## Whole tasks: the object is free, and the episode is about what becomes of it",
                overview({name: envs[name] for name in whole}),
                "Goals, how an oracle solves each, and what a replayed motion has to do: [whole tasks](../tasks.md).",
                "## Use",
                f"""```python
import gymnasium as gym
import gym_neuraltouch

env = gym.make("{NAMESPACE}/{first}-v0", robot="gripper", render_mode="rgb_array")
observation, info = env.reset(seed=0)
observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
env.close()
```""",
                f"""Many at once, in worker processes (they may be forked, spawned or served):

```python
import gymnasium as gym
import gym_neuraltouch

if __name__ == "__main__":
    envs = gym.make_vec(
        "{NAMESPACE}/{first}-v0",
        num_envs=2,
        vectorization_mode="async",
        vector_kwargs={{"context": "spawn"}},
    )
    observations, infos = envs.reset(seed=0)
    envs.close()
```""",
                "An unknown option or value is a `ValueError` that lists what exists; an unknown id is Gymnasium's `NameNotFound`.",
                "## From the command line",
                f"""```bash
neuraltouch play --task={first}                                    # by keys; h lists them
neuraltouch play --task={first} --script=docs/environments/grasp.yaml --video=outputs/grasp.mp4 --picture=outputs/grasp.png
neuraltouch play --task={a_whole} --robot=gripper
neuraltouch bench throughput
neuraltouch bench soak --minutes=30
neuraltouch bench oracle --num-episodes=50
```""",
                "A script is a list of segments, `{seconds, twist, gripper}` with the twist in the tcp frame [m/s, rad/s] and the finger "
                "distance [m], or `{seconds, teacher: true}`; the pictures here were made with `grasp.yaml`. `bench soak` acts roughly in "
                "all environments on all robots in turn and looks for NaN, for surfaces inside the fingers' hard cores (on the exact mesh, "
                "which the physics never sees) and for growing memory.",
                "## In LeRobot",
                """```bash
lerobot-eval --policy.path=$(neuraltouch pretrained) --policy.device=cpu --env.type=neuraltouch \\
    --env.task=RefineMugRim,RefineBottleHead --eval.n_episodes=2 --eval.batch_size=1 --eval.use_async_envs=false \\
    --output_dir=outputs/eval
```""",
                "Several tasks in one command: `eval_info.json` has their results under `per_task` and `per_group`, and each task's videos lie "
                "in a folder of its own.",
            ]
        )
        + "\n"
    )


def overview(envs: Mapping[str, gymnasium.Env]) -> str:
    """A table of environments with their pictures."""
    rows = [
        (f"[{name}]({name}.md)", link_around(picture(name), name), task.category, task.text)
        for name, env in envs.items()
        for task in [task_of(env)]
    ]
    return table(("environment", "at the target", "object", "task text"), rows)


def link_around(content: str, name: str) -> str:
    """A link to a task's page, if there is something to click on."""
    return f"[{content}]({name}.md)" if content else ""
