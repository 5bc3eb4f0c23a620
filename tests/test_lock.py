"""The lock serves any machine: hashes for everything, the address of nothing."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCK = (ROOT / "requirements.lock").read_text()
PINS = re.findall(r"^([a-z0-9._-]+)(?:\[[^]]*\])?==\S+", LOCK, flags=re.MULTILINE)


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_lock_names_no_address() -> None:
    assert (
        re.findall(r"\S*://\S*|^-.*|\S*file:\S*|\S+\.(?:org|com|io|net)\b", LOCK, re.MULTILINE)
        == []
    )


def test_every_pin_has_hashes() -> None:
    blocks = re.split(r"^(?=[a-z0-9])", LOCK, flags=re.MULTILINE)[1:]
    assert len(blocks) == len(PINS) > 100
    assert [block.split()[0] for block in blocks if "--hash=sha256:" not in block] == []


def test_the_lock_covers_every_dependency() -> None:
    wanted: set[str] = set()
    for file in [ROOT / "pyproject.toml", *ROOT.glob("[per]*/lerobot_*/pyproject.toml")]:
        content = tomllib.loads(file.read_text())
        requirements = content["project"]["dependencies"]
        requirements += content.get("dependency-groups", {}).get("dev", [])
        wanted |= {canonical(re.split(r"[\[<>=!~ ;]", text)[0]) for text in requirements}
    ours = {name for name in wanted if name.startswith("lerobot-")}
    assert wanted - ours - set(PINS) == set()
