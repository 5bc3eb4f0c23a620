"""A module of this package in a process of its own, which answers one request after the other and ends with its parent.

The child imports that module and what it needs, not LeRobot, so it starts in a fraction of a second and stays small.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

_ENDING_S = 5.0
"""How long a child may take to end by itself."""
_ORPHAN_S = 1.0
"""How often an idle child looks whether its parent is still there: a copy of the parent may keep the pipe open."""

# The plugin's own __init__ imports LeRobot; a bare module in its place leaves that out.
_BOOT = """
import importlib, sys, types
name, path, module, handle = sys.argv[1:]
package = types.ModuleType(name)
package.__path__ = [path]
sys.modules[name] = package
importlib.import_module(name + "." + module).serve(int(handle))
"""


class Child:
    """The parent's side. One thread at a time.

    Args:
        module: Module of this package, e.g. "control"; its `serve(handle)` is run in the child and calls `answer_requests`.
    """

    def __init__(self, module: str) -> None:
        self._pipe, theirs = Pipe()
        handle, package = theirs.fileno(), Path(__file__).parent
        self._process = subprocess.Popen(
            [sys.executable, "-c", _BOOT, package.name, str(package), module, str(handle)],
            pass_fds=[handle],
            stdin=subprocess.DEVNULL,
        )
        theirs.close()

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def ask(self, *request: Any, timeout_s: float) -> Any:
        """Wait for the answer to a request.

        Raises:
            TimeoutError: If none comes in time; the child is killed, since it is out of step with its parent.
            ConnectionError: If the child is gone.
            Exception: What the child raised.
        """
        try:
            self._pipe.send(request)
            answered = self._pipe.poll(timeout_s)
            answer = self._pipe.recv() if answered else None
        except (OSError, EOFError) as error:
            raise ConnectionError("its process has ended") from error
        if not answered:
            self.kill()
            raise TimeoutError(f"no answer from its process within {timeout_s:g} s")
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def stop(self) -> None:
        """Let it end, or kill it if it does not; harmless when done twice."""
        self._pipe.close()
        try:
            self._process.wait(_ENDING_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it now; harmless when done twice."""
        self._pipe.close()
        self._process.kill()
        self._process.wait()


def answer_requests(
    handle: int,
    do: Callable[..., Any],
    idle: Callable[[], None] = lambda: None,
    idle_s: float = _ORPHAN_S,
) -> None:
    """Be the child: answer what comes through the pipe until the parent closes it or is gone.

    Args:
        handle: The pipe's file descriptor.
        do: What answers a request; what it raises is raised in the parent.
        idle: Called whenever no request has come for a while.
        idle_s: How long a while is [s].
    """
    # Ctrl-C is for the parent, which then closes the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pipe, parent = Connection(handle), os.getppid()
    try:
        while True:
            while not pipe.poll(idle_s):
                if os.getppid() != parent:
                    return
                idle()
            try:
                answer = do(*pipe.recv())
            except Exception as error:  # noqa: BLE001 - the parent raises it
                answer = error
            pipe.send(answer)
    except (EOFError, OSError):
        pass
