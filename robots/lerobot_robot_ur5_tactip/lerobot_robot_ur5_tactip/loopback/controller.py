"""The loopback controller in a child process: control steps that no thread of the test can hold up.

The child imports this package and the core alone, not the plugin around it, so it starts in a second and stays small. It ends with its parent.
"""

import subprocess
import sys
from collections.abc import Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from .config import LoopbackConfig, changed
from .faults import check_fault
from .interface import NOT_RUNNING, Loopback
from .log import Record
from .state import ControllerState
from .thread import LoopbackThread

_START_S = 120.0
_CALL_S = 30.0

# The plugin's own __init__ imports LeRobot; a bare module in its place leaves that out.
_CHILD = """
import importlib, sys, types
name, path, handle = sys.argv[1:]
package = types.ModuleType(name)
package.__path__ = [path]
sys.modules[name] = package
importlib.import_module(name + ".loopback.controller").serve(int(handle))
"""


class LoopbackController(Loopback):
    """A loopback controller in a process of its own."""

    def __init__(self, host: str = "127.0.0.2", model: str = "ur5e", **settings: Any) -> None:
        """See `LoopbackConfig` for the settings.

        Raises:
            ValueError: If a setting is refused.
        """
        self.config = LoopbackConfig(host=host, model=model, **settings)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:  # noqa: D102
        if self._process is not None:
            return
        self._pipe, theirs = Pipe()
        package = __name__.split(".")[0]
        handle = theirs.fileno()
        self._process = subprocess.Popen(
            [sys.executable, "-c", _CHILD, package, str(Path(__file__).parents[1]), str(handle)],
            pass_fds=[handle],
            stdin=subprocess.DEVNULL,
        )
        theirs.close()
        try:
            self._ask("start", vars(self.config), timeout_s=_START_S)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:  # noqa: D102
        if self._process is None:
            return
        self._pipe.close()
        try:
            self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def reset(self, **settings: Any) -> None:  # noqa: D102
        config = changed(self.config, settings)
        self._ask("reset", settings, timeout_s=_START_S)
        self.config = config

    @property
    def pid(self) -> int | None:
        """Number of the child process, None if it does not run."""
        return None if self._process is None else self._process.pid

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

    def _ask(self, what: str, *arguments: Any, timeout_s: float = _CALL_S) -> Any:
        if self._process is None:
            raise RuntimeError(NOT_RUNNING)
        self._pipe.send((what, arguments))
        if not self._pipe.poll(timeout_s):
            raise TimeoutError(f"The loopback process did not answer '{what}' in {timeout_s} s.")
        answer = self._pipe.recv()
        if isinstance(answer, BaseException):
            raise answer
        return answer


def serve(handle: int) -> None:
    """Be the child: do what comes through the pipe until the parent closes it or is gone."""
    import signal

    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C is for the parent, which then closes the pipe
    pipe = Connection(handle)
    controller: LoopbackThread | None = None
    try:
        while True:
            what, arguments = pipe.recv()
            try:
                if controller is None:
                    controller = LoopbackThread(**arguments[0])
                    controller.start()
                    answer = None
                else:
                    answer = _do(controller, what, arguments)
            except Exception as error:  # noqa: BLE001 - the parent raises it
                answer = error
            pipe.send(answer)
    except (EOFError, OSError):
        pass
    finally:
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
