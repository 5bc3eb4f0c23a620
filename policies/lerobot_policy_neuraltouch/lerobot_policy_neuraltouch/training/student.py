"""A policy checkpoint with its processors, driving several environments at once."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lerobot.configs import PreTrainedConfig
from lerobot.policies import get_policy_class, make_pre_post_processors
from numpy.typing import NDArray
from torch import Tensor

from lerobot_neuraltouch import features


class Student:
    """A trained policy acting on a fixed number of environments.

    Args:
        path: A checkpoint's `pretrained_model` folder, or a name on the hub.
        device: Where it runs, e.g. "cpu".
        overrides: Settings of the policy to change, e.g. ``["--refiner=none"]``.

    Raises:
        FileNotFoundError: If `path` looks like a folder and holds no checkpoint.
    """

    def __init__(
        self, path: str | Path, *, device: str = "cpu", overrides: Sequence[str] = ()
    ) -> None:
        folder = Path(path)
        if (folder.is_absolute() or folder.exists()) and not (folder / "config.json").exists():
            raise FileNotFoundError(
                f"There is no checkpoint at {folder}: it should hold config.json. "
                "A training's is OUTPUT_DIR/checkpoints/last/pretrained_model."
            )
        config = PreTrainedConfig.from_pretrained(
            path, cli_overrides=[f"--device={device}", *overrides]
        )
        config.pretrained_path = folder
        self.policy = get_policy_class(config.type).from_pretrained(path, config=config)
        self.policy.to(device).eval()
        self._preprocess, self._postprocess = make_pre_post_processors(
            config,
            pretrained_path=str(path),
            preprocessor_overrides={"device_processor": {"device": device}},
            postprocessor_overrides={"device_processor": {"device": "cpu"}},
        )

    def reset(self) -> None:
        """Forget all episodes."""
        self.policy.reset()

    def act(
        self, observations: Sequence[Mapping[str, Any]], tasks: Sequence[str]
    ) -> NDArray[np.float64]:
        """One action per environment, shape (num_envs, 7).

        Args:
            observations: Of Gymnasium, one per environment, always in the same order and number.
            tasks: Text of each environment's task.
        """
        batch = self.prepare(observations, tasks)
        with torch.inference_mode():
            action = self._postprocess(self.policy.select_action(batch))
        return action.numpy().astype(np.float64)

    def prepare(
        self, observations: Sequence[Mapping[str, Any]], tasks: Sequence[str]
    ) -> dict[str, Any]:
        """The preprocessed batch that `policy.select_action` takes."""
        return self._preprocess(policy_batch(observations, tasks))

    def coming_in(self) -> list[bool]:
        """Whether each environment was in its first coarse phase at the last `act`."""
        coarse = features.Phase.COARSE
        return [r.phase == coarse and not r.retries for r in self.policy.diagnostics]  # pyright: ignore[reportGeneralTypeIssues]

    def expected_errors(self) -> list[tuple[float, float]]:
        """What the policy expects of each environment's errors: position [m] and angle [rad]; NaN before the fine phase."""
        reports = self.policy.diagnostics
        return [(r.expected_error_m, r.expected_error_rad) for r in reports]  # pyright: ignore[reportGeneralTypeIssues]


def policy_batch(
    observations: Sequence[Mapping[str, Any]], tasks: Sequence[str]
) -> dict[str, Tensor | list[str]]:
    """Gymnasium's observations as LeRobot's evaluation hands them to a policy: float images (B, 3, H, W) in [0, 1]."""
    pixels = [observation["pixels"] for observation in observations]
    batch: dict[str, Tensor | list[str]] = {
        features.STATE: _batch([obs["agent_pos"] for obs in observations]),
        features.TACTILE_LEFT: _images([picture["tactile_left"] for picture in pixels]),
        features.TACTILE_RIGHT: _images([picture["tactile_right"] for picture in pixels]),
        features.POINT_CLOUD: _batch([obs["point_cloud"] for obs in observations]),
        "task": list(tasks),
    }
    return batch


def _batch(values: Sequence[Any]) -> Tensor:
    return torch.from_numpy(np.stack(values).astype(np.float32))


def _images(values: Sequence[Any]) -> Tensor:
    return torch.from_numpy(np.stack(values)).permute(0, 3, 1, 2).float() / 255.0
