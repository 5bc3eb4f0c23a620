"""One recorded episode as the raw material of a skill."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from numpy.typing import NDArray

from lerobot_neuraltouch import features, se3
from lerobot_neuraltouch.features import Phase

Array = NDArray[np.float64]


@dataclass(frozen=True)
class RecordedEpisode:
    """An episode of a dataset; T frames."""

    cloud: NDArray[np.float32]
    """The object in base [m], (num_points, 3)."""
    T_base_tcp: Array
    """(T, 4, 4)"""
    finger_distances: Array
    """Measured [m], (T,)."""
    set_points: Array
    """Commanded finger distance [m], (T,)."""
    phases: NDArray[np.int64] | None
    """Recorded `features.Phase`, (T,), where the dataset has them."""
    task: str
    """Its task text."""

    def grasp_frame(self, chosen: int | None = None) -> int:
        """The chosen frame, or the last one of the fine phase.

        Raises:
            ValueError: If the chosen frame does not exist, or phases were not recorded and none was chosen.
        """
        if chosen is not None:
            if not 0 <= chosen < len(self.T_base_tcp):
                raise ValueError(
                    f"Frame {chosen} does not exist; the episode has {len(self.T_base_tcp)}."
                )
            return chosen
        fine = [] if self.phases is None else np.flatnonzero(self.phases == Phase.FINE)
        if not len(fine):
            raise ValueError(
                f"The episode has no fine phase in {features.PHASE}: give --grasp-frame, the frame at which both "
                "fingers hold the part as they should."
            )
        return int(fine[-1])


def read_episode(root: Path, episode: int) -> RecordedEpisode:
    """Read one episode of a LeRobotDataset v3 without decoding its pictures.

    Raises:
        ValueError: If the dataset lacks columns or the episode does not exist.
    """
    if not (root / "meta" / "info.json").exists():
        raise ValueError(f"{root} is no LeRobot dataset: it has no meta/info.json.")
    # Naming the decoder keeps LeRobot from trying, at length, to load another one; no video is decoded here.
    dataset = LeRobotDataset(f"local/{root.name}", root=root, video_backend="pyav")
    if not 0 <= episode < dataset.num_episodes:
        raise ValueError(
            f"Episode {episode} does not exist; the dataset has 0 to {dataset.num_episodes - 1}."
        )
    needed = (features.STATE, features.ACTION, features.POINT_CLOUD)
    missing = [key for key in needed if key not in dataset.features]
    if missing:
        raise ValueError(
            f"A skill needs {', '.join(missing)} in the dataset; it has {', '.join(sorted(dataset.features))}."
        )
    optional = [k for k in (features.PHASE, features.EXECUTED_ACTION) if k in dataset.features]
    assert dataset.meta.episodes is not None  # loaded with the dataset
    assert dataset.meta.tasks is not None
    meta = dataset.meta.episodes[episode]
    first, last = meta["dataset_from_index"], meta["dataset_to_index"]
    columns = [*needed[:2], *optional, "task_index"]
    rows = dataset.hf_dataset.select_columns(columns).with_format("numpy")[first:last]
    clouds = dataset.hf_dataset.select_columns([features.POINT_CLOUD]).with_format("numpy")
    states = np.asarray(rows[features.STATE], dtype=np.float64)
    # In corrected (DAgger) data the action is the teacher's advice; what moved the fingers is recorded apart.
    moved = rows[features.EXECUTED_ACTION if features.EXECUTED_ACTION in rows else features.ACTION]
    phases = np.asarray(rows[features.PHASE]).reshape(-1) if features.PHASE in rows else None
    return RecordedEpisode(
        cloud=np.asarray(clouds[first][features.POINT_CLOUD], dtype=np.float32).reshape(-1, 3),
        T_base_tcp=se3.from_rotvec_pose(states[:, :6]),
        finger_distances=states[:, 6],
        set_points=np.asarray(moved, dtype=np.float64)[:, 6],
        phases=None if phases is None else phases.round().astype(np.int64),
        task=str(dataset.meta.tasks.index[int(rows["task_index"][0])]),
    )
