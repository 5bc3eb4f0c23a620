"""Two-finger TacTip gripper in MuJoCo as Gymnasium environments `gym_neuraltouch/<Task>-v0`."""

import gymnasium

from lerobot_neuraltouch.features import TASKS

for _task in TASKS:
    if _task.startswith("Refine"):
        gymnasium.register(
            id=f"gym_neuraltouch/{_task}-v0",
            entry_point="gym_neuraltouch.refine_env:RefineEnv",
            kwargs={"task": _task},
        )
