"""A Rerun recording of the runs: cloud, object, gripper, touch and errors over time."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import rerun as rr
import trimesh

from lerobot_policy_neuraltouch.demo.trace import Trace

GRIPPER_AXIS_LENGTH = 0.03
"""Length of the drawn tcp axes [m]."""


def save_recording(
    traces: Sequence[Trace], meshes: Mapping[str, trimesh.Trimesh], path: Path
) -> None:
    """Write every run under its object's name into one .rrd file.

    Args:
        traces: The runs.
        meshes: Object meshes in their own frames [m], by object name.
        path: The file; written under a temporary name first.
    """
    partial = path.with_suffix(".partial")
    with rr.RecordingStream("neuraltouch_demo") as stream:
        stream.save(partial)
        for trace in traces:
            _log_run(stream, trace, meshes[trace.object_name])
    partial.replace(path)


def _log_run(stream: rr.RecordingStream, trace: Trace, mesh: trimesh.Trimesh) -> None:
    root = trace.object_name
    posed = mesh.copy().apply_transform(trace.T_base_object)
    stream.log(
        f"{root}/object",
        rr.Mesh3D(
            vertex_positions=posed.vertices,
            triangle_indices=posed.faces,
            vertex_normals=posed.vertex_normals,
        ),
        static=True,
    )
    stream.log(f"{root}/cloud", rr.Points3D(trace.cloud, radii=0.0006), static=True)
    for k, step in enumerate(trace.steps):
        stream.set_time("step", sequence=k)
        stream.log(
            f"{root}/tcp",
            rr.Transform3D(translation=step.T_base_tcp[:3, 3], mat3x3=step.T_base_tcp[:3, :3]),
            rr.TransformAxes3D(GRIPPER_AXIS_LENGTH),
        )
        stream.log(f"{root}/touch/left", rr.Image(step.touch[0]))
        stream.log(f"{root}/touch/right", rr.Image(step.touch[1]))
        stream.log(f"{root}/error/position_mm", rr.Scalars(1e3 * step.pos_error_m))
        stream.log(f"{root}/error/cosine", rr.Scalars(step.cos_error))
        stream.log(f"{root}/force_n", rr.Scalars(step.force_n))
