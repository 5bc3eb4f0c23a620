"""LeRobot finds the plugins: by distribution name, through their config classes, from one version.

`make build` runs this file against the built wheels too.
"""

import importlib.metadata
import importlib.util
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECTS = [ROOT / "pyproject.toml", *sorted(ROOT.glob("[per]*/lerobot_*/pyproject.toml"))]
METADATA = {p.parent.name: tomllib.loads(p.read_text())["project"] for p in PROJECTS}
DISTRIBUTIONS = [project["name"] for project in METADATA.values()]


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_distribution_keeps_its_underscores(name: str) -> None:
    """LeRobot compares the raw name with `lerobot_policy_` and imports it as a module."""
    assert importlib.metadata.metadata(name)["Name"] == name
    assert importlib.util.find_spec(name) is not None


def test_a_plugins_folder_is_named_as_its_distribution() -> None:
    plugins = {folder: p["name"] for folder, p in METADATA.items() if folder != ROOT.name}
    assert set(plugins) >= {"lerobot_policy_neuraltouch", "lerobot_env_neuraltouch"}
    assert all(folder == name for folder, name in plugins.items())


def test_all_distributions_share_one_version() -> None:
    assert {project["version"] for project in METADATA.values()} == {METADATA[ROOT.name]["version"]}
    assert {importlib.metadata.version(name) for name in DISTRIBUTIONS} == {
        METADATA[ROOT.name]["version"]
    }


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("policy", "neuraltouch"),
        ("env", "neuraltouch"),
        ("robot", "neuraltouch_sim"),
        ("robot", "ur5_tactip"),
        ("camera", "tactip"),
        ("teleoperator", "neuraltouch_keyboard"),
        ("teleoperator", "neuraltouch_gamepad"),
        ("teleoperator", "neuraltouch_scripted"),
    ],
)
def test_type_is_registered(kind: str, name: str) -> None:
    """A plugin that fails on import is logged and skipped, so ask for the type, not the module."""
    from lerobot.cameras.configs import CameraConfig
    from lerobot.configs.policies import PreTrainedConfig
    from lerobot.envs.configs import EnvConfig
    from lerobot.robots.config import RobotConfig
    from lerobot.teleoperators.config import TeleoperatorConfig
    from lerobot.utils.import_utils import register_third_party_plugins

    register_third_party_plugins()
    bases = {
        "policy": PreTrainedConfig,
        "env": EnvConfig,
        "robot": RobotConfig,
        "camera": CameraConfig,
        "teleoperator": TeleoperatorConfig,
    }
    assert name in bases[kind].get_known_choices()


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("gym_neuraltouch", ("torch", "lerobot")),
        ("lerobot_neuraltouch", ("torch", "numpy")),
        ("lerobot_neuraltouch.cli", ("torch", "numpy")),
        ("lerobot_neuraltouch.features", ("torch", "scipy")),
        ("lerobot_neuraltouch.report", ("torch", "scipy")),
    ],
)
def test_import_stays_light(module: str, heavy: tuple[str, ...]) -> None:
    code = f"import {module}, sys; print(*(set({heavy!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_modules_come_from_where_they_should() -> None:
    """In `make build` that is the wheels' environment, else a checkout or an installation."""
    expected = os.environ.get("NEURALTOUCH_EXPECT_ROOT")
    if expected is None:
        pytest.skip("only `make build` says where the modules must come from")
    for name in [*DISTRIBUTIONS, "gym_neuraltouch"]:
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        assert Path(spec.origin).is_relative_to(expected), name
