"""`neuraltouch demo`: an unseen mug and an unseen bottle, coarse -> fine -> lift."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import draccus
import gymnasium as gym
import torch
from lerobot.utils.io_utils import write_video
from tqdm import tqdm

from lerobot_neuraltouch import features
from lerobot_neuraltouch.objects.user import load_object
from lerobot_policy_neuraltouch.demo.panel import touch_sheet, video_frames
from lerobot_policy_neuraltouch.demo.play import play_run
from lerobot_policy_neuraltouch.demo.recording import save_recording
from lerobot_policy_neuraltouch.demo.trace import Trace
from lerobot_policy_neuraltouch.shipped import shipped_path
from lerobot_policy_neuraltouch.training.collect import make_env
from lerobot_policy_neuraltouch.training.student import Student


@dataclass(frozen=True, kw_only=True)
class DemoConfig:
    """Grasp unseen objects: one look, then touch, then the recorded lift."""

    seed: int = 0
    """Of the objects (the seed-th of the test stream), their places, the look and the noise."""
    object: Path | None = None
    """A user's object (YAML) in place of the generated mug and bottle; its first known feature is grasped."""
    policy: str | None = None
    """Policy checkpoint; without it, the shipped one."""
    calibration: str = "paper"
    """Error of the camera's pose: exact | paper (about 12 mm of coarse error, as the paper reports)."""
    output: Path = Path("outputs/demo")
    """Folder of summary.json, demo.mp4, demo.rrd and touch.png."""
    video: bool = True
    """Render the scene and write demo.mp4 and demo.rrd; without them, only the numbers and touch.png."""
    fps: int = 10
    """Speed of the video [frames/s]; at 10, two control steps per frame make it run at twice real time."""
    scene_every: int = 2
    """Control steps per frame of the video."""

    def __post_init__(self) -> None:
        if self.seed < 0 or self.fps < 1 or self.scene_every < 1:
            raise ValueError("seed must be at least 0, fps and scene_every at least 1.")


def main() -> None:
    """Show the main job on unseen objects: one look, then touch, then the lift."""
    demo(draccus.parse(DemoConfig))


def demo(config: DemoConfig) -> list[Trace]:
    """Play the runs and write what they leave behind."""
    torch.set_num_threads(max(1, torch.get_num_threads() // 2))
    student = Student(config.policy or shipped_path())
    traces, meshes = [], {}
    for task in tqdm(_tasks(config), desc="demo", unit="object"):
        env = make_env(
            task.name,
            start="perception",
            split="test",
            calibration=config.calibration,
            release=True,
            object_path=None if config.object is None else str(config.object),
            render_mode="rgb_array" if config.video else None,
        )
        traces.append(_play(env, task, student, config))
        item = env.unwrapped.piece.item  # pyright: ignore[reportAttributeAccessIssue]
        meshes[item.name] = item.mesh
        env.close()
    _write(config, traces, meshes)
    tqdm.write(_table(traces))
    tqdm.write(
        f"wrote {', '.join(sorted(p.name for p in config.output.iterdir()))} to {config.output}"
    )
    return traces


def _play(env: gym.Env, task: features.Task, student: Student, config: DemoConfig) -> Trace:
    every = config.scene_every if config.video else 0
    return play_run(env, task, student, seed=config.seed, scene_every=every)


def _tasks(config: DemoConfig) -> list[features.Task]:
    if config.object is None:
        return [features.get_task("RefineMugRim"), features.get_task("RefineBottleHead")]
    known = load_object(config.object).features
    tasks = [task for task in features.TASKS.values() if task.feature in known]
    if not tasks:
        wanted = ", ".join(sorted(task.feature for task in features.TASKS.values()))
        raise ValueError(
            f"{config.object} has the features {', '.join(sorted(known))}; the demo grasps {wanted}."
        )
    return tasks[:1]


def _write(config: DemoConfig, traces: Sequence[Trace], meshes: dict) -> None:
    """Write every file under a temporary name first."""
    output = config.output
    output.mkdir(parents=True, exist_ok=True)
    partial = output / "summary.partial"
    partial.write_text(json.dumps({"runs": [trace.summary() for trace in traces]}, indent=2) + "\n")
    partial.replace(output / "summary.json")
    partial = output / "touch.partial.png"
    touch_sheet(traces).save(partial)
    partial.replace(output / "touch.png")
    if config.video:
        partial = output / "demo.partial.mp4"
        frames = [frame for trace in traces for frame in video_frames(trace)]
        write_video(partial, frames, config.fps)
        partial.replace(output / "demo.mp4")
        save_recording(traces, meshes, output / "demo.rrd")


def _table(traces: Sequence[Trace]) -> str:
    """What people want to know, one line per run."""
    lines = [
        f"{'object':18} {'feature':12} {'after vision':>16} {'after touch':>16} {'success':>8} {'steps':>6} "
        f"{'peak force':>11} {'coarse':>7} {'fine':>7} {'lift':>7}"
    ]
    for t in traces:
        lines.append(
            f"{t.object_name:18} {t.feature:12} "
            f"{1e3 * t.coarse_pos_error_m:6.2f} mm {t.coarse_cos_error:.4f} "
            f"{1e3 * t.final_pos_error_m:6.2f} mm {t.final_cos_error:.4f} "
            f"{'yes' if t.success else 'no':>8} {len(t.steps):6d} {t.max_touch_force_n:9.2f} N "
            + " ".join(f"{t.seconds[key]:5.1f} s" for key in ("coarse", "fine", "replay"))
        )
    return "\n".join(lines)
