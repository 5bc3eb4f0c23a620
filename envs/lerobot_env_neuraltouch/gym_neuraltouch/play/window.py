"""A live picture on the screen, where there is one.

By Tk, which comes with Python: the OpenCV that LeRobot depends on is built without windows.
"""

import logging

import numpy as np
from numpy.typing import NDArray

logger = logging.getLogger(__name__)


class Window:
    """Shows pictures and collects the keys typed in it.

    Raises:
        OSError: If there is no display, or no Tk.
    """

    def __init__(self, title: str) -> None:
        try:
            import tkinter

            self._root = tkinter.Tk()
        except (ImportError, RuntimeError) as error:
            raise OSError(f"no Tk: {error}") from error
        except Exception as error:  # tkinter.TclError, whose module may be what is missing
            raise OSError(f"no display: {error}") from error
        self._tk = tkinter
        self._root.title(title)
        self._root.resizable(False, False)
        self._label = tkinter.Label(self._root, borderwidth=0)
        self._label.pack()
        self._typed = ""
        self._open = True
        self._root.bind("<Key>", self._take)
        self._root.protocol("WM_DELETE_WINDOW", self._shut)

    def show(self, picture: NDArray[np.uint8]) -> None:
        """Show a picture, uint8 (height, width, 3)."""
        if not self._open:
            return
        height, width = picture.shape[:2]
        data = b"P6 %d %d 255 " % (width, height) + np.ascontiguousarray(picture).tobytes()
        self._photo = self._tk.PhotoImage(master=self._root, data=data, format="PPM")
        self._label.configure(image=self._photo)
        self._root.update()

    def read(self) -> str:
        """The keys typed since the last call; a closed window types `x`."""
        typed, self._typed = self._typed, ""
        return typed if self._open else "x"

    def close(self) -> None:
        """Take it from the screen."""
        if self._open:
            self._shut()

    def _take(self, event: object) -> None:
        self._typed += getattr(event, "char", "")

    def _shut(self) -> None:
        self._open = False
        self._root.destroy()


def open_window(title: str) -> Window | None:
    """A window, or None where there is no display."""
    try:
        return Window(title)
    except OSError as error:
        logger.info("No window: %s", error)
        return None
