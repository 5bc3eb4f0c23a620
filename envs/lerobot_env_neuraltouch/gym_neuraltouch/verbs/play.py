"""`neuraltouch play`: drive the simulated gripper by keys or from a script."""

import shutil
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import cv2
import draccus
import gymnasium

from gym_neuraltouch.making import make_task, registered_tasks
from gym_neuraltouch.play.keyboard import HELP, KeyPilot, Terminal
from gym_neuraltouch.play.pilot import Pilot
from gym_neuraltouch.play.script import ScriptPilot, load_script
from gym_neuraltouch.play.session import Session
from gym_neuraltouch.play.video import VideoFile
from gym_neuraltouch.play.window import Window, open_window
from lerobot_neuraltouch.features import CONTROL_HZ


@dataclass(frozen=True, kw_only=True)
class PlayConfig:
    """Drive the gripper by keys (h lists them), or from a script without a terminal. An option left out keeps the environment's own."""

    task: str = "RefineMugRim"
    """Environment to play in."""
    robot: str | None = None
    """What carries the fingers: gripper, ur5e or ur5."""
    start: str | None = None
    """Where an episode begins: perturbed (around the contact) or perception (at a stand-off pose)."""
    split: str | None = None
    """Stream the objects come from: train, val, test or ood."""
    object_index: int | None = None
    """Number of the object in its stream; without it, one is drawn."""
    object: Path | None = None
    """YAML of an object of your own."""
    image_size: int | None = None
    """Height and width of the touch images [pixels]."""
    noise: str | None = None
    """Noise of touch and depth: nominal or off."""
    release: bool = False
    """Once the grasp is settled the object is let go of."""
    seed: int = 0
    """Of objects, places, starts and noise."""
    script: Path | None = None
    """YAML or JSON list of segments {seconds [s], twist (6) [m/s, rad/s, tcp], gripper [m]} or {seconds, teacher: true}."""
    window: bool = True
    """Show scene and touch live, where there is a display."""
    video: Path | None = None
    """MP4 of the whole session, in real time."""
    picture: Path | None = None
    """PNG of the last step."""

    def __post_init__(self) -> None:
        if self.task not in registered_tasks():
            known = ", ".join(registered_tasks())
            raise ValueError(f"Unknown task '{self.task}'. Available: {known}.")
        if self.object_index is not None and self.object_index < 0:
            raise ValueError(f"object_index must be at least 0, got {self.object_index}.")
        for name, path, suffix in (
            ("video", self.video, ".mp4"),
            ("picture", self.picture, ".png"),
        ):
            if path is not None and path.suffix != suffix:
                raise ValueError(f"{name} must end with {suffix}, got '{path}'.")
        if self.object is not None and not self.object.is_file():
            raise FileNotFoundError(f"object names no file: '{self.object}'.")


def main() -> None:
    """Drive the simulated gripper by keys or from a script, with live touch."""
    play(draccus.parse(PlayConfig))


def play(config: PlayConfig) -> Session:
    """Play one session and write what was asked for; returns it after its end."""
    with ExitStack() as stack:
        script = None if config.script is None else ScriptPilot(load_script(config.script))
        terminal = stack.enter_context(Terminal()) if script is None else None
        env = _make(config)
        stack.callback(env.close)
        line = StatusLine()
        window = open_window(f"NeuralTouch {config.task}") if config.window else None
        video = None if config.video is None else VideoFile(config.video, CONTROL_HZ)
        screens = [screen for screen in (window, video) if screen is not None]
        for screen in screens:
            stack.callback(screen.close)
        pilot: Pilot = script or _key_pilot(terminal, window, line)
        session = Session(
            env,
            pilot,
            screens,
            say=line.say,
            status=line.show,
            is_live=terminal is not None or window is not None,
        )
        options = {} if config.object_index is None else {"object_index": config.object_index}
        session.run(config.seed, options)
        if config.picture is not None:
            _save(session, config.picture)
        line.say(session.summary())
    for path in (config.video, config.picture):
        if path is not None:
            print(f"wrote {path}")
    return session


class StatusLine:
    """One line that is written over at a terminal; elsewhere a line per second."""

    def __init__(self) -> None:
        self._rewrites = sys.stdout.isatty()
        self._calls = 0

    def show(self, text: str) -> None:
        """Show the present state."""
        if self._rewrites:
            width = (
                shutil.get_terminal_size().columns - 1
            )  # a wrapped line could not be written over
            print(f"\r{text[:width]}\x1b[K", end="", flush=True)
        elif self._calls % CONTROL_HZ == 0:
            print(text, flush=True)
        self._calls += 1

    def say(self, text: str) -> None:
        """Leave a message above it."""
        print(f"\r{text}\x1b[K" if self._rewrites else text, flush=True)


def _key_pilot(terminal: Terminal | None, window: Window | None, line: StatusLine) -> KeyPilot:
    sources = [source for source in (terminal, window) if source is not None]
    line.say(HELP)
    return KeyPilot(lambda: "".join(source.read() for source in sources), line.say)


def _make(config: PlayConfig) -> gymnasium.Env:
    return make_task(
        config.task,
        robot=config.robot,
        start=config.start,
        split=config.split,
        object_path=None if config.object is None else str(config.object),
        image_size=config.image_size,
        noise=config.noise,
        release=config.release or None,
        render_mode="rgb_array",
    )


def _save(session: Session, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    bgr = cv2.cvtColor(session.picture(), cv2.COLOR_RGB2BGR)
    if not cv2.imwrite(str(path), bgr):
        raise OSError(f"{path} could not be written.")
