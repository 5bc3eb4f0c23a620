"""Loopback controllers that the tests share, one of each generation, and ur_rtde's clients connected to them.

A control client takes half a second to go, so most tests share one (`bench`); those that break something connect their own (`clients`).
The CB3 is in the fast tests where it differs (`both`), in the slow ones everywhere.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from lerobot_robot_ur5_tactip.loopback import LoopbackController

MODELS = ("ur5e", "ur5")
DEFAULTS = {"unlock_after_s": 5.0, "watchdog_action": "stop", "version": "", "gripper": False}


def address(number: int) -> str:
    """A loopback address that no other test process uses."""
    pid = os.getpid()
    return f"127.{64 + number}.{pid // 250 % 250}.{pid % 250 + 1}"


def connect(arm: LoopbackController, name: str, *args: Any, **kwargs: Any) -> Any:
    """One of ur_rtde's clients: control, receive, io or dashboard."""
    pytest.importorskip("rtde_control", reason="ur-rtde is not installed")
    import dashboard_client
    import rtde_control
    import rtde_io
    import rtde_receive

    kinds = {
        "control": rtde_control.RTDEControlInterface,
        "receive": rtde_receive.RTDEReceiveInterface,
        "io": rtde_io.RTDEIOInterface,
        "dashboard": dashboard_client.DashboardClient,
    }
    client = kinds[name](arm.config.host, *args, **kwargs)
    if name == "dashboard":
        client.connect()
    return client


@pytest.fixture(scope="session")
def controllers() -> Iterator[Callable[[str, str], LoopbackController]]:
    """Running controllers by what they are for and by model."""
    running: dict[tuple[str, str], LoopbackController] = {}

    def get(purpose: str, model: str) -> LoopbackController:
        key = purpose, model
        if key not in running:
            running[key] = LoopbackController(host=address(len(running)), model=model)
            running[key].start()
        return running[key]

    yield get
    for controller in running.values():
        controller.stop()


@pytest.fixture(params=["ur5e", pytest.param("ur5", marks=pytest.mark.slow)])
def model(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def arm(controllers: Callable[[str, str], LoopbackController], model: str) -> LoopbackController:
    """A controller that has just been booted."""
    controller = controllers("clients", model)
    controller.reset(**DEFAULTS)
    return controller


@pytest.fixture
def clients(arm: LoopbackController) -> Iterator[SimpleNamespace]:
    """Makers of ur_rtde's clients; all are disconnected in the end."""
    made: list[Any] = []

    def maker(name: str) -> Callable[..., Any]:
        def make(*args: Any, **kwargs: Any) -> Any:
            made.append(connect(arm, name, *args, **kwargs))
            return made[-1]

        return make

    yield SimpleNamespace(**{name: maker(name) for name in ("control", "receive", "io", "dashboard")})  # fmt: skip
    for client in reversed(made):
        with suppress(Exception):
            client.disconnect()


@pytest.fixture(scope="session")
def benches(
    controllers: Callable[[str, str], LoopbackController],
) -> Callable[[str], SimpleNamespace]:
    made: dict[str, SimpleNamespace] = {}

    def get(model: str) -> SimpleNamespace:
        if model not in made:
            arm = controllers("bench", model)
            names = ("receive", "control")
            made[model] = SimpleNamespace(arm=arm, **{name: connect(arm, name) for name in names})
        return made[model]

    return get


@pytest.fixture
def bench(benches: Callable[[str], SimpleNamespace], model: str) -> SimpleNamespace:
    """A controller (`arm`) with a receive and a control client that other tests use too: nobody may stop its program."""
    bench = benches(model)
    assert bench.control.setTcp([0.0] * 6)
    bench.arm.set_joints(bench.arm.config.joints)
    bench.arm.set_wrench([0.0] * 6)
    bench.arm.clear_log()
    return bench


@pytest.fixture
def wait_for() -> Callable[[Callable[[], Any], str], Any]:
    """Wait until a condition holds, and fail with its description if it does not for a long time."""

    def wait(condition: Callable[[], Any], what: str, at_most_s: float = 30.0) -> Any:
        end = time.monotonic() + at_most_s
        while time.monotonic() < end:
            value = condition()
            if value:
                return value
            time.sleep(0.005)
        pytest.fail(f"{what}: not within {at_most_s} s")

    return wait
