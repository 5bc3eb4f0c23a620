"""`neuraltouch play`: keys, scripts, pictures and a clean end."""

import os
import pty
import sys
import termios
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gym_neuraltouch.play.keyboard import HOLD_STEPS, MAX_LEAD_M, MOTIONS, KeyPilot, Terminal
from gym_neuraltouch.play.panel import TOUCH_PIXELS, compose
from gym_neuraltouch.play.pilot import Command
from gym_neuraltouch.play.script import ScriptPilot, load_script
from gym_neuraltouch.verbs.play import PlayConfig, play
from lerobot_neuraltouch.features import ACTION_HIGH, ACTION_LOW, MIN_FINGER_DISTANCE

NO_INFO: dict = {}


class Fingers:
    """A person's fingers: what is put in `typed` is read once."""

    def __init__(self) -> None:
        self.typed, self.said = "", []
        self.pilot = KeyPilot(self.read, self.said.append)
        self.pilot.begin(0.040)

    def read(self) -> str:
        typed, self.typed = self.typed, ""
        return typed

    def act(self, typed: str = "", distance: float = 0.040) -> np.ndarray:
        self.typed = typed
        action = self.pilot.act(NO_INFO, distance)
        assert not isinstance(action, Command)
        return action


@pytest.mark.parametrize(("key", "motion"), MOTIONS.items())
def test_a_key_moves_its_axis_for_a_while(key: str, motion: tuple[int, float]) -> None:
    fingers, (index, sign) = Fingers(), motion
    actions = [fingers.act(key)] + [fingers.act() for _ in range(HOLD_STEPS)]
    assert_array_equal(np.flatnonzero(actions[0][:6]), [index])
    assert_allclose(actions[0][index], sign * 0.25 * ACTION_HIGH[index])
    assert all(action[index] == actions[0][index] for action in actions[:HOLD_STEPS])
    assert_array_equal(actions[-1][:6], 0)


def test_keys_add_up_and_the_opposite_key_turns_round() -> None:
    fingers = Fingers()
    both = fingers.act("wd")
    assert both[2] > 0
    assert both[0] > 0
    back = fingers.act("s")
    assert back[2] == -both[2]
    assert not fingers.act(" ")[:6].any()


def test_speeds_stay_within_the_limits() -> None:
    fingers = Fingers()
    for keys in ("+" * 9, "-" * 20):
        fingers.act(keys)
        action = fingers.act("wdi")
        assert np.all(action <= ACTION_HIGH)
        assert np.all(action >= ACTION_LOW)
        assert action[:6].any()


def test_closing_against_something_does_not_run_away() -> None:
    """The set point leads blocked fingers by no more than 10 mm, and comes back at once."""
    fingers = Fingers()
    for _ in range(100):
        blocked = fingers.act("[" + "+", distance=0.020)
    assert blocked[6] == pytest.approx(0.020 - MAX_LEAD_M)
    assert fingers.act("]", distance=0.020)[6] > blocked[6]
    for _ in range(100):
        thin = fingers.act("[", distance=-0.012)
    assert thin[6] == pytest.approx(MIN_FINGER_DISTANCE)


def test_commands_and_arrow_keys() -> None:
    fingers = Fingers()
    assert not fingers.act("\x1b[A\x1b[D")[:6].any()  # not taken for their letters A and D
    fingers.typed = "r"
    assert fingers.pilot.act(NO_INFO, 0.04) is Command.NEW_EPISODE
    fingers.typed = "X"
    assert fingers.pilot.act(NO_INFO, 0.04) is Command.QUIT
    fingers.act("h")
    assert "quit" in fingers.said[-1]


def test_the_teacher_takes_over_until_a_motion_key(tmp_path: Path) -> None:
    info = {
        "privileged": {
            "pad_press_m": np.zeros(2),
            "pad_shear_m": np.zeros(2),
            "finger_distance_m": 0.03,
        }
    }
    fingers = Fingers()
    fingers.typed = "t"
    action = fingers.pilot.act(info, 0.03)
    assert isinstance(action, np.ndarray)
    assert action[6] < 0.03  # nothing touches yet, so it closes
    assert_allclose(fingers.act("w")[2], 0.25 * ACTION_HIGH[2])


def test_the_terminal_gives_single_keys_and_is_as_before_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    master, slave = pty.openpty()
    with os.fdopen(slave) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        before = termios.tcgetattr(slave)
        with Terminal() as terminal:
            assert terminal.read() == ""
            os.write(master, b"wd")  # no newline
            assert terminal.read() == "wd"
        assert termios.tcgetattr(slave) == before
    os.close(master)


