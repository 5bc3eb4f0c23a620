"""Runs a command of LeRobot's with the fake camera and the steady teleoperator registered: `python lerobot_command.py record ...`."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

if __name__ == "__main__":
    # Some installed package is called tests as well.
    package = ModuleType("tests")
    package.__path__ = [str(Path(__file__).parents[2])]
    sys.modules["tests"] = package
    for name in ("fakecamera", "steadyteleop"):
        importlib.import_module(f"tests.plugins.ur5.{name}")
    command = sys.argv.pop(1)
    importlib.import_module(f"lerobot.scripts.lerobot_{command}").main()
