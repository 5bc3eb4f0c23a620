"""A LeRobot dataset that is written frame by frame, and whether all of it is there afterwards."""

from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from lerobot.datasets import LeRobotDataset
from lerobot.robots import Robot
from lerobot.utils.constants import ACTION, OBS_STR
from lerobot.utils.feature_utils import build_dataset_frame, hw_to_dataset_features

_REPO_ID = "local/streaming"
_TASK = "stream"
_WRITERS_PER_CAMERA = 4  # as lerobot-record does


class Recording:
    """A new dataset of a robot's frames, in the way that lerobot-record fills one.

    Args:
        robot: Whose observations and actions are stored.
        root: The dataset's folder, which must not exist.
        fps: Frames per second.
    """

    def __init__(self, robot: Robot, root: Path, fps: int) -> None:
        self._root, self._digests = root, []
        self._features = hw_to_dataset_features(
            robot.observation_features, OBS_STR, use_video=False
        ) | hw_to_dataset_features(robot.action_features, ACTION)
        self._dataset = LeRobotDataset.create(
            _REPO_ID,
            fps,
            self._features,
            root=root,
            robot_type=robot.name,
            use_videos=False,
            image_writer_threads=_WRITERS_PER_CAMERA * len(robot.cameras),
        )
        self._num_open = 0
        self.num_episodes = 0

    @property
    def num_frames(self) -> int:
        """Frames given so far."""
        return len(self._digests)

    def add(self, observation: dict[str, Any], action: dict[str, Any]) -> None:
        """Add a frame to the current episode."""
        frame = build_dataset_frame(
            self._features, observation, prefix=OBS_STR
        ) | build_dataset_frame(self._features, action, prefix=ACTION)
        self._digests.append(_digest(frame))
        self._dataset.add_frame(frame | {"task": _TASK})
        self._num_open += 1

    def end_episode(self) -> None:
        """Store the current episode, if it has frames."""
        if self._num_open:
            self._dataset.save_episode()
            self._num_open, self.num_episodes = 0, self.num_episodes + 1

    def close(self) -> None:
        """Store what is open and finish the dataset."""
        self.end_episode()
        self._dataset.finalize()

    def compare(self) -> tuple[int, int]:
        """Read the dataset from its files: how many frames are there, and how many of them are what was given, in order."""
        dataset = LeRobotDataset(_REPO_ID, root=self._root)
        found = []
        for number in range(len(dataset)):
            item = dataset[number]
            assert isinstance(item, dict)
            found.append(_digest(_as_given(item, self._features)))
        return len(found), sum(a == b for a, b in zip(found, self._digests, strict=False))


def _digest(frame: dict[str, np.ndarray]) -> bytes:
    found = blake2b(digest_size=16)
    for name in sorted(frame):
        found.update(np.ascontiguousarray(frame[name]).tobytes())
    return found.digest()


def _as_given(item: dict[str, Any], features: dict[str, dict]) -> dict[str, np.ndarray]:
    """A dataset's item with pictures as the cameras gave them: (H, W, 3) uint8 instead of (3, H, W) from 0 to 1."""
    frame = {}
    for name, feature in features.items():
        value = item[name].numpy()
        if feature["dtype"] == "image":
            value = np.rint(255 * value.transpose(1, 2, 0)).astype(np.uint8)
        frame[name] = value
    return frame
