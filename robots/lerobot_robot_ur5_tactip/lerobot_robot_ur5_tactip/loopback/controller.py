"""The loopback controller in a child process: control steps that no thread of the test can hold up.

The child imports this package and the core alone, not the plugin around it, so it starts in a second and stays small. It ends with its parent.
"""

from collections.abc import Sequence
from typing import Any

from ..child import Child, answer_requests
from .config import LoopbackConfig, changed
from .faults import check_fault
from .interface import NOT_RUNNING, Loopback
from .log import Record
from .state import ControllerState
from .thread import LoopbackThread

_START_S = 120.0
_CALL_S = 30.0


class LoopbackController(Loopback):
    """A loopback controller in a process of its own."""

    def __init__(self, host: str = "127.0.0.2", model: str = "ur5e", **settings: Any) -> None:
        """See `LoopbackConfig` for the settings.

        Raises:
            ValueError: If a setting is refused.
        """
        self.config = LoopbackConfig(host=host, model=model, **settings)
        self._child: Child | None = None

    def start(self) -> None:  # noqa: D102
        if self._child is not None:
            return
        self._child = Child("loopback.controller")
        try:
            self._ask("start", vars(self.config), timeout_s=_START_S)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:  # noqa: D102
        if self._child is not None:
            self._child.stop()
            self._child = None

    def reset(self, **settings: Any) -> None:  # noqa: D102
        config = changed(self.config, settings)
        self._ask("reset", settings, timeout_s=_START_S)
        self.config = config

    @property
    def pid(self) -> int | None:
        """Number of the child process, None if it does not run."""
        return None if self._child is None else self._child.pid

    def fault(self, name: str, **settings: Any) -> None:  # noqa: D102
        check_fault(name)
        self._ask("fault", name, settings)

    def clear(self, name: str) -> None:  # noqa: D102
        check_fault(name)
        self._ask("clear", name)

    def set_joints(self, joints: Sequence[float]) -> None:  # noqa: D102
        self._ask("set_joints", [float(angle) for angle in joints])

    def set_wrench(self, wrench: Sequence[float]) -> None:  # noqa: D102
        self._ask("set_wrench", [float(number) for number in wrench])

    def records(self, *sources: str, since_s: float = 0.0) -> list[Record]:  # noqa: D102
        return self._ask("records", sources, since_s)

    def clear_log(self) -> None:  # noqa: D102
        self._ask("clear_log")

    @property
    def state(self) -> ControllerState:  # noqa: D102
        return self._ask("state")

    def _ask(self, *request: Any, timeout_s: float = _CALL_S) -> Any:
        if self._child is None:
            raise RuntimeError(NOT_RUNNING)
        return self._child.ask(*request, timeout_s=timeout_s)


def serve(handle: int) -> None:
    """The child: starts the controller when asked to, then does with it what it is asked to."""
    controller: LoopbackThread | None = None

    def do(what: str, *arguments: Any) -> Any:
        nonlocal controller
        if controller is None:
            controller = LoopbackThread(**arguments[0])
            controller.start()
            return None
        return _do(controller, what, arguments)

    answer_requests(handle, do)
    if controller is not None:
        controller.stop()


def _do(controller: LoopbackThread, what: str, arguments: tuple[Any, ...]) -> Any:
    if what == "records":
        sources, since_s = arguments
        return controller.records(*sources, since_s=since_s)
    if what in ("fault", "reset"):
        *names, settings = arguments
        return getattr(controller, what)(*names, **settings)
    result = getattr(controller, what)
    return result(*arguments) if callable(result) else result
