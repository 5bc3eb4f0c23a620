"""`neuraltouch doctor`: is everything ready? Reads, and moves nothing."""

import sys
import textwrap
from dataclasses import dataclass

import draccus
from lerobot.robots import RobotConfig
from lerobot.utils.import_utils import register_third_party_plugins

from lerobot_robot_ur5_tactip.checks import Finding, run_checks

from .robot_flag import require_ur5_tactip

_WIDTH = 110


@dataclass
class DoctorConfig:
    """Settings of `neuraltouch doctor`."""

    robot: RobotConfig | None = None
    """The robot, with the flags of LeRobot's commands: --robot.type=ur5_tactip --robot.mode=real --robot.host=..."""


def main() -> None:
    """Check controller, tool, gripper, cameras and limits without moving anything; says what to do."""
    register_third_party_plugins()
    config = require_ur5_tactip(draccus.parse(DoctorConfig).robot)
    num_bad = 0
    for finding in run_checks(config):
        print(line_of(finding), flush=True)
        num_bad += finding.verdict == "bad"
    if num_bad:
        print(f"\n{num_bad} to put right before anything moves.")
        sys.exit(1)
    print(
        "\nReady. Software limits are not safety rated: set planes, speeds and forces on the pendant as well."
    )


def line_of(finding: Finding) -> str:
    """One row of the table; long texts go on below themselves."""
    head = f"{finding.verdict:<8}{finding.name:<30}"
    return textwrap.fill(
        finding.text, _WIDTH, initial_indent=head, subsequent_indent=" " * len(head)
    )