def test_without_a_terminal_it_asks_for_a_script(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path(os.devnull).open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        with pytest.raises(ValueError, match="--script=FILE"):
            play(PlayConfig())


def test_a_script_is_its_segments_at_ten_steps_a_second(tmp_path: Path) -> None:
    """JSON is YAML; a segment without `gripper` keeps the last set point."""
    path = tmp_path / "script.json"
    path.write_text(
        '[{"seconds": 0.3, "twist": [0, 0, 0.01, 0, 0, 0]}, {"seconds": 0.2, "gripper": 0.05}, {"seconds": 0.1}]'
    )
    pilot = ScriptPilot(load_script(path))
    pilot.begin(0.060)
    actions = []
    while not isinstance(action := pilot.act(NO_INFO, 0.060), Command):
        actions.append(action)
    assert action is Command.QUIT
    assert_allclose(np.array(actions)[:, 2], [0.01] * 3 + [0.0] * 3)
    assert_allclose(np.array(actions)[:, 6], [0.06] * 3 + [0.05] * 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "must hold a list of segments .* got dict"),
        ("[]", "must hold a list"),
        ("- {twist: [0, 0, 0, 0, 0, 0]}", "segment 1: .* needs seconds"),
        ("- {seconds: 1}\n- {seconds: 1, speed: 2}", "segment 2: unknown key 'speed'. Available"),
        ("- {seconds: 0}", "seconds must be a number from 0.1 to 3600, got 0"),
        ("- {seconds: 1, twist: [1]}", "twist must list 6 numbers"),
        (
            "- {seconds: 1, twist: [0, 0, 0.03, 0, 0, 0]}",
            r"tcp_vz.vel must be .* to 0.02, got 0.03",
        ),
        ("- {seconds: 1, gripper: .nan}", "gripper must be a number from -0.016 to 0.085"),
        ("- {seconds: 1, teacher: 2}", "teacher must be true or false"),
        ("- {seconds: 1, teacher: true, gripper: 0}", "the teacher chooses"),
        ("- {seconds: [", "neither YAML nor JSON"),
    ],
)
def test_a_wrong_script_is_refused_where_it_is_wrong(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "script.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        load_script(path)


def test_the_panel_holds_both_touch_images() -> None:
    scene = np.full((480, 640, 3), 9, dtype=np.uint8)
    touch = {
        "tactile_left": np.full((64, 64, 3), 50, dtype=np.uint8),
        "tactile_right": np.full((64, 64, 3), 90, dtype=np.uint8),
    }
    picture = compose(scene, touch, "text")
    assert picture.shape == (520, 880, 3)
    assert picture[300, 300, 0] == 9
    assert picture[TOUCH_PIXELS - 20, 800, 0] == 50
    assert picture[2 * TOUCH_PIXELS - 20, 800, 0] == 90


def test_a_script_plays_without_screen_or_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The twist is carried out, a video of every step and a picture are written, numbers are printed."""
    script = tmp_path / "script.yaml"
    script.write_text("- {seconds: 0.3, twist: [0, 0, -0.02, 0, 0, 0]}\n")
    video, picture = tmp_path / "a" / "play.mp4", tmp_path / "b" / "play.png"
    session = play(
        PlayConfig(
            task="RefineBottleHead", object_index=0, seed=1, script=script, window=False,
            video=video, picture=picture,
        )
    )  # fmt: skip
    assert session.outcome.steps == 3
    assert not session.outcome.is_success
    with av.open(str(video)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == 4  # and the reset's
    assert frames[0].shape == (520, 880, 3)
    assert np.abs(frames[0].astype(int) - frames[-1]).mean() > 0.2  # the hand has moved
    assert cv2.imread(str(picture)).shape == (520, 880, 3)
    printed = capsys.readouterr().out
    assert "error" in printed
    assert "largest force 0.00 N; not settled" in printed


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"task": "Juggle"}, "Unknown task 'Juggle'. Available: Bolt"),
        ({"object_index": -1}, "object_index must be at least 0"),
        ({"video": Path("a.avi")}, "video must end with .mp4"),
        ({"picture": Path("a.jpg")}, "picture must end with .png"),
    ],
)
def test_wrong_settings_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PlayConfig(**settings)


def test_the_privileged_teacher_can_drive_to_a_right_grasp(tmp_path: Path) -> None:
    script = tmp_path / "script.yaml"
    script.write_text("- {seconds: 12, teacher: true}\n")
    session = play(
        PlayConfig(task="RefineBottleHead", object_index=0, seed=3, script=script, window=False)
    )
    assert session.outcome.settled_step is not None
    assert session.outcome.is_success
