"""Shown grasps on training objects, as a person would give them: the ideal pose, the object seen from a few sides."""

import numpy as np
from torch import Tensor

from lerobot_neuraltouch.features import start_opening
from lerobot_neuraltouch.ndf.cases import Case, make_case, seeded
from lerobot_neuraltouch.ndf.network import DescriptorField
from lerobot_neuraltouch.ndf.pose_search import Demonstration, make_demonstration

DEMO_OBJECTS = {"mug_rim": 3, "bottle_head": 1}
"""Training object of the first demonstration, chosen among the first six on validation objects; others follow it in
the stream."""
SHOWN_SHARE = 0.5
"""Grasps are shown in this part of a contact's curve, around its middle."""


def make_demonstrations(
    field: DescriptorField,
    feature: str,
    num: int = 1,
    *,
    views: int = 4,
    seed: int = 0,
    queries: Tensor | None = None,
) -> list[Demonstration]:
    """Show a contact on training objects.

    The shown poses are ideal: in the middle of the contact's curve for the first demonstration, then drawn around it. A person
    keeps away from the ends as well, where the fingers meet what borders on the part, such as a mug's handle.

    Args:
        field: Frozen.
        feature: Contact, for example `mug_rim`.
        num: Demonstrations, each on another object.
        views: Noisy views whose clouds are put together.
        seed: Of poses, views and noise.
        queries: Query points in the tcp frame [m], (N_q, 3); spread as the part asks for if left out.
    """
    demos = []
    for number in range(num):
        rng = seeded(seed, "demo", feature, number)
        index = DEMO_OBJECTS.get(feature, 0) + number
        case = make_case(feature, "train", index, rng, views=views)
        T_object_tcp = None if number == 0 else case.feature.sample(rng, SHOWN_SHARE)
        demos.append(demonstrate(field, case, T_object_tcp, queries))
    return demos


def demonstrate(
    field: DescriptorField,
    case: Case,
    T_object_tcp: np.ndarray | None = None,
    queries: Tensor | None = None,
) -> Demonstration:
    """Show a contact on an object before the cameras: at a pose in its frame, or in the middle of the contact's curve."""
    if T_object_tcp is None:
        curve = case.feature.curve(65)
        T_object_tcp = curve[len(curve) // 2]
    pose = np.asarray(case.T_base_object @ T_object_tcp)
    opening = start_opening(case.feature.part_thickness_m)
    return make_demonstration(field, case.cloud, pose, queries, opening)
