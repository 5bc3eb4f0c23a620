"""What the latency benchmark reports: times per phase, and the memory of a process that runs nothing but the policy."""

import subprocess
import sys

import pytest

from lerobot_policy_neuraltouch.bench.latency import LatencyConfig, run
from lerobot_policy_neuraltouch.shipped import shipped_path


@pytest.mark.slow
def test_the_process_that_is_weighed_holds_no_simulator() -> None:
    code = (
        "import sys, lerobot_policy_neuraltouch.bench.memory, lerobot_policy_neuraltouch.modeling_neuraltouch;"
        "sys.exit('mujoco' in sys.modules or 'gym_neuraltouch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.slow
def test_latency_reports_each_phase_and_the_policys_memory() -> None:
    """One whole episode of the shipped policy, which is to fit into 1.5 GB."""
    rows = {row["phase"]: row for row in run(LatencyConfig(num_episodes=1))}
    assert list(rows) == ["search", "coarse", "fine", "replay"]
    assert all(0 < row["ms_median"] <= row["ms_p95"] for row in rows.values())
    assert rows["fine"]["threads"] == 1 and rows["fine"]["calls"] > 20
    weights_mb = (shipped_path() / "model.safetensors").stat().st_size / 1e6
    assert weights_mb < rows["fine"]["policy_resident_mb"] <= rows["fine"]["policy_peak_mb"] < 1500
