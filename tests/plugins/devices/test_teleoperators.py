"""Teleoperators: actions in SI with the contract's keys, speed modes, the dead man's key, scripts, and a terminal for two readers."""

import logging
import os
import pty
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from lerobot.utils.errors import DeviceNotConnectedError
from lerobot.utils.keyboard_input import init_keyboard_listener

from lerobot_neuraltouch import features
from lerobot_teleoperator_neuraltouch import (
    NeuralTouchGamepadConfig,
    NeuralTouchKeyboardConfig,
    NeuralTouchScriptedConfig,
)
from lerobot_teleoperator_neuraltouch.gamepad import PadState
from lerobot_teleoperator_neuraltouch.neuraltouch_gamepad import NeuralTouchGamepad, wish_of
from lerobot_teleoperator_neuraltouch.neuraltouch_keyboard import MOVES, NeuralTouchKeyboard
from lerobot_teleoperator_neuraltouch.neuraltouch_scripted import NeuralTouchScripted
from lerobot_teleoperator_neuraltouch.script import Script


def values(action: dict[str, float]) -> np.ndarray:
    assert list(action) == list(features.ACTION_NAMES)
    return np.array(list(action.values()))


def until(condition, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


# --- script ----------------------------------------------------------------------------------------------------------


def write(folder: Path, text: str) -> Path:
    path = folder / "script.yaml"
    path.write_text(text)
    return path


SCRIPT = """
- {seconds: 0.2, tcp_vz.vel: 0.01, gripper.pos: 0.05}
- {seconds: 0.1, tcp_wx.vel: -0.1}
"""


def test_a_script_plays_step_by_step_and_then_stands_still(tmp_path: Path) -> None:
    teleop = NeuralTouchScripted(NeuralTouchScriptedConfig(script=write(tmp_path, SCRIPT)))
    with pytest.raises(DeviceNotConnectedError):
        teleop.get_action()
    teleop.connect()
    played = np.array([values(teleop.get_action()) for _ in range(5)])
    down, turn, still = [0, 0, 0.01, 0, 0, 0, 0.05], [0, 0, 0, -0.1, 0, 0, 0.05], [0] * 6 + [0.05]
    np.testing.assert_allclose(played, [down, down, turn, still, still])


def test_a_script_repeats_when_told_to(tmp_path: Path) -> None:
    config = NeuralTouchScriptedConfig(script=write(tmp_path, SCRIPT), repeat=True)
    teleop = NeuralTouchScripted(config)
    teleop.connect()
    played = np.array([values(teleop.get_action()) for _ in range(9)])
    np.testing.assert_array_equal(played[:3], played[3:6])
    np.testing.assert_array_equal(played[:3], played[6:])


def test_a_script_begins_anew_with_each_announced_episode(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    teleop = NeuralTouchScripted(NeuralTouchScriptedConfig(script=write(tmp_path, SCRIPT)))
    teleop.connect()
    first = [teleop.get_action() for _ in range(3)]
    logging.info("Recording episode 1")
    assert [teleop.get_action() for _ in range(3)] == first
    logging.info("Reset the environment")
    assert teleop.get_action()["tcp_wx.vel"] == 0.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seconds: 1", "list of steps"),
        ("[]", "list of steps"),
        ("- 3", "Step 0 is no mapping"),
        ("- {seconds: 1.0}", "first step needs gripper.pos"),
        ("- {gripper.pos: 0.05}", "needs seconds"),
        ("- {seconds: 1, gripper.pos: 0.05, x.vel: 1}", "unknown x.vel"),
        ("- {seconds: 1, gripper.pos: wide}", "gripper.pos must be numbers"),
        ("- {seconds: 1, gripper.pos: 0.05, tcp_vx.vel: 0.03}", "tcp_vx.vel = 0.03 .limit 0.02"),
    ],
)
def test_bad_scripts_are_refused_before_anything_is_connected(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        NeuralTouchScriptedConfig(script=write(tmp_path, text))


def test_json_is_a_script_too(tmp_path: Path) -> None:
    path = write(tmp_path, '[{"seconds": 0.3, "gripper.pos": 0.05}]')
    assert Script.read(path).actions.shape == (3, 7)


def test_a_missing_script_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent.yaml"):
        NeuralTouchScriptedConfig(script=tmp_path / "absent.yaml")


# --- keyboard --------------------------------------------------------------------------------------------------------


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Standard input is a terminal; writing to the descriptor types on it."""
    keyboard, screen = pty.openpty()
    with os.fdopen(screen) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield keyboard
    os.close(keyboard)


def connect_keyboard(**settings: float) -> NeuralTouchKeyboard:
    teleop = NeuralTouchKeyboard(NeuralTouchKeyboardConfig(**settings))
    teleop.connect()
    return teleop


def press(teleop: NeuralTouchKeyboard, terminal: int, key: str) -> dict[str, float]:
    """Type a key and take the first action after it has been read."""
    os.write(terminal, key.encode())
    assert teleop._keys is not None
    until(lambda: teleop._keys._pressed)
    return teleop.get_action()


@pytest.mark.parametrize("key", sorted(MOVES))
def test_each_key_moves_one_axis_at_the_slow_speed(terminal: int, key: str) -> None:
    teleop = connect_keyboard(start_finger_distance_m=0.04)
    action = values(press(teleop, terminal, key))
    teleop.disconnect()
    axis, sign = MOVES[key]
    slow = [0.005] * 3 + [features.MAX_ANGULAR_SPEED / 4] * 3
    expected = np.zeros(7)
    expected[6] = 0.04
    if axis < 6:
        expected[axis] = sign * slow[axis]
    else:
        expected[6] += sign * 0.0005  # 20 mm/s, slowed to a quarter, for 0.1 s
    np.testing.assert_allclose(action, expected)


def test_the_fast_mode_moves_at_the_contracts_limits(terminal: int) -> None:
    teleop = connect_keyboard()
    action = press(teleop, terminal, "2e")
    assert action["tcp_vz.vel"] == features.MAX_LINEAR_SPEED
    action = press(teleop, terminal, "1e")
    assert action["tcp_vz.vel"] == features.MAX_LINEAR_SPEED / 4
    teleop.disconnect()


def test_without_a_repeat_everything_stands_still(
    terminal: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    teleop = connect_keyboard(hold_s=0.25, start_finger_distance_m=0.04)
    assert press(teleop, terminal, "w")["tcp_vx.vel"] > 0.0
    pressed_at = teleop._held_since
    clock = "lerobot_teleoperator_neuraltouch.neuraltouch_keyboard.time.monotonic"
    monkeypatch.setattr(clock, lambda: pressed_at + 0.24)
    assert teleop.get_action()["tcp_vx.vel"] > 0.0
    monkeypatch.setattr(clock, lambda: pressed_at + 0.26)
    np.testing.assert_allclose(values(teleop.get_action()), [0] * 6 + [0.04])
    monkeypatch.undo()
    teleop.disconnect()


def test_lerobots_own_keys_reach_its_listener(terminal: int) -> None:
    """Recording ends an episode early with n or the right arrow, while our keys steer."""
    before = sys.stdin
    teleop = connect_keyboard()
    listener, events = init_keyboard_listener()
    assert listener is not None
    assert press(teleop, terminal, "wn")["tcp_vx.vel"] > 0.0
    until(lambda: events["exit_early"])
    assert not events["stop_recording"]
    action = press(teleop, terminal, "e\x1b[D")  # the arrow's D is no key, and d would move along y
    assert action["tcp_vz.vel"] > 0.0
    until(lambda: events["rerecord_episode"])
    teleop.disconnect()
    listener.stop()
    assert sys.stdin is before


def test_a_pipe_is_no_keyboard(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    with os.fdopen(read) as stdin, os.fdopen(write, "w"):
        monkeypatch.setattr(sys, "stdin", stdin)
        with pytest.raises(ConnectionError, match="no terminal"):
            connect_keyboard()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"linear_speed": 0.03}, "linear_speed must lie in"),
        ({"slow_factor": 0.0}, "slow_factor must lie in"),
        ({"hold_s": 5.0}, "hold_s must lie in"),
        ({"start_finger_distance_m": 0.2}, "start_finger_distance_m must lie in"),
    ],
)
def test_speeds_beyond_the_limits_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NeuralTouchKeyboardConfig(**settings)


# --- gamepad ---------------------------------------------------------------------------------------------------------


def test_a_pad_moves_nothing_unless_its_dead_mans_button_is_held() -> None:
    full = PadState(left=(1.0, 1.0), right=(1.0, 1.0), triggers=(0.0, 1.0), dpad=1, fingers=1)
    np.testing.assert_array_equal(wish_of(full, 0.1), np.zeros(7))


def test_sticks_count_from_the_edge_of_their_dead_band() -> None:
    state = PadState(left=(0.1, -0.55), triggers=(1.0, 0.0), right=(1.0, 0.0), enabled=True)
    # up/down of the left stick is tcp x: (0.55 - 0.1) / 0.9; its 0.1 to the right lies in the dead band
    np.testing.assert_allclose(wish_of(state, 0.1), [-0.5, 0, -1, 0, 0, 1, 0])


class FakePad:
    """A pad whose left stick is pushed up all the way, with its left shoulder button held."""

    name = "fake"

    def attached(self) -> bool:
        return True

    def get_axis(self, axis: str) -> int:
        return -32768 if axis == "LEFTY" else 0

    def get_button(self, button: str) -> bool:
        return button == "LEFTSHOULDER"

    def quit(self) -> None:
        pass


def fake_pygame(num_pads: int) -> dict[str, ModuleType]:
    """Modules with the names of pygame that we use."""
    names = ("pygame", "pygame.display", "pygame.joystick", "pygame.event", "pygame._sdl2")
    modules = {name: ModuleType(name) for name in names}
    pygame = modules["pygame"]
    for name in names[1:]:
        setattr(pygame, name.split(".")[1], modules[name])
    pygame.display.init = pygame.display.quit = pygame.event.pump = lambda: None
    pygame.joystick.get_count = lambda: num_pads
    for axis in ("LEFTX", "LEFTY", "RIGHTX", "RIGHTY", "TRIGGERLEFT", "TRIGGERRIGHT"):
        setattr(pygame, f"CONTROLLER_AXIS_{axis}", axis)
    for button in ("DPAD_LEFT", "DPAD_RIGHT", "A", "B", "LEFTSHOULDER", "RIGHTSHOULDER"):
        setattr(pygame, f"CONTROLLER_BUTTON_{button}", button)
    controller = ModuleType("controller")
    controller.init = controller.quit = lambda: None
    controller.is_controller = lambda index: True
    controller.Controller = lambda index: FakePad()
    modules["pygame._sdl2"].controller = controller
    return modules


def install(monkeypatch: pytest.MonkeyPatch, modules: dict[str, ModuleType | None]) -> None:
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)


def test_a_pads_stick_becomes_a_twist(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, fake_pygame(num_pads=1))
    teleop = NeuralTouchGamepad(NeuralTouchGamepadConfig(start_finger_distance_m=0.05))
    teleop.connect()
    np.testing.assert_allclose(values(teleop.get_action()), [0.005, 0, 0, 0, 0, 0, 0.05])
    teleop.disconnect()


def test_a_pad_that_is_not_there_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, fake_pygame(num_pads=1))
    teleop = NeuralTouchGamepad(NeuralTouchGamepadConfig(index=1))
    with pytest.raises(ConnectionError, match="no gamepad 1: 1 found"):
        teleop.connect()
    assert not teleop.is_connected


def test_without_pygame_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, {"pygame": None})
    with pytest.raises(
        ImportError, match=r"pip install 'lerobot_teleoperator_neuraltouch\[gamepad\]'"
    ):
        NeuralTouchGamepad(NeuralTouchGamepadConfig()).connect()
