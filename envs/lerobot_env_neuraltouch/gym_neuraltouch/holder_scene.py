"""A holder in the MuJoCo model: fixed pieces, and the screw joint of a lid."""

import mujoco
import numpy as np
import trimesh

from .holder import Holder, Thread

VISUAL_GROUP = 1
_FRICTION = [0.3, 0.005, 0.0001]
"""Of an object against a plate: less than against the table, as of polished metal or plastic."""


def add_holder(spec: mujoco.MjSpec, holder: Holder) -> None:
    """Add the mocap body `holder`, to be placed like the object, and under it the body `thread` if there is one.

    With a sunken object the pieces are its table; the table's plane, which would fill the hole, is left to the fingers.
    """
    body = spec.worldbody.add_body(name="holder", mocap=True)
    sunken = holder.sink_m > 0.0
    if sunken:
        table = spec.geom("table")
        table.contype, table.conaffinity = 2, 1
        table.rgba = [*table.rgba[:3], 0.2]
    for index, piece in enumerate(holder.pieces):
        name = f"holder{index}"
        spec.add_mesh(name=name, uservert=_vertices(piece))
        body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_MESH,
            meshname=name,
            name=name,
            # an object's bits are 2 and 1, those of a finger 1 and 2
            contype=0 if sunken else 2,
            conaffinity=2 if sunken else 3,
            group=VISUAL_GROUP,
            friction=_FRICTION if sunken else [0.6, 0.005, 0.0001],
            priority=1 if sunken else 0,
            solref=[0.006, 1.0],
            rgba=[0.45, 0.5, 0.55, 1] if sunken else [0.55, 0.7, 0.6, 1],
        )
    if holder.thread is not None:
        _add_thread(spec, body, holder.thread)


def _add_thread(spec: mujoco.MjSpec, holder: mujoco.MjsBody, thread: Thread) -> None:
    """A body that turns and rises at once; the object is welded to it until the thread ends."""
    body = holder.add_body(name="thread", pos=[0.0, 0.0, thread.height_m], gravcomp=1)
    body.mass, body.inertia = 0.01, [1e-5] * 3
    body.explicitinertial = True
    body.add_joint(name="thread_rise", type=mujoco.mjtJoint.mjJNT_SLIDE, axis=[0, 0, 1])
    body.add_joint(
        name="thread_turn",
        type=mujoco.mjtJoint.mjJNT_HINGE,
        axis=[0, 0, 1],
        frictionloss=thread.friction_nm,
        damping=0.002,
        limited=True,
        range=[0.0, 4.0 * np.pi],
    )
    coupling = spec.add_equality(
        name="thread",
        type=mujoco.mjtEq.mjEQ_JOINT,
        objtype=mujoco.mjtObj.mjOBJ_JOINT,
        name1="thread_turn",
        name2="thread_rise",
    )
    # The turn as a function of the rise: the other way round MuJoCo would take the thread's small moment of inertia for its mass,
    # and the coupling would give way to a pull.
    coupling.data[:2] = [0.0, 2.0 * np.pi / thread.pitch_m]
    coupling.solref = [0.004, 1.0]


def _vertices(mesh: trimesh.Trimesh) -> list[float]:
    return np.asarray(mesh.vertices, dtype=np.float64).ravel().tolist()
