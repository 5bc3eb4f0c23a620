"""`neuraltouch bench streaming`: its measures by hand, and a short run."""

import json
from pathlib import Path

import numpy as np
import pytest

from lerobot_robot_ur5_tactip.bench import streaming
from lerobot_robot_ur5_tactip.bench.recording import Recording
from lerobot_robot_ur5_tactip.bench.resources import Resources, leaks
from lerobot_robot_ur5_tactip.bench.robots import make_action
from lerobot_robot_ur5_tactip.bench.timing import describe, jitter, latencies_ms
from lerobot_robot_ur5_tactip.loopback import Record
from lerobot_robot_ur5_tactip.ur5_tactip import UR5TacTip
from tests.plugins.ur5.robots import BOTH_FINGERS, make_config

ZERO = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def command(wall_s: float, speed_m_s: float) -> Record:
    twist = (0.0, 0.0, speed_m_s, 0.0, 0.0, 0.0)
    return Record(
        time_s=0.0, wall_s=wall_s, source="command", kind="speedl", twist=twist,
        joint_speeds=ZERO, joints=ZERO, tcp_pose=ZERO,
    )  # fmt: skip


def test_latency_is_to_the_first_command_that_differs() -> None:
    """The first action has nothing before it; the second comes through after 7 ms, the third after 2 ms."""
    commands = [
        command(10.000, 0.001), command(10.008, 0.001), command(10.016, 0.0013),
        command(10.024, 0.002), command(10.032, 0.0017),
    ]  # fmt: skip
    assert latencies_ms([9.999, 10.009, 10.030], commands) == pytest.approx([7.0, 2.0])


def test_an_action_that_never_comes_through_has_no_latency() -> None:
    commands = [command(10.0 + 0.008 * i, 0.001) for i in range(5)]
    assert latencies_ms([10.01], commands) == []
    assert latencies_ms([10.01], []) == []
    assert describe("latency_ms", [])["latency_ms_max"] is None


def test_jitter_is_the_deviation_from_the_period_and_spans_no_connections() -> None:
    row = jitter([[0.0, 0.008, 0.018], [5.0, 5.005]], 8.0)
    assert row["ticks"] == 3
    assert row["period_error_ms_median"] == pytest.approx(2.0)
    assert row["period_error_ms_max"] == pytest.approx(3.0)


def test_what_there_is_more_of_is_a_leak() -> None:
    first = Resources(threads=5, sockets=2, descriptors=20, children=1, memory_mb=100.0)
    last = Resources(threads=6, sockets=2, descriptors=18, children=1, memory_mb=300.0)
    assert leaks(first, last) == ["threads: 5 became 6"]


def test_frames_are_found_again_and_a_changed_one_is_noticed(tmp_path: Path) -> None:
    robot = UR5TacTip(make_config(tmp_path, cameras=BOTH_FINGERS))
    recording = Recording(robot, tmp_path / "dataset", fps=10)
    rng = np.random.default_rng(0)
    robot.connect()
    for number in range(6):
        robot.cameras["tactile_left"].level = 100 + number  # pyright: ignore[reportAttributeAccessIssue]
        observation = robot.get_observation()
        recording.add(observation, make_action(rng.uniform(-0.02, 0.02, 6)))
        if number == 2:
            recording.end_episode()
    robot.disconnect()
    recording.close()
    assert (recording.num_episodes, recording.num_frames) == (2, 6)
    assert recording.compare() == (6, 6)
    recording._digests[4] = b"another frame"
    assert recording.compare() == (6, 5)


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [("models", "ur5e,ur3", "Unknown model 'ur3'"), ("minutes", -1.0, "minutes"), ("actions", 0, "actions")],
)  # fmt: skip
def test_settings_that_mean_nothing_are_refused(setting: str, value: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        streaming.StreamingConfig(**{setting: value})  # pyright: ignore[reportArgumentType]


@pytest.mark.slow
def test_a_short_stream_leaks_nothing_and_loses_no_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("rtde_control")
    output = tmp_path / "streaming.json"
    flags = ["--models=ur5", "--minutes=1.5", "--actions=30", "--mean_interval_s=2"]
    monkeypatch.setattr(
        "sys.argv", ["streaming", *flags, "--host=127.0.5.31", f"--output={output}"]
    )
    streaming.main()
    undisturbed, interrupted = json.loads(output.read_text())["rows"]
    assert undisturbed["actions"] > 20
    assert undisturbed["latency_ms_median"] > 0
    assert interrupted["faults"] == []
    assert interrupted["frames_given"] == interrupted["frames_equal"] > 50
    assert sum(interrupted["interruptions"].values()) > 5
    assert interrupted["sockets_last"] <= interrupted["sockets_first"]
    assert output.with_suffix(".png").stat().st_size > 1000
