"""docs/environments/: the pages are what the code says, and what they print can be run."""

import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import draccus
import pytest
from lerobot.envs.configs import EnvConfig

from gym_neuraltouch.making import registered_tasks
from gym_neuraltouch.oracle_bench import OracleConfig
from gym_neuraltouch.play.script import load_script
from gym_neuraltouch.soak import SoakConfig
from gym_neuraltouch.throughput import ThroughputConfig
from gym_neuraltouch.verbs.play import PlayConfig
from lerobot_neuraltouch.features import WHOLE_TASKS
from tests.plugins.test_env_configuration import Command

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "environments"
VERBS = {
    "play": PlayConfig,
    "bench throughput": ThroughputConfig,
    "bench soak": SoakConfig,
    "bench oracle": OracleConfig,
}


def blocks(language: str) -> list[str]:
    """Fenced blocks of all pages in one language, each once."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.md"))]
    found = re.findall(rf"```{language}\n(.*?)```", "\n".join(texts), flags=re.DOTALL)
    return list(dict.fromkeys(found))


def commands(program: str) -> list[str]:
    lines = "".join(blocks("bash")).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.startswith(f"{program} ")]


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return runpy.run_path(str(ROOT / "scripts" / "environment_pages"))["pages"]()


def test_the_pages_are_up_to_date(pages: dict[str, str]) -> None:
    """If not: `make docs`."""
    written = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md")}
    assert written.keys() == pages.keys()
    assert [name for name, text in pages.items() if written[name] != text] == []


def test_each_task_has_a_page_that_the_index_leads_to(pages: dict[str, str]) -> None:
    for name in registered_tasks():
        assert f"({name}.md)" in pages["README.md"]
        assert f"# {name}\n" in pages[f"{name}.md"]


@pytest.mark.parametrize("name", WHOLE_TASKS)
def test_a_whole_task_says_what_it_asks_of_the_object(pages: dict[str, str], name: str) -> None:
    text = pages[f"{name}.md"]
    assert "## Success test\n\nNeeds" in text
    assert "`'ur5e'`" in text


def test_links_of_the_pages_lead_somewhere(pages: dict[str, str]) -> None:
    for text in pages.values():
        for target in re.findall(r"\]\((?!http)(.+?)\)", text):
            assert (FOLDER / target).is_file(), target


def test_printed_flags_exist() -> None:
    """Of our verbs and of `--env.*`; what the commands do has tests of its own."""
    printed = commands("neuraltouch")
    assert len(printed) > 8
    for line in printed:
        words = shlex.split(line, comments=True)[1:]
        flags = [word.replace("-", "_") for word in words if word.startswith("--")]
        verb = " ".join(word for word in words if not word.startswith("--"))
        config = VERBS[verb]
        draccus.parse(config, args=[f"--{flag.lstrip('_')}" for flag in flags])
    for line in commands("lerobot-eval"):
        flags = [word for word in line.split() if word.startswith("--env.")]
        assert isinstance(draccus.parse(Command, args=flags).env, EnvConfig)
    assert load_script(FOLDER / "grasp.yaml")


@pytest.mark.slow
@pytest.mark.parametrize("code", blocks("python"))
def test_printed_python_runs(code: str, tmp_path: Path) -> None:
    script = tmp_path / "printed.py"  # a file, because spawned workers run it again
    script.write_text(code)
    subprocess.run([sys.executable, str(script)], check=True, timeout=300)
