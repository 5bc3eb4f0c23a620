"""A loopback controller: the network face of a UR5 or UR5e, so that the robot plugin can be tested without an arm.

It speaks what the unmodified `ur-rtde` client needs (RTDE on port 30004, the dashboard on 29999, program upload and
state stream on 30003, the Robotiq gripper's socket on 63352) and moves a kinematic arm, `lerobot_neuraltouch.kinematics`,
at the controller's own rate. It records every command and the speed of every control step. What it cannot show: dynamics, tracking
error, stopping distances, force sensing, real-time jitter. It is a loopback controller, not a robot.

    with LoopbackController(host="127.0.0.3", model="ur5e") as arm:
        control = rtde_control.RTDEControlInterface("127.0.0.3")
        control.speedL([0.02, 0, 0, 0, 0, 0], 0.5)
        arm.fault("protective_stop")
        assert arm.state.safety_mode == "PROTECTIVE_STOP"
        assert all(record.speed <= 0.02 + 1e-9 for record in arm.log)

`LoopbackController` runs in a child process, `LoopbackThread` on a thread, for clients in other processes: a constructor of `ur_rtde`
holds Python's interpreter lock while it waits for the robot, so it would wait for ever for a robot in its own process.

Ports are fixed, so arms side by side use addresses of their own: any of 127.0.0.0/8 on Linux. The client skips its remote-control check
on 127.0.0.1; use another one.
"""

from .config import LoopbackConfig as LoopbackConfig
from .controller import LoopbackController as LoopbackController
from .faults import FAULTS as FAULTS
from .interface import Loopback as Loopback
from .log import Record as Record
from .state import ControllerState as ControllerState
from .thread import LoopbackThread as LoopbackThread
