"""Memory of fine-phase frames: pictures as bytes, each stored once, histories and successors found by their place.

LeRobot's buffer keeps every observation twice and as floats, 65 kB per step with two 64 x 64 pictures; this one needs
8.5 kB. Its arrays may be files, so that nothing is lost when a training is interrupted.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lerobot_neuraltouch.rl.privileged import PRIVILEGED_SIZE
from lerobot_neuraltouch.rl.refiner import NUM_ACTIONS

STATE_SIZE = 7


@dataclass(frozen=True)
class Segment:
    """Consecutive fine-phase steps of one episode: n actions and the n + 1 frames around them."""

    contact: int
    """Number of the contact that was wanted."""
    left: NDArray[np.uint8]
    """Tactile images of the left finger, (n + 1, H, W)."""
    right: NDArray[np.uint8]
    """And of the right one."""
    state: NDArray[np.float32]
    """`features.STATE_NAMES`, (n + 1, 7)."""
    privileged: NDArray[np.float32]
    """`critic_state`, (n + 1, PRIVILEGED_SIZE)."""
    action: NDArray[np.float32]
    """What was done, squashed scale, (n, 7)."""
    label: NDArray[np.float32]
    """What the teacher would have done, squashed scale, (n, 7)."""
    reward: NDArray[np.float32]
    """(n,)"""

    def __len__(self) -> int:
        return len(self.reward)


@dataclass(frozen=True)
class Frames:
    """A batch of frames as the refiner and the critics see them."""

    left: Tensor
    """In [0, 1], (batch, 1, H, W)."""
    right: Tensor
    """(batch, 1, H, W)"""
    states: Tensor
    """Histories, oldest first, (batch, history, 7)."""
    valid: Tensor
    """Whether there was a fine phase then, (batch, history)."""
    privileged: Tensor
    """(batch, PRIVILEGED_SIZE)"""


@dataclass(frozen=True)
class Transitions:
    """A batch of steps."""

    now: Frames
    after: Frames
    contact: Tensor
    """(batch,)"""
    action: Tensor
    """(batch, 7)"""
    label: Tensor
    """(batch, 7)"""
    reward: Tensor
    """(batch,)"""


class Replay:
    """A ring of frames.

    Args:
        capacity: Frames it holds; the oldest go first.
        image_size: Height and width of a tactile image [pixels].
        folder: Where to keep the arrays as files; they are taken up again if there are any. None keeps them in memory.
    """

    def __init__(self, capacity: int, image_size: int, folder: Path | None = None):
        self.capacity, self._folder = capacity, folder
        picture = (capacity, image_size, image_size)
        self._left = self._array("left", picture, np.uint8)
        self._right = self._array("right", picture, np.uint8)
        self._state = self._array("state", (capacity, STATE_SIZE), np.float32)
        self._privileged = self._array("privileged", (capacity, PRIVILEGED_SIZE), np.float32)
        self._action = self._array("action", (capacity, NUM_ACTIONS), np.float32)
        self._label = self._array("label", (capacity, NUM_ACTIONS), np.float32)
        self._reward = self._array("reward", (capacity,), np.float32)
        self._contact = self._array("contact", (capacity,), np.int16)
        self._age = self._array("age", (capacity,), np.int32)
        """Steps since the segment began."""
        self._acted = self._array("acted", (capacity,), np.bool_)
        """Whether the frame has an action and a successor."""
        self._next, self._filled = self._recall()

    def __len__(self) -> int:
        """Frames in memory."""
        return self._filled

    def add(self, segment: Segment) -> None:
        """Remember a segment.

        Raises:
            ValueError: If it is longer than the whole memory.
        """
        count = len(segment) + 1
        if count > self.capacity:
            raise ValueError(
                f"A segment of {count} frames does not fit into a memory of {self.capacity}."
            )
        if self._next + count > self.capacity:
            self._acted[self._next :] = False
            self._next = 0
        rows = slice(self._next, self._next + count)
        acted = slice(rows.start, rows.stop - 1)
        self._left[rows], self._right[rows] = segment.left, segment.right
        self._state[rows], self._privileged[rows] = segment.state, segment.privileged
        self._action[acted], self._label[acted] = segment.action, segment.label
        self._reward[acted], self._contact[rows] = segment.reward, segment.contact
        self._age[rows] = np.arange(count)
        self._acted[acted], self._acted[rows.stop - 1] = True, False
        self._forget_rest(rows.stop)
        self._next = rows.stop % self.capacity
        self._filled = max(self._filled, rows.stop)

    def sample(
        self,
        batch: int,
        deltas: Sequence[int],
        rng: np.random.Generator,
        newest: int | None = None,
    ) -> Transitions:
        """Draw steps, each remembered one with the same probability.

        Args:
            batch: How many.
            deltas: Control steps of the histories relative to now, at most 0, the present one last.
            rng: Source of the draws.
            newest: Draw only from so many of the newest frames.

        Raises:
            ValueError: If nothing has been added yet.
        """
        rows = self._draw(batch, rng, min(newest or self._filled, self._filled))
        return Transitions(
            self._frames(rows, deltas),
            self._frames(rows + 1, deltas),
            torch.from_numpy(self._contact[rows].astype(np.int64)),
            torch.from_numpy(self._action[rows]),
            torch.from_numpy(self._label[rows]),
            torch.from_numpy(self._reward[rows]),
        )

    def flush(self) -> None:
        """Note what the files hold, so that another process can go on with them."""
        if self._folder is not None:
            note = {"next": self._next, "filled": self._filled}
            fresh = self._folder / "ring.json.new"
            fresh.write_text(json.dumps(note))
            fresh.replace(self._folder / "ring.json")

    def _draw(self, batch: int, rng: np.random.Generator, newest: int) -> NDArray[np.int64]:
        if not self._filled:
            raise ValueError("Nothing can be drawn from an empty memory.")

        def draw(count: int) -> NDArray[np.int64]:
            return (self._next - 1 - rng.integers(newest, size=count)) % self._filled

        rows = draw(batch)
        while not (found := self._acted[rows]).all():
            rows[~found] = draw(int((~found).sum()))
        return rows

    def _frames(self, rows: NDArray[np.int64], deltas: Sequence[int]) -> Frames:
        age = self._age[rows][:, None]
        ago = np.asarray(deltas)[None, :]
        return Frames(
            _gray(self._left[rows]),
            _gray(self._right[rows]),
            torch.from_numpy(self._state[rows[:, None] + np.maximum(ago, -age)]),
            torch.from_numpy(age + ago >= 0),
            torch.from_numpy(self._privileged[rows]),
        )

    def _forget_rest(self, row: int) -> None:
        """What is left of a segment whose beginning was overwritten has lost its past."""
        while row < self._filled and self._age[row] > 0:
            self._acted[row] = False
            row += 1

    def _array(self, name: str, shape: tuple[int, ...], dtype: type) -> np.ndarray:
        if self._folder is None:
            return np.zeros(shape, dtype)
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{name}.npy"
        if not path.exists():
            if (self._folder / "ring.json").exists():
                raise ValueError(
                    f"{self._folder} holds a memory without {path.name}: it is of another version. Begin anew in another folder."
                )
            return np.lib.format.open_memmap(path, "w+", np.dtype(dtype), shape)
        found = np.lib.format.open_memmap(path, "r+")
        if found.shape != shape or found.dtype != dtype:
            raise ValueError(
                f"{path} holds {found.shape} {found.dtype}, wanted {shape} {np.dtype(dtype)}: another capacity or "
                "image size needs another folder."
            )
        return found

    def _recall(self) -> tuple[int, int]:
        note = None if self._folder is None else self._folder / "ring.json"
        if note is None or not note.exists():
            return 0, 0
        found = json.loads(note.read_text())
        return int(found["next"]), int(found["filled"])


def _gray(pictures: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(pictures)[:, None].float() / 255.0
