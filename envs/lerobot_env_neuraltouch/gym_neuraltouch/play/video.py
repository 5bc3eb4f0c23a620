"""Pictures into an MP4 file, one by one."""

from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray


class VideoFile:
    """An H.264 video that grows picture by picture and gets its name when it is complete.

    Args:
        path: Where it shall be; missing folders are made.
        fps: Pictures per second.
    """

    def __init__(self, path: Path, fps: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._partial = path, path.with_suffix(".partial.mp4")
        self._container = av.open(str(self._partial), "w")
        self._stream = self._container.add_stream("libx264", rate=fps, options={"crf": "20"})
        self._stream.pix_fmt = "yuv420p"

    def show(self, picture: NDArray[np.uint8]) -> None:
        """Append a picture, uint8 (height, width, 3), both even and always the same."""
        self._stream.height, self._stream.width = picture.shape[:2]
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Finish the file."""
        self._container.mux(self._stream.encode(None))
        self._container.close()
        self._partial.replace(self._path)
