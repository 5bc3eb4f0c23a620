"""A module in a process of its own: answers, errors, and how it ends. The arm's control client is one, the loopback controller another."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from lerobot_robot_ur5_tactip import child as child_module
from lerobot_robot_ur5_tactip.child import Child
from lerobot_robot_ur5_tactip.control import Control
from lerobot_robot_ur5_tactip.errors import LinkError
from tests.plugins.ur5.robots import wait_for

ECHO = """
import sys, time
from .child import answer_requests

def do(what, *arguments):
    if what == "raise":
        raise ValueError("as asked")
    if what == "sleep":
        time.sleep(arguments[0])
    if what == "modules":
        return sorted(sys.modules)
    return arguments

def serve(handle):
    answer_requests(handle, do)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of its own with the child's code and a module `echo`."""
    source = Path(child_module.__file__)
    (tmp_path / "child.py").write_text(source.read_text())
    (tmp_path / "echo.py").write_text(ECHO)
    monkeypatch.setattr(child_module, "__file__", str(tmp_path / "child.py"))
    return tmp_path


def test_it_answers_and_raises_what_was_raised(folder: Path) -> None:
    child = Child("echo")
    assert child.ask("say", 1, "two", timeout_s=30.0) == (1, "two")
    with pytest.raises(ValueError, match="as asked"):
        child.ask("raise", timeout_s=30.0)
    assert child.ask("say", timeout_s=30.0) == ()
    child.stop()
    child.stop()
    assert not psutil.pid_exists(child.pid)


def test_one_that_does_not_answer_is_killed(folder: Path) -> None:
    child = Child("echo")
    child.ask("say", timeout_s=30.0)
    with pytest.raises(TimeoutError, match=r"within 0\.1 s"):
        child.ask("sleep", 60.0, timeout_s=0.1)
    assert not psutil.pid_exists(child.pid)
    with pytest.raises(ConnectionError, match="has ended"):
        child.ask("say", timeout_s=30.0)


def test_it_ends_with_its_parent(folder: Path) -> None:
    """Also if another process keeps a copy of the parent's end of the pipe, as a forked image writer does."""
    code = (
        "import os, signal, sys, time\n"
        f"from pathlib import Path\nimport lerobot_robot_ur5_tactip.child as c\nc.__file__ = {str(folder / 'child.py')!r}\n"
        "child = c.Child('echo'); child.ask('say', timeout_s=60.0)\n"
        "copy = os.fork()\n"
        "if copy == 0: time.sleep(60); os._exit(0)\n"
        "print(child.pid, copy, flush=True); time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child, copy = map(int, parent.stdout.readline().split())
    try:
        parent.kill()
        parent.wait()
        wait_for(lambda: not psutil.pid_exists(child))
    finally:
        os.kill(copy, signal.SIGKILL)


def test_the_control_client_starts_without_lerobot(monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import sys, types; from pathlib import Path\n"
        f"package = types.ModuleType('p'); package.__path__ = [{str(Path(child_module.__file__).parent)!r}]\n"
        "sys.modules['p'] = package\nimport p.control\nprint(*({'lerobot', 'torch', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_a_controller_that_is_not_there_is_one_clear_error() -> None:
    pytest.importorskip("rtde_control")
    with pytest.raises(LinkError, match=r"The controller at 127\.0\.5\.99 refuses control"):
        Control("127.0.5.99")
