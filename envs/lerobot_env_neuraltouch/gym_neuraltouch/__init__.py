"""A TacTip gripper in MuJoCo as plain Gymnasium environments; importing this registers `gym_neuraltouch/<Task>-v0`."""

import gymnasium

from lerobot_neuraltouch.features import REFINE_TASKS, WHOLE_TASKS

_MAKERS = {
    "Refine": "make_refine",
    "PickPlace": "make_pick_place",
    "OutInHole": "make_insert",
    "LidOpening": "make_lid",
}

for _task in (*REFINE_TASKS, *WHOLE_TASKS):
    for _part, _maker in _MAKERS.items():
        if _part in _task:
            gymnasium.register(
                id=f"gym_neuraltouch/{_task}-v0",
                entry_point=f"gym_neuraltouch.making:{_maker}",
                kwargs={"task": _task},
            )
