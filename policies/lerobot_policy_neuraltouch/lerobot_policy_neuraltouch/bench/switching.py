"""`neuraltouch bench switching`: another contact is wanted in mid-episode, as in the paper's Fig. 6."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import draccus
import numpy as np
import torch
from tqdm import tqdm

from lerobot_neuraltouch import features
from lerobot_neuraltouch.report import write_report
from lerobot_policy_neuraltouch.bench.methods import make_student
from lerobot_policy_neuraltouch.bench.switch_picture import SwitchVideo, draw_switching
from lerobot_policy_neuraltouch.bench.switch_play import Switched, play_switching
from lerobot_policy_neuraltouch.training.collect import SEED_STRIDE, make_env

POSITION_M, ANGLE_RAD = 0.001, float(np.deg2rad(2.5))
"""A contact counts as reached within these errors, the environments' own tolerances."""


@dataclass(frozen=True, kw_only=True)
class SwitchingConfig:
    """Switch the wanted contact in mid-episode on unseen shapes, from perturbed starts.

    The environment wants the second contact once the hand is at rest at the first, or after the first one's time limit.
    """

    pair: str = "mug_rim>mug_wall,mug_wall>mug_rim"
    """Contacts that follow one another, FIRST>SECOND, comma-separated."""
    num_episodes: int = 40
    """Episodes per method and pair."""
    split: str = "test"
    """Objects: test | val | train. Only test is unseen by everything that was trained or tuned."""
    noise: str = "nominal"
    """Noise of the sensors: nominal | off."""
    policy: str | None = None
    """Checkpoint; without it, the shipped one."""
    rl_touch_policy: str | None = None
    """Checkpoint of a refiner without the descriptor, to be compared."""
    device: str = "cpu"
    """Where policies run."""
    num_envs: int = 10
    """Episodes side by side, sharing a policy's batch."""
    seed: int = 0
    """Of objects, starts and noise."""
    output: Path = Path("outputs/bench/switching.json")
    """Report; a picture is drawn beside it."""
    video: Path | None = None
    """Film the first episode of each pair here (.mp4)."""

    def __post_init__(self) -> None:
        self.pairs  # noqa: B018  refuses what is not one
        if self.num_episodes < 1 or self.num_envs < 1:
            raise ValueError("num_episodes and num_envs must be at least 1.")

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The pairs of features.

        Raises:
            ValueError: If one is not two contacts that lie next to one another.
        """
        pairs = []
        for text in self.pair.split(","):
            names = [task.feature for task in features.route_of(text)]
            if len(names) != 2:
                raise ValueError(f"A pair is written FIRST>SECOND, got '{text.strip()}'.")
            pairs.append((names[0], names[1]))
        return pairs


def main() -> None:
    """Errors before and after another contact is wanted in mid-episode, the paper's Fig. 6."""
    config = draccus.parse(SwitchingConfig)
    played = run(config)
    rows = [
        row for (method, pair), episodes in played.items() for row in _rows(method, pair, episodes)
    ]
    write_report(
        config.output,
        name="switching",
        seed=config.seed,
        config=config,
        rows=rows,
        device=config.device,
    )
    picture = draw_switching(played, config.output.with_suffix(".png"))
    for row in rows:
        tqdm.write(
            f"{row['method']:12} {row['first']:9} {row['first_mm_before']:6.2f} -> {row['first_mm_after']:6.2f} mm   "
            f"{row['second']:9} {row['second_mm_before']:6.2f} -> {row['second_mm_after']:6.2f} mm (medians)   "
            f"{row['second_reached']:.0%} reached   hand {row['hand']}, {row['episodes']} episodes"
        )
    tqdm.write(f"wrote {config.output} and {picture}")


def run(config: SwitchingConfig) -> dict[tuple[str, tuple[str, str]], list[Switched]]:
    """Play all pairs with all methods; the episodes by method and pair."""
    torch.set_num_threads(1 if config.device == "cpu" else torch.get_num_threads())
    methods = ["neuraltouch"] + ["rl_touch"] * (config.rl_touch_policy is not None)
    played = {}
    video = None if config.video is None else SwitchVideo(config.video)
    with tqdm(total=len(methods) * len(config.pairs) * config.num_episodes, unit="episode") as bar:
        for method in methods:
            student = make_student(
                method,
                policy=config.policy,
                rl_touch_policy=config.rl_touch_policy,
                device=config.device,
                overrides=["--replay=false", "--coarse.mode=skip"],
            )
            for pair in config.pairs:
                bar.set_description(f"{method} {pair[0]} > {pair[1]}")
                played[method, pair] = play_switching(
                    partial(
                        make_env,
                        features.task_of_feature(pair[0]).name,
                        then=pair[1],
                        split=config.split,
                        noise=config.noise,
                        render_mode=None if video is None else "rgb_array",
                    ),
                    pair,
                    [config.seed * SEED_STRIDE + i for i in range(config.num_episodes)],
                    student,
                    num_envs=config.num_envs,
                    on_round=bar.update,
                    on_step=None if video is None or method != methods[0] else video.add,
                )
    if video is not None:
        video.write()
    return played


def _rows(method: str, pair: tuple[str, str], episodes: Sequence[Switched]) -> list[dict[str, Any]]:
    """One row of all episodes, one of those whose hand pointed down at the switch."""
    down = [episode for episode in episodes if episode.points_down]
    groups = {"any": episodes, "down": down}
    return [
        {"method": method, "first": pair[0], "second": pair[1], "hand": hand, **summary(group)}
        for hand, group in groups.items()
        if group
    ]


def summary(episodes: Sequence[Switched]) -> dict[str, float | int]:
    """The figures of a row: median errors against both contacts, at the switch and at the end."""
    row: dict[str, float | int] = {"episodes": len(episodes)}
    moments = {"before": Switched.at_switch, "after": Switched.at_end}
    for when, read in moments.items():
        errors = np.array(
            [read(episode) for episode in episodes]
        )  # (episodes, 2 quantities, 2 contacts)
        for i, which in enumerate(("first", "second")):
            row[f"{which}_mm_{when}"] = 1e3 * float(np.median(errors[:, 0, i]))
            row[f"{which}_deg_{when}"] = float(np.rad2deg(np.median(errors[:, 1, i])))
    row["first_reached"] = _reached([episode.at_switch() for episode in episodes], 0)
    row["second_reached"] = _reached([episode.at_end() for episode in episodes], 1)
    row["steps_after_median"] = float(np.median([len(e.pos_errors_m) - e.switch for e in episodes]))
    row["max_force_n_p95"] = float(np.percentile([e.max_force_n for e in episodes], 95))
    return row


def _reached(errors: Sequence[tuple[np.ndarray, np.ndarray]], contact: int) -> float:
    """Share of episodes within the tolerances of a contact."""
    return float(np.mean([p[contact] <= POSITION_M and a[contact] <= ANGLE_RAD for p, a in errors]))
