"""`neuraltouch bench physics`: the simulated touch against mechanics and geometry."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import draccus
from tqdm import tqdm

from lerobot_neuraltouch.report import write_report
from lerobot_neuraltouch.tactile import FINGERS

from ..randomisation import RANDOMISATIONS
from .images import analytic_contacts
from .mechanics import force_balance, force_depth, friction_cone
from .picture import draw_picture
from .row import Row
from .tunnelling import driving_in, random_driving


@dataclass(frozen=True, kw_only=True)
class PhysicsConfig:
    """Check fingertips, contact and images against what theory says. Lists are comma-separated."""

    fingers: str = ",".join(FINGERS)
    """Variants of the fingertip."""
    episodes: int = 3
    """Episodes of random actions per object."""
    seed: int = 0
    """Of the random actions, and number of the mug they are tried on."""
    output: Path = Path("outputs/bench/physics.json")
    """Report; a picture of the force-depth curves is drawn beside it."""

    def __post_init__(self) -> None:
        unknown = set(self.fingers.split(",")) - set(FINGERS)
        if unknown:
            raise ValueError(f"Unknown finger '{min(unknown)}'. Available: {', '.join(FINGERS)}.")
        if self.episodes < 1 or self.seed < 0:
            raise ValueError(
                f"episodes must be at least 1 and seed at least 0, got {self.episodes} and {self.seed}."
            )


@draccus.wrap()
def main(config: PhysicsConfig) -> None:
    """Check the simulated touch against mechanics and geometry: stiffness, balance, friction, tunnelling, images."""
    rows = []
    for row in tqdm(all_rows(config), unit="row"):
        rows.append(row)
        if not row.passed:
            tqdm.write(f"failed: {describe(row)}")
    report = [row.as_dict() for row in rows]
    write_report(config.output, name="physics", seed=config.seed, config=config, rows=report)
    draw_picture(rows, config.output.with_suffix(".png"))
    for line in summary(rows):
        tqdm.write(line)
    tqdm.write(f"wrote {config.output}")
    failed = sum(not row.passed for row in rows)
    if failed:
        raise ValueError(f"{failed} of {len(rows)} checks failed; see {config.output}.")


def all_rows(config: PhysicsConfig) -> Iterator[Row]:
    """Every check of every finger."""
    softest, hardest = RANDOMISATIONS["wide"].tip_stiffness_n_per_m or (250.0, 1000.0)
    for name in config.fingers.split(","):
        finger = FINGERS[name]
        yield from force_depth(finger, name, (softest, finger.tip_stiffness_n_per_m, hardest))
        yield from force_balance(finger, name)
        yield from friction_cone(finger, name)
        yield from driving_in(finger, name)
        yield from random_driving(finger, name, config.seed, config.episodes)
        yield from analytic_contacts(finger, name)


def describe(row: Row) -> str:
    """One line of text for a row."""
    return (
        f"{row.check} ({row.finger}, {row.case}): {row.quantity} {row.value:.4g} {row.unit}, must lie between "
        f"{row.lowest:.4g} and {row.highest:.4g}"
    )


def summary(rows: list[Row]) -> Iterator[str]:
    """One line per check and quantity: how many passed, and the value nearest to a limit."""
    kinds = dict.fromkeys((row.check, row.quantity) for row in rows)
    for check, quantity in kinds:
        same = [row for row in rows if (row.check, row.quantity) == (check, quantity)]
        worst = max(same, key=_strain)
        passed = sum(row.passed for row in same)
        yield f"{check:14} {passed:3d} of {len(same):3d} passed; nearest to its limit: {describe(worst)}"


def _strain(row: Row) -> float:
    """0 in the middle of what is allowed, or at 0 for an upper limit alone; 1 at the limit."""
    if row.expected is None:
        return row.value / row.highest if row.highest else float(row.value > 0)
    return abs(row.value - row.expected) / (row.highest - row.expected)
