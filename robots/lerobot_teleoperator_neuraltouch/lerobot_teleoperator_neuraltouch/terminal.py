"""Keys from the terminal, shared with whoever else reads it.

LeRobot's recording commands read the same terminal for their own keys, and a byte that one reader takes is lost to the other.
So this one reads all of them and hands on those that are not its own, through a pseudo-terminal put in the place of standard input.
"""

import atexit
import contextlib
import os
import re
import select
import sys
import threading
import time
from typing import TextIO

_KEY = re.compile(rb"\x1b\[[0-?]*[@-~]|\x1bO.|.", re.DOTALL)
"""An arrow or another special key is an escape sequence, whose letters are no keys of their own."""
_LEFT_OPEN: list[TextIO] = []
"""Replacements of standard input: LeRobot's listener lets go of its end of the pseudo-terminal only after us."""


class TerminalKeys:
    """Reads single keys as they are pressed or repeated.

    Args:
        own: The keys to keep, one character each.
    """

    def __init__(self, own: frozenset[str]) -> None:
        self._own = frozenset(key.encode() for key in own)
        self._pressed: list[tuple[str, float]] = []
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Take over standard input.

        Raises:
            ConnectionError: If it is no terminal, or this system has none of that kind.
        """
        try:
            import pty
            import termios
            import tty
        except ImportError as error:
            raise ConnectionError("Reading keys needs a POSIX terminal.") from error
        if not sys.stdin.isatty():
            raise ConnectionError(
                "Standard input is no terminal, so no keys can be read: run the command in one, without a pipe."
            )
        self._stdin: TextIO = sys.stdin
        self._fd = self._stdin.fileno()
        self._settings = termios.tcgetattr(self._fd)
        self._onward, other = pty.openpty()
        tty.setcbreak(self._fd)
        tty.setcbreak(other)
        os.set_blocking(self._onward, False)
        sys.stdin = os.fdopen(other, encoding=self._stdin.encoding)
        self._stop, self._wake = os.pipe()
        atexit.register(self.close)  # a crash must not leave a terminal that shows nothing
        self._thread = threading.Thread(target=self._read, name="terminal keys", daemon=True)
        self._thread.start()

    def take(self) -> list[tuple[str, float]]:
        """Own keys since the last call, in order, with their times by `time.monotonic`."""
        with self._lock:
            pressed, self._pressed = self._pressed, []
        return pressed

    def close(self) -> None:
        """Give standard input back as it was; harmless when done twice."""
        if self._thread is None:
            return
        import termios

        os.write(self._wake, b"x")
        self._thread.join()
        self._thread = None
        termios.tcsetattr(self._fd, termios.TCSADRAIN, self._settings)
        _LEFT_OPEN.append(sys.stdin)
        sys.stdin = self._stdin
        os.close(self._stop)
        os.close(self._wake)
        atexit.unregister(self.close)

    def _read(self) -> None:
        while True:
            ready, _, _ = select.select([self._fd, self._stop], [], [])
            if self._stop in ready:
                return
            data = os.read(self._fd, 64)
            if not data:  # the terminal is gone
                return
            self._sort(data)

    def _sort(self, data: bytes) -> None:
        """Keep own keys and hand on the others."""
        typed = _KEY.findall(data)
        own = [key.decode() for key in typed if key in self._own]
        now = time.monotonic()
        with self._lock:
            self._pressed += [(key, now) for key in own]
        onward = b"".join(key for key in typed if key not in self._own)
        if onward:
            # Nobody may be listening, and then the pseudo-terminal fills up: its keys are dropped.
            with contextlib.suppress(BlockingIOError):
                os.write(self._onward, onward)
