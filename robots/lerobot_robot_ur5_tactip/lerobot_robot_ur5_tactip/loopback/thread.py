"""The loopback controller on a thread: an event loop that owns the robot and all its connections.

Because everything happens in that thread, between two control steps or within one, nothing needs a lock. A loop that was held up by a busy
machine first hears what clients sent and then makes up for the latest of the missed steps, so a late machine does not look like a silent
client. One that is too slow for the rate makes the controller's clock slow: tests go by that clock, not by their own.
"""

import asyncio
import selectors
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from .config import DASHBOARD_PORT, GRIPPER_PORT, RTDE_PORT, SCRIPT_PORT, LoopbackConfig, changed
from .dashboard import DashboardConnection
from .faults import Faults, check_fault
from .gripper_server import Gripper, GripperConnection
from .interface import NOT_RUNNING, Loopback
from .link import Connection, Link
from .log import Record
from .robot import Robot
from .rtde_server import RtdeConnection
from .script_server import ScriptConnection
from .state import ControllerState, picture

_MAX_LAG_S = 0.1
"""Steps that are later than this are given up: the controller's clock then loses that time."""
T = TypeVar("T")


class LoopbackThread(Loopback):
    """A loopback controller on a thread of this process, for clients in other processes.

    Clients of `ur_rtde` in the same process cannot connect to it: their constructors hold Python's interpreter lock while they wait for
    answers. Use `LoopbackController`.
    """

    def __init__(self, host: str = "127.0.0.2", model: str = "ur5e", **settings: Any) -> None:
        """See `LoopbackConfig` for the settings.

        Raises:
            ValueError: If a setting is refused.
        """
        self.config = LoopbackConfig(host=host, model=model, **settings)
        self._thread: threading.Thread | None = None

    # --- life --------------------------------------------------------------------------------------------------------

    def start(self) -> None:  # noqa: D102
        if self._thread is not None:
            return
        self._robot = Robot(self.config)
        self._gripper = Gripper() if self.config.gripper else None
        self._link = Link(self.config.host, self._ports())
        self._faults = Faults(self._robot, self._link)
        # Only select waits with a finer resolution than a millisecond; steps come every two.
        self._loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
        try:
            self._loop.run_until_complete(self._link.open())
        except OSError:
            self._loop.close()
            raise
        self._next_step = self._loop.time()
        self._loop.call_soon(self._step)
        self._thread = threading.Thread(
            target=self._run, name=f"loopback {self.config.host}", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:  # noqa: D102
        if self._thread is None:
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._thread = None

    def reset(self, **settings: Any) -> None:  # noqa: D102
        self.config = changed(self.config, settings)
        self.stop()
        self.start()

    def _run(self) -> None:
        try:
            self._loop.run_forever()
        finally:
            self._link.close()
            self._loop.run_until_complete(asyncio.sleep(0))  # connections say good-bye
            self._loop.close()

    def _ports(self) -> dict[int, Callable[[Link], Connection]]:
        ports: dict[int, Callable[[Link], Connection]] = {
            RTDE_PORT: lambda link: RtdeConnection(link, self._robot),
            SCRIPT_PORT: lambda link: ScriptConnection(link, self._robot),
            DASHBOARD_PORT: lambda link: DashboardConnection(link, self._robot),
        }
        if (gripper := self._gripper) is not None:
            ports[GRIPPER_PORT] = lambda link: GripperConnection(link, gripper)
        return ports

    # --- control steps -----------------------------------------------------------------------------------------------

    def _step(self) -> None:
        self._robot.step()
        if self._gripper is not None:
            self._gripper.step(self.config.period_s)
        for connection in list(self._link.connections):
            if isinstance(connection, RtdeConnection):
                connection.stream(frozen="frozen_stream" in self._faults.active)
            elif isinstance(connection, ScriptConnection):
                connection.stream()
        self._next_step = max(
            self._next_step + self.config.period_s, self._loop.time() - _MAX_LAG_S
        )
        self._loop.call_at(self._next_step, self._step)

    # --- what tests ask for ------------------------------------------------------------------------------------------

    def fault(self, name: str, **settings: Any) -> None:  # noqa: D102
        check_fault(name)
        self._await(lambda: self._faults.set(name, **settings))

    def clear(self, name: str) -> None:  # noqa: D102
        check_fault(name)
        self._await(lambda: self._faults.clear(name))

    def set_joints(self, joints: Sequence[float]) -> None:  # noqa: D102
        self._call(lambda: self._robot.place(joints))

    def set_wrench(self, wrench: Sequence[float]) -> None:  # noqa: D102
        self._call(lambda: self._robot.set_wrench(wrench))

    def records(self, *sources: str, since_s: float = 0.0) -> list[Record]:  # noqa: D102
        return self._call(lambda: self._robot.log.select(sources, since_s))

    def clear_log(self) -> None:  # noqa: D102
        self._call(lambda: self._robot.log.records.clear())

    @property
    def state(self) -> ControllerState:  # noqa: D102
        return self._call(lambda: picture(self._robot, self._gripper, self._faults.active))

    # --- between threads ---------------------------------------------------------------------------------------------

    def _call(self, function: Callable[[], T]) -> T:
        """Run a function in the controller's thread."""

        async def call() -> T:
            return function()

        return self._await(call)

    def _await(self, function: Callable[[], Awaitable[T]]) -> T:
        """Run a coroutine in the controller's thread."""
        if self._thread is None:
            raise RuntimeError(NOT_RUNNING)

        async def run() -> T:
            return await function()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result()
