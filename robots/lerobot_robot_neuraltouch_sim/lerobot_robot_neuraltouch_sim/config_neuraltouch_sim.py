"""Settings of the simulated robot."""

from dataclasses import dataclass
from pathlib import Path

from lerobot.robots.config import RobotConfig

from lerobot_neuraltouch import features

RESTARTS = ("announced", "never")


@RobotConfig.register_subclass("neuraltouch_sim")
@dataclass(kw_only=True)
class NeuralTouchSimConfig(RobotConfig):
    """One of the MuJoCo tasks as a robot that LeRobot's commands can record, replay and roll out on."""

    task: str = "RefineMugRim"
    """Task, i.e. `gym_neuraltouch/<task>-v0`."""
    robot: str = "gripper"
    """What carries the fingers: gripper (nothing: it flies), ur5e or ur5."""
    start: str = "perception"
    """Where an episode begins: perception (at a stand-off pose) or perturbed (around the contact)."""
    seed: int = 0
    """Scene of episode 0; episode number n, of a connection or of the dataset that is being recorded, has seed + n."""
    restart: str = "announced"
    """When the scene is set up anew: announced (whenever LeRobot says "Recording episode") or never (at connection only)."""
    split: str = "test"
    """Stream the objects come from: train, val, test or ood."""
    object_index: int | None = None
    """Always this object of the stream; without it, each episode draws one."""
    object_path: str | None = None
    """YAML of an object of your own, in place of the generated ones."""
    image_size: int = features.TACTILE_SIZE
    """Height and width of the touch images [pixels]."""
    noise: str = "nominal"
    """Noise of touch and depth: nominal or off."""
    calibration: str = "exact"
    """Error of the wrist camera's hand-eye pose: exact (none) or paper (about 12 mm of coarse error); drawn per connection."""
    release: bool = True
    """Once the grasp is settled (calm for 0.5 s with both pads in contact) the object is let go of and can be lifted."""
    report: Path | None = None
    """File that gets one JSON line per episode, when it ends by the task's rules or is cut short: seed, object, errors, largest
    force, success."""

    def __post_init__(self) -> None:
        """Refuse settings that name nothing.

        Raises:
            ValueError: If a setting is none of those that exist; the message lists them. The simulation refuses the
                others when the robot connects.
        """
        super().__post_init__()
        if self.noise == "False":  # what YAML 1.1 makes of --robot.noise=off
            self.noise = "off"
        features.get_task(self.task)
        if self.restart not in RESTARTS:
            raise ValueError(f"Unknown restart '{self.restart}'. Available: {', '.join(RESTARTS)}.")
        if self.image_size < 8:
            raise ValueError(f"image_size must be at least 8, got {self.image_size}.")
