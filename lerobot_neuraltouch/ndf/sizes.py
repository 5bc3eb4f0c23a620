"""What a descriptor field is made of, and what it tells: sizes, anchors and coordinates."""

from dataclasses import dataclass

SCALE = 10.0
"""Network units per metre."""

ANCHORS = ("top", "base", "handle", "corner")
"""Points the encoder votes for: the axis' ends at the object's top and base, and on mugs the outermost point of the
handle's centre line and the handle's upper corner."""

COORDINATES = (
    "height", "depth", "radius", "outside", "x", "y", "reach", "level", "past", "drop", "mug", "bottle", "bolt",
)  # fmt: skip
"""What the decoder tells about a point beside its signed distance: height above the base, height over the top,
distance to the axis, that distance less the top part's radius; on mugs x and y in the canonical frame (the handle is
at +x), x beyond the handle's outermost point and height over it, x beyond the handle's upper corner and height over it [all m]; and for each
category whether it is the object's."""

PARTS = ("top", "handle")
"""Parts of an object that contacts are at. Descriptors, anchors and confidence differ between them."""


@dataclass(frozen=True, kw_only=True)
class FieldConfig:
    """Sizes of the network."""

    num_points: int = 192
    """Points per encoder pass; larger clouds are split and their latents averaged."""
    neighbours: int = 8
    """Edges per point."""
    reach: int = 16
    """The edges are spread over this many nearest neighbours."""
    edge_hidden: int = 32
    """Width of the edge network."""
    scalars: int = 64
    """Invariant channels per point."""
    vectors: int = 32
    """Vector channels per point."""
    hidden: int = 64
    """Width of a block."""
    heads: int = 8
    """Attention heads of each pool; divides vectors, hidden and latent."""
    blocks: int = 4
    """Point blocks; anchors are estimated once in the middle and once at the end."""
    anchors: int = len(ANCHORS)
    """How many of ANCHORS the encoder votes for, at least 3."""
    latent: int = 64
    """Vectors in the latent, anchors included."""
    decoder_width: int = 128
    """Width of the decoder."""
    decoder_blocks: int = 3
    """Residual blocks of the decoder."""
    descriptor: int = 64
    """Size of a point's descriptor."""

    def __post_init__(self) -> None:
        for name in ("vectors", "latent", "hidden"):
            if getattr(self, name) % self.heads:
                raise ValueError(
                    f"{name}={getattr(self, name)} is no multiple of heads={self.heads}."
                )
        if not 3 <= self.anchors <= len(ANCHORS):
            raise ValueError(f"anchors must be 3 to {len(ANCHORS)}, got {self.anchors}.")
