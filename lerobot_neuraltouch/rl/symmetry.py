"""Symmetries of a gripper with two equal fingers, so that each remembered step teaches up to four.

Mirrored in the plane between left and right of the pads (tcp x to -x), a contact is a contact on the mirrored object: pictures are
mirrored along their columns. Turned by 180 degrees about the approach direction, the fingers have changed sides: the picture
of the one is that of the other, because their pads are turned against each other by just that.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

MIRROR = (-1.0, 1.0, 1.0, 1.0, -1.0, -1.0)
"""What a mirroring in x does to a twist (v, omega); omega is an axial vector."""
EXCHANGE = (-1.0, -1.0, 1.0, -1.0, -1.0, 1.0)
"""What a turn by 180 degrees about z does to a twist."""
_PRIVILEGED_TWISTS = 2
"""`privileged.critic_state` begins with so many twists, followed by so many pairs of left and right:"""
_PRIVILEGED_PAIRS = 3


@dataclass(frozen=True)
class Symmetry:
    """Which samples of a batch are mirrored, and in which the fingers change sides."""

    mirrored: Tensor
    """Shape (batch,), bool."""
    exchanged: Tensor
    """Shape (batch,), bool."""

    @classmethod
    def draw(cls, exchangeable: Tensor) -> "Symmetry":
        """Each with even odds; fingers only change sides where `exchangeable`, bool (batch,), says so."""
        odds = torch.rand(2, len(exchangeable), device=exchangeable.device) < 0.5
        return cls(odds[0], odds[1] & exchangeable)

    def pictures(self, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        """Tactile images, each of shape (batch, 1, H, W)."""
        exchanged, mirrored = (
            flag[:, None, None, None] for flag in (self.exchanged, self.mirrored)
        )
        pair = torch.where(exchanged, right, left), torch.where(exchanged, left, right)
        left, right = (torch.where(mirrored, picture.flip(-1), picture) for picture in pair)
        return left, right

    def twist(self, twist: Tensor) -> Tensor:
        """Twists or actions: what follows a twist's six components stays, shape (batch, 6 or more)."""
        return torch.cat([twist[:, :6] * self._signs(twist), twist[:, 6:]], dim=-1)

    def motion(self, motion: Tensor) -> Tensor:
        """Proprioception: past states of eight values that begin with a twist, then the finger distance, shape (batch, 8 n + 1)."""
        past = motion[:, :-1].unflatten(-1, (-1, 8))
        moved = past[..., :6] * self._signs(motion)[:, None]
        return torch.cat([torch.cat([moved, past[..., 6:]], -1).flatten(1), motion[:, -1:]], -1)

    def privileged(self, privileged: Tensor) -> Tensor:
        """What critics see, shape (batch, PRIVILEGED_SIZE)."""
        num, end = 6 * _PRIVILEGED_TWISTS, 6 * _PRIVILEGED_TWISTS + 2 * _PRIVILEGED_PAIRS
        twists = privileged[:, :num].unflatten(-1, (-1, 6)) * self._signs(privileged)[:, None]
        pairs = privileged[:, num:end].unflatten(-1, (-1, 2))
        pairs = torch.where(self.exchanged[:, None, None], pairs.flip(-1), pairs)
        return torch.cat([twists.flatten(1), pairs.flatten(1), privileged[:, end:]], dim=-1)

    def _signs(self, like: Tensor) -> Tensor:
        """Factor of each component of a twist, shape (batch, 6)."""
        one = like.new_ones(6)
        mirror = torch.where(self.mirrored[:, None], like.new_tensor(MIRROR), one)
        return mirror * torch.where(self.exchanged[:, None], like.new_tensor(EXCHANGE), one)
