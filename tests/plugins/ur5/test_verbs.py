"""`neuraltouch doctor` and `recover` against a loopback controller: findings with remedies, and steps that a person confirms."""

import io
import sys
from pathlib import Path

import pytest

from lerobot_neuraltouch.cli import find_entry_points, summary_of
from lerobot_robot_ur5_tactip.checks import Finding, run_checks
from lerobot_robot_ur5_tactip.errors import NotReadyError
from lerobot_robot_ur5_tactip.loopback import LoopbackController
from lerobot_robot_ur5_tactip.verbs import recover as recover_verb
from lerobot_robot_ur5_tactip.verbs.doctor import line_of
from lerobot_robot_ur5_tactip.verbs.recover import recover
from tests.plugins.ur5.conftest import HOST
from tests.plugins.ur5.robots import BOTH_FINGERS, make_config, wait_for

pytest.importorskip("rtde_control")

MOTIONS = ("speedl", "speedj", "movel", "movej", "servoj", "servol")


def findings(config) -> dict[str, Finding]:
    return {finding.name: finding for finding in run_checks(config)}


def test_verbs_are_registered_with_a_summary() -> None:
    verbs = find_entry_points("lerobot_neuraltouch.verbs")
    for name in ("doctor", "recover"):
        assert len(summary_of(verbs[name])) > 20


def test_doctor_finds_a_ready_robot_ready_and_moves_nothing(
    controller: LoopbackController, tmp_path: Path
) -> None:
    config = make_config(tmp_path, mode="loopback", host=HOST, cameras=BOTH_FINGERS)
    found = findings(config)
    assert {name: f.text for name, f in found.items() if f.verdict == "bad"} == {}
    assert {"port 30004 (state stream)", "version", "remote control", "safety", "joints"} <= set(
        found
    )
    assert not [r for r in controller.log if r.kind in (*MOTIONS, "program_started")]


def test_doctor_says_what_is_wrong_and_what_to_do(
    controller: LoopbackController, tmp_path: Path
) -> None:
    controller.fault("local_control")
    controller.fault("protective_stop")
    controller.set_wrench([0.0, 0.0, 25.0, 0.0, 0.0, 0.0])
    wait_for(lambda: controller.state.safety_mode != "NORMAL")
    config = make_config(tmp_path, mode="loopback", host=HOST, cameras=("tactile_left",))
    bad = {name: f.text for name, f in findings(config).items() if f.verdict == "bad"}
    assert set(bad) == {"remote control", "safety", "force at rest", "tactile_right"}
    assert "switch to remote control" in bad["remote control"]
    assert "neuraltouch recover" in bad["safety"]
    assert "payload_kg" in bad["force at rest"]


def test_doctor_stops_early_where_nothing_answers(tmp_path: Path) -> None:
    found = findings(make_config(tmp_path, mode="loopback", host="127.0.5.99"))
    assert found["port 30004 (state stream)"].verdict == "bad"
    assert found["controller"].verdict == "skipped"


def test_a_row_of_the_table_goes_on_below_itself() -> None:
    row = line_of(Finding("safety", "bad", "word " * 40)).splitlines()
    assert row[0].startswith("bad     safety")
    assert all(line.startswith(" " * 32) for line in row[1:])
    assert max(map(len, row)) <= 110


# --- recover ---------------------------------------------------------------------------------------------------------


class Person:
    """Types words in turn and remembers the questions."""

    def __init__(self, *words: str) -> None:
        self._words = list(words)
        self.questions: list[str] = []

    def __call__(self, question: str) -> str:
        self.questions.append(question)
        return self._words.pop(0)


def test_recover_leads_out_of_a_protective_stop(
    controller: LoopbackController, tmp_path: Path
) -> None:
    controller.reset(unlock_after_s=0.0)
    controller.fault("protective_stop")
    person = Person("stop", "looked", "unlock", "connect")
    recover(make_config(tmp_path, mode="loopback", host=HOST), person)
    assert len(person.questions) == 4
    state = controller.state
    assert (state.safety_mode, state.program) == ("NORMAL", "stopped")
    assert state.payload_kg == pytest.approx(1.2)
    assert not [r for r in controller.log if r.kind in MOTIONS]


@pytest.mark.parametrize("words", [("no",), ("stop", "yes"), ("stop", "looked", "")])
def test_recover_does_nothing_unconfirmed(
    controller: LoopbackController, tmp_path: Path, words: tuple[str, ...]
) -> None:
    controller.reset(unlock_after_s=0.0)
    controller.fault("protective_stop")
    with pytest.raises(ValueError, match="nothing further was done"):
        recover(make_config(tmp_path, mode="loopback", host=HOST), Person(*words))
    assert controller.state.safety_mode == "PROTECTIVE_STOP"


def test_recover_refuses_what_it_is_not_for(controller: LoopbackController, tmp_path: Path) -> None:
    config = make_config(tmp_path, mode="loopback", host=HOST)
    with pytest.raises(NotReadyError, match="nothing to recover from"):
        recover(config, Person())
    controller.fault("protective_stop")
    with pytest.raises(NotReadyError, match="5 s after the stop"):
        recover(config, Person("stop", "looked", "unlock"))
    controller.reset()
    controller.fault("emergency_stop")
    with pytest.raises(NotReadyError, match="no mere protective stop"):
        recover(config, Person())


def test_recover_does_not_run_from_scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("stop\nlooked\nunlock\nconnect\n"))
    with pytest.raises(ValueError, match="a person at a terminal"):
        recover_verb.main()
