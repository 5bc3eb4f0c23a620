"""Each command printed on the pages about the arm and about recording is taken by the command that it names, with its values.

That they also run to the end is tested where the robots' commands are: devices/test_commands_in_simulation.py, ur5/test_commands.py.
"""

import importlib
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import draccus
import pytest
from lerobot.configs import parser
from lerobot.utils.import_utils import register_third_party_plugins

from lerobot_camera_tactip.verbs.identify_fingers import IdentifyCommand
from lerobot_neuraltouch.cli import normalise_flag
from lerobot_policy_neuraltouch.shipped import shipped_path
from lerobot_robot_ur5_tactip.bench.streaming import StreamingConfig
from lerobot_robot_ur5_tactip.config_ur5_tactip import UR5TacTipConfig
from lerobot_robot_ur5_tactip.verbs.doctor import DoctorConfig
from lerobot_robot_ur5_tactip.verbs.handeye import HandEyeConfig
from lerobot_robot_ur5_tactip.verbs.recover import RecoverConfig
from lerobot_robot_ur5_tactip.verbs.ur_sim import UrSimConfig

ROOT = Path(__file__).parents[2]
PAGES = ("ur5", "recording")
OURS: dict[str, type] = {
    "doctor": DoctorConfig,
    "handeye": HandEyeConfig,
    "recover": RecoverConfig,
    "ur-sim": UrSimConfig,
    "identify-fingers": IdentifyCommand,
    "bench streaming": StreamingConfig,
}
THEIRS = {
    "lerobot-record": "RecordConfig",
    "lerobot-replay": "ReplayConfig",
    "lerobot-teleoperate": "TeleoperateConfig",
    "lerobot-calibrate": "CalibrateConfig",
    "lerobot-rollout": "RolloutConfig",
}
CAMERA = """{"width": 320, "height": 240, "fx": 300.0, "fy": 300.0, "cx": 160.0, "cy": 120.0, "tcp_camera": [0, 0, 0, 0, 0, 0]}"""


def commands() -> list[str]:
    """Shell commands in printed order, one line each, without what is fed to them."""
    found = []
    for page in PAGES:
        text = (ROOT / "docs" / f"{page}.md").read_text()
        for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL):
            block = re.sub(r"cat > .*?\nEND\n", "", block, flags=re.DOTALL)
            found += [line.strip() for line in block.replace("\\\n", " ").splitlines()]
    return [command for command in found if command]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a user would type them: the configs, a robot of one's own, a calibrated camera, the page's script."""
    register_third_party_plugins()
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    shutil.copy(ROOT / "configs" / "ur5_loopback.yaml", tmp_path / "my_robot.yaml")
    camera = tmp_path / "outputs" / "calibration" / "wrist_camera.json"
    camera.parent.mkdir(parents=True)
    camera.write_text(CAMERA)
    (script,) = re.findall(
        r"<<'END'\n(.*?)END\n", (ROOT / "docs" / "recording.md").read_text(), re.DOTALL
    )
    (tmp_path / "outputs" / "script.yaml").write_text(script)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def parsed(command: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What a command makes of its flags."""
    words = shlex.split(command.replace("$(neuraltouch pretrained)", str(shipped_path())))
    name, flags = words[0], words[1:]
    if name == "neuraltouch":
        verb = " ".join(flags[: 2 if flags[0] == "bench" else 1])
        rest = flags[len(verb.split()) :]
        return draccus.parse(OURS[verb], args=[normalise_flag(flag) for flag in rest])
    monkeypatch.setattr("sys.argv", words)
    module = importlib.import_module("lerobot.scripts." + name.replace("-", "_"))
    if name == "lerobot-dataset-viz":
        return _until(module, "LeRobotDataset", monkeypatch)
    config = getattr(module, THEIRS[name])

    def capture(cfg: Any) -> Any:
        return cfg

    capture.__annotations__["cfg"] = config
    wrap: Callable[[], Callable] = draccus.wrap if name == "lerobot-calibrate" else parser.wrap
    return wrap()(capture)()


def _until(module: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run a command up to where it makes an object, and return what it makes it of."""

    class MadeError(Exception):
        pass

    made: dict[str, Any] = {}

    def stop(*_: object, **settings: Any) -> None:
        made.update(settings)
        raise MadeError

    monkeypatch.setattr(module, name, stop)
    with pytest.raises(MadeError):
        module.main()
    return made


@pytest.mark.parametrize("command", [c for c in commands() if not c.startswith("UR_ROBOT=")])
def test_a_printed_command_is_taken(
    command: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = parsed(command, monkeypatch)
    if "--robot.type=neuraltouch_sim" in command:
        assert config.robot.type == "neuraltouch_sim"
    if "--robot=" in command:
        assert isinstance(config.robot, UR5TacTipConfig)
    if command.startswith(("lerobot-record", "lerobot-rollout")) and "--dataset" in command:
        assert not config.dataset.video
        assert config.dataset.fps == 10
    if command.startswith("lerobot-rollout"):
        assert not config.return_to_initial_position


def test_the_suite_on_an_arm_is_where_the_page_says() -> None:
    (command,) = [c for c in commands() if c.startswith("UR_ROBOT=")]
    assert (ROOT / shlex.split(command)[-1]).is_file()


def test_all_pages_have_commands() -> None:
    assert {command.split()[0] for command in commands()} >= {"neuraltouch", *THEIRS}
