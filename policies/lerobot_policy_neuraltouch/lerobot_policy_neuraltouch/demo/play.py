"""Play one demonstration run: coarse by vision, fine by touch, then the recorded lift."""

import time
from typing import Any

import gymnasium as gym
import numpy as np

from lerobot_neuraltouch import features, se3
from lerobot_neuraltouch.features import Phase
from lerobot_policy_neuraltouch.demo.trace import Step, Trace
from lerobot_policy_neuraltouch.training.student import Student

PHASE_KEYS = {Phase.COARSE: "coarse", Phase.FINE: "fine", Phase.REPLAY: "replay"}


def play_run(
    env: gym.Env, task: features.Task, student: Student, *, seed: int, scene_every: int
) -> Trace:
    """Play one episode and keep its trace.

    Args:
        env: Of the task, made with ``start="perception", release=True``.
        task: What the environment is about.
        student: The policy.
        seed: Of the object's place, the look and the noise.
        scene_every: Keep a scene picture every so many control steps; 0 keeps none.
    """
    student.reset()
    observation, info = env.reset(seed=seed, options={"object_index": _object_index(env, seed)})
    trace = Trace(
        object_name=env.unwrapped.piece.item.name,  # pyright: ignore[reportAttributeAccessIssue]
        feature=task.feature,
        seed=seed,
        cloud=observation["point_cloud"],
        T_base_object=info["privileged"]["T_base_object"].copy(),
        seconds=dict.fromkeys(PHASE_KEYS.values(), 0.0),
    )
    done = False
    while not done:
        began = time.perf_counter()
        action = student.act([observation], [task.text])[0]
        report = student.policy.diagnostics[0]
        if not trace.steps:
            _note_coarse_error(env, trace, report.T_base_coarse)
        observation, _, terminated, truncated, info = env.step(action.astype(np.float32))
        done = terminated or truncated
        trace.seconds[PHASE_KEYS[report.phase]] += time.perf_counter() - began
        picture = scene_every and (len(trace.steps) % scene_every == 0 or done)
        trace.steps.append(
            _step(report.phase, observation, info, env.render() if picture else None)
        )
    trace.final_pos_error_m = float(info["pos_error_m"])
    trace.final_cos_error = float(info["cos_error"])
    trace.max_touch_force_n = float(info["max_force_n"])
    trace.success = bool(info["is_success"])
    return trace


def _object_index(env: gym.Env, seed: int) -> int:
    """Each seed has an object of its own: the seed-th of the test stream."""
    return 0 if env.unwrapped.object_path else seed  # pyright: ignore[reportAttributeAccessIssue]


def _note_coarse_error(env: gym.Env, trace: Trace, T_base_coarse: np.ndarray) -> None:
    piece: Any = env.unwrapped.piece  # pyright: ignore[reportAttributeAccessIssue]
    error = piece.feature.nearest(se3.inverse(trace.T_base_object) @ T_base_coarse)
    trace.coarse_pos_error_m, trace.coarse_cos_error = error.pos_error_m, error.cos_error


def _step(phase: int, observation: Any, info: Any, scene: Any) -> Step:
    pixels = observation["pixels"]
    return Step(
        phase=phase,
        T_base_tcp=info["privileged"]["T_base_tcp"].copy(),
        finger_distance_m=float(observation["agent_pos"][6]),
        pos_error_m=float(info["pos_error_m"]),
        cos_error=float(info["cos_error"]),
        force_n=float(info["max_force_n"]),
        touch=np.stack([pixels["tactile_left"][..., 0], pixels["tactile_right"][..., 0]]),
        scene=scene,
    )
