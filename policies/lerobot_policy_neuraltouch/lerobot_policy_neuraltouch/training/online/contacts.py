"""The contacts that a refiner is trained on: those of the skills, and others beside them, each prompted by its own descriptor.

A network that only ever sees one prompt per kind of contact may take it for a label. So some episodes want a contact a little deeper
or tilted: the target moves, and with it the poses on the demonstrated objects at which the descriptor is taken.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.features import EXCHANGEABLE_FINGERS
from lerobot_neuraltouch.ndf.descriptor import pose_descriptor
from lerobot_neuraltouch.ndf.encoder import Latent
from lerobot_neuraltouch.ndf.network import DescriptorField
from lerobot_neuraltouch.rl.symmetry import MIRROR
from lerobot_policy_neuraltouch.skills import Skill

Array = NDArray[np.float64]

_DEPTH, _TILT = 2, 4
"""Components of a twist in the target frame: along the approach, and about the closing direction."""
REACH = {
    "mug_rim": (0.002, float(np.deg2rad(30.0))),
    "right_angle_handle": (0.003, float(np.deg2rad(45.0))),
    "horizontal_handle": (0.003, float(np.deg2rad(45.0))),
    "bottle_head": (0.0025, float(np.deg2rad(60.0))),
    "bolt_head": (0.002, 0.0),
}
"""Largest depth [m] and tilt [rad] of contacts beside a feature's own. On a wall both are free anyway; a hexagon that is tilted to
one side is tilted to all of its six."""


@dataclass(frozen=True)
class Contact:
    """One contact that can be wanted."""

    skill: int
    """Number of its skill."""
    offset: Array
    """Where it lies beside the skill's own: twist in the target frame [m, rad], shape (6,); zero for the own one."""
    mirrored: int
    """Number of the contact that it is in a mirror."""


class ContactBank(nn.Module):
    """Numbered contacts and their descriptors. The first ones are the skills' own, in the skills' order.

    Args:
        skills: Of the policy that is trained.
        field: Its descriptor field.
        beside: How many more contacts to draw for each skill whose feature leaves room for them; an even number.
        seed: Of the draws; equal seeds give equal banks.
    """

    counts: Tensor
    """Demonstrations that have descriptors of each contact, (num_contacts,)."""
    descriptors: Tensor
    """The user's demonstration first, (num_contacts, most demonstrations, length)."""
    skill: Tensor
    """Shape (num_contacts,)."""
    mirrored: Tensor
    """Shape (num_contacts,)."""
    exchangeable: Tensor
    """Whether fingers may change sides without that touch could tell, (num_contacts,): not at a tilted contact, where a bar that
    the one hand feels tilted to one side the other feels tilted to the other."""

    def __init__(self, skills: list[Skill], field: DescriptorField, beside: int, seed: int):
        super().__init__()
        self.contacts = _draw(skills, beside, np.random.default_rng([seed, 13]))
        shown = [_descriptors(skills[c.skill], field, c.offset) for c in self.contacts]
        most = max(map(len, shown))
        exchangeable = [
            skills[c.skill].spec.feature in EXCHANGEABLE_FINGERS and not c.offset[_TILT]
            for c in self.contacts
        ]
        self.register_buffer("counts", torch.tensor([len(descriptors) for descriptors in shown]))
        self.register_buffer("descriptors", torch.stack([_padded(d, most) for d in shown]))
        self.register_buffer("skill", torch.tensor([c.skill for c in self.contacts]))
        self.register_buffer("mirrored", torch.tensor([c.mirrored for c in self.contacts]))
        self.register_buffer("exchangeable", torch.tensor(exchangeable))

    def beside(self, skill: int) -> list[int]:
        """Numbers of the contacts beside a skill's own."""
        return [
            number
            for number, contact in enumerate(self.contacts)
            if contact.skill == skill and contact.offset.any()
        ]


def _draw(skills: list[Skill], beside: int, rng: np.random.Generator) -> list[Contact]:
    contacts = [Contact(number, np.zeros(6), number) for number in range(len(skills))]
    for number, skill in enumerate(skills):
        depth, tilt = REACH.get(skill.spec.feature, (0.0, 0.0))
        if tilt:  # in pairs: tilted to one side, a contact is in a mirror tilted to the other
            for _ in range(beside // 2):
                here, offset = len(contacts), _offset(rng, depth, tilt)
                contacts.append(Contact(number, offset, here + 1))
                contacts.append(Contact(number, offset * MIRROR, here))
        elif depth:
            for _ in range(beside):
                contacts.append(Contact(number, _offset(rng, depth, tilt), len(contacts)))
    return contacts


def _offset(rng: np.random.Generator, depth: float, tilt: float) -> Array:
    offset = np.zeros(6)
    offset[_DEPTH], offset[_TILT] = rng.uniform(-depth, depth), rng.uniform(-tilt, tilt)
    return offset


@torch.no_grad()
def _descriptors(skill: Skill, field: DescriptorField, offset: Array) -> Tensor:
    """Of the contact at this offset on each demonstrated object, shape (num_demonstrations, length).

    Offsets are meant in the feature's own frame. The user may have shown a grasp with the fingers changed over, so the objects that
    were added to the skill are taken where there are any.
    """
    if not offset.any():
        return skill.descriptors.flatten(1)
    first = 1 if len(skill.poses) > 1 else 0
    poses = skill.poses[first:] @ torch.as_tensor(se3.exp(offset)).to(skill.poses)
    latent = Latent(skill.latents[first:], skill.centres[first:])
    return pose_descriptor(field, latent, poses, skill.queries).flatten(1)


def _padded(descriptors: Tensor, count: int) -> Tensor:
    return torch.cat([descriptors, descriptors[:1].expand(count - len(descriptors), -1)])
