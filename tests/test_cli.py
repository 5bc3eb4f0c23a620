"""The `neuraltouch` command finds verbs by entry point and hands them their flags."""

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from lerobot_neuraltouch import cli

VERB_SOURCE = '''
"""A module of verbs."""
import sys
seen = []

def greet():
    """Say hello.

    More words.
    """
    seen.append(list(sys.argv))

def refuse():
    raise ValueError("size must be at least 1,\\n got 0.")

def configured():
    """Sum two numbers."""
    import draccus
    from dataclasses import dataclass

    @dataclass
    class Config:
        num_shapes: int = 1
        """How many shapes."""
        noise: str = "nominal"
        """Noise."""

        def __post_init__(self):
            if self.num_shapes < 1:
                raise ValueError(f"num_shapes must be at least 1, got {self.num_shapes}.")

    config = draccus.parse(Config)
    seen.append((config.num_shapes, config.noise))
'''


@pytest.fixture
def verbs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The module `nt_verbs.inner`, installed as the verbs and benchmarks of this test."""
    package = tmp_path / "nt_verbs"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('the list of verbs imports nothing')")
    (package / "inner.py").write_text(VERB_SOURCE)
    monkeypatch.syspath_prepend(tmp_path)

    def entry(name: str, group: str) -> EntryPoint:
        return EntryPoint(name=name, value=f"nt_verbs.inner:{name}", group=group)

    names = {cli.VERBS: ("greet", "refuse", "configured"), cli.BENCHES: ("greet",)}
    monkeypatch.setattr(
        cli, "find_entry_points", lambda group: {n: entry(n, group) for n in names[group]}
    )
    monkeypatch.setattr(sys, "argv", ["neuraltouch"])
    yield package
    sys.modules.pop("nt_verbs", None)
    sys.modules.pop("nt_verbs.inner", None)


def loaded(package: Path) -> list:
    (package / "__init__.py").write_text("")
    import nt_verbs.inner  # type: ignore[import-not-found]

    return nt_verbs.inner.seen


def test_a_flags_dashes_become_underscores_and_its_value_stays() -> None:
    assert cli.normalise_flag("--num-shapes=a-b--c") == "--num_shapes=a-b--c"
    assert cli.normalise_flag("--env.image-size") == "--env.image_size"
    assert cli.normalise_flag("--noise=off") == "--noise='off'"
    assert cli.normalise_flag("some-value") == "some-value"
    assert cli.normalise_flag("-1") == "-1"
    assert cli.normalise_flag("--") == "--"


def test_a_verb_reads_its_own_flags_from_argv(verbs: Path) -> None:
    seen = loaded(verbs)
    assert cli.run(["greet", "--to-whom=a-b", "x-y"]) == 0
    assert seen == [["neuraltouch greet", "--to_whom=a-b", "x-y"]]


def test_a_benchmark_is_named_after_bench(verbs: Path) -> None:
    seen = loaded(verbs)
    assert cli.run(["bench", "greet", "--seed=0"]) == 0
    assert seen == [["neuraltouch bench greet", "--seed=0"]]


def test_a_draccus_verb_takes_dashed_flags(verbs: Path) -> None:
    seen = loaded(verbs)
    assert cli.run(["configured", "--num-shapes=7", "--noise=off"]) == 0
    assert seen == [(7, "off")]


def test_help_lists_each_verb_with_its_docstring_and_imports_nothing(verbs: Path, capsys) -> None:
    assert cli.run(["--help"]) == 0
    shown = capsys.readouterr().out
    assert "greet       Say hello." in shown
    assert "bench " in shown
    assert "nt_verbs" not in sys.modules
    assert cli.run(["bench", "--help"]) == 0
    assert "greet  Say hello." in capsys.readouterr().out


def test_an_unknown_name_is_answered_with_those_that_exist(verbs: Path, capsys) -> None:
    assert cli.run(["gret"]) == 2
    error = capsys.readouterr().err
    assert error == (
        "neuraltouch: error: unknown verb 'gret'. Available: greet, refuse, configured, bench.\n"
    )
    assert cli.run(["bench", "speed"]) == 2
    assert capsys.readouterr().err.endswith("unknown bench 'speed'. Available: greet.\n")


def test_no_verb_at_all_is_a_mistake(capsys) -> None:
    assert cli.run([]) == 2
    assert cli.run(["bench"]) == 2
    assert capsys.readouterr().out.startswith("usage: neuraltouch VERB")


def test_a_refused_input_is_one_clean_line(verbs: Path, capsys, monkeypatch) -> None:
    loaded(verbs)
    assert cli.run(["refuse"]) == 1
    assert capsys.readouterr().err == (
        "neuraltouch refuse: error: size must be at least 1, got 0.\n"
    )
    monkeypatch.setenv(cli.TRACEBACK, "1")
    with pytest.raises(ValueError, match="at least 1"):
        cli.run(["refuse"])


def test_a_value_of_the_wrong_type_is_one_clean_line(verbs: Path, capsys) -> None:
    loaded(verbs)
    assert cli.run(["configured", "--num_shapes=many"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("neuraltouch configured: error:")
    assert "many" in error
    assert error.count("\n") == 1


def test_a_value_the_config_refuses_is_told_in_the_configs_words(verbs: Path, capsys) -> None:
    loaded(verbs)
    assert cli.run(["configured", "--num-shapes=0"]) == 1
    assert capsys.readouterr().err == (
        "neuraltouch configured: error: num_shapes must be at least 1, got 0.\n"
    )


@pytest.mark.parametrize("group", [cli.VERBS, cli.BENCHES])
def test_every_installed_command_says_what_it_does(group: str) -> None:
    entries = cli.find_entry_points(group)
    assert [name for name, entry in entries.items() if not cli.summary_of(entry)] == []


def test_the_installed_command_runs() -> None:
    command = [sys.executable, "-m", "lerobot_neuraltouch.cli", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("usage: neuraltouch VERB [NAME] --flag=value")
