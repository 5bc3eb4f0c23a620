"""The touch policy pi(i, e, Z): two tactile images, proprioception and a pose descriptor give twist and finger change,
and an estimate of the whole way to the target (`rl.estimate`).

Source: NeuralTouch, arXiv:2510.20390, Eq. 6. The network is ours: one small encoder serves both fingers (they are
the same finger turned by 180 deg about the tcp's z), and the descriptor scales and shifts the trunk (FiLM).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lerobot_neuraltouch.rl.estimate import NUM_WAYS, Estimate
from lerobot_neuraltouch.rl.proprioception import proprioception_size

NUM_ACTIONS = 7
_ERROR_HIDDEN = 64
"""Width of the layer that tells expected errors from the trunk's features."""
SEEING_FINGERS = ("both", "left", "right")
"""Fingers whose images the refiner may see."""


@dataclass(frozen=True, kw_only=True)
class RefinerConfig:
    """Sizes of the refiner."""

    image_size: int = 64
    """Height and width of a tactile image [pixels], a multiple of 2 to the number of convolutions."""
    history_length: int = 3
    """States in the proprioception, the present one included."""
    descriptor_size: int = 1024
    """Length of a flattened pose descriptor; ignored without conditioning."""
    condition_on_descriptor: bool = True
    """False removes the descriptor from the network (the ablation NDF + RL-Touch)."""
    fingers: str = "both"
    """Whose images count: both | left | right; the other finger's is taken as blank (the ablation with one finger)."""
    channels: tuple[int, ...] = (16, 32, 64, 64)
    """Channels after each stride-2 convolution."""
    pooling: int = 1
    """The convolutions see means of so many by so many pixels; edges are read from the whole image all the same."""
    touch_features: int = 128
    """Features per finger."""
    hidden_size: int = 256
    """Width of the trunk."""
    condition_size: int = 64
    """Width of the descriptor's embedding."""

    def __post_init__(self) -> None:
        if self.fingers not in SEEING_FINGERS:
            raise ValueError(
                f"Unknown fingers '{self.fingers}'. Available: {', '.join(SEEING_FINGERS)}."
            )
        unit = self.pooling * 2 ** len(self.channels)
        if self.image_size % unit:
            raise ValueError(
                f"image_size must be a multiple of {unit} for {len(self.channels)} convolutions after pooling by "
                f"{self.pooling}, got {self.image_size}."
            )


@dataclass(frozen=True)
class RefinerOutput:
    """What the refiner says: a squashed action, and where it thinks the target is."""

    action: Tensor
    """In [-1, 1], shape (batch, 7); `ActionScale` turns it into SI units."""
    mean: Tensor
    """The same before the hyperbolic tangent, shape (batch, 7)."""
    hidden: Tensor
    """Features of the trunk, shape (batch, hidden_size)."""
    estimate: Estimate
    """Of the way to the target."""


@dataclass(frozen=True)
class ActionScale:
    """What 1 means for each component of the squashed action."""

    linear: float
    """[m/s]"""
    angular: float
    """[rad/s]"""
    finger: float
    """Change of the finger distance per control step [m], relative to the measured distance."""

    def limits(self, like: Tensor) -> Tensor:
        """The scale of each component, shape (7,)."""
        return like.new_tensor([self.linear] * 3 + [self.angular] * 3 + [self.finger])

    def to_si(self, squashed: Tensor, finger_distance: Tensor) -> Tensor:
        """Squashed actions, shape (batch, 7), and measured distances [m], shape (batch,), to action components."""
        action = squashed * self.limits(squashed)
        return torch.cat([action[:, :6], action[:, 6:] + finger_distance[:, None]], dim=-1)

    def from_si(self, action: Tensor, finger_distance: Tensor) -> Tensor:
        """Inverse of `to_si`, clipped to [-1, 1]."""
        relative = torch.cat([action[:, :6], action[:, 6:] - finger_distance[:, None]], dim=-1)
        return (relative / self.limits(action)).clamp(-1.0, 1.0)


GRAY_GAIN = 5.0
"""Brings gray levels of usual contacts (at most 0.4) to the size of the other inputs."""
PROFILE_LEVELS, PROFILE_SHARPNESS = (0.03, 0.06, 0.12, 0.20), 5.0
"""A pixel counts as touched around these gray levels [0, 1] (0.15 to 1 mm deep), with this steepness relative to the level. At a
sharp edge all levels end at one place; how far they end apart tells a chamfer."""


def num_profiles(size: int) -> int:
    """Length of `edge_profiles` for images of `size` x `size` pixels."""
    return 2 * size * (3 * len(PROFILE_LEVELS) + 1)


def edge_profiles(image: Tensor) -> Tensor:
    """Where the touched area begins and ends along each row and column: the edges of the part, below a pixel.

    A convolution learns the tilt of a faint edge only slowly; here it is a linear function.

    Args:
        image: In [0, 1], shape (batch, 1, size, size).

    Returns:
        Mean gray of columns, then rows; then, level by level, for columns, then rows: extent, far end, near end (image centre
        0, border 1). Shape (batch, num_profiles(size)).
    """
    gray = image[:, 0]
    size = gray.shape[-1]
    axis = torch.linspace(-1.0, 1.0, size, dtype=gray.dtype, device=gray.device)
    # Sums over rows or columns, plain and weighted by place, as products: a third of the time of multiplying, then adding.
    weights = torch.stack([torch.ones_like(axis), axis])
    profiles = [8 * gray.mean(1), 8 * gray.mean(2)]
    for level in PROFILE_LEVELS:
        touched = (gray * (PROFILE_SHARPNESS / level)).sub_(PROFILE_SHARPNESS).sigmoid_()
        down = weights @ touched
        across = torch.mv(touched.reshape(-1, size), axis).view(-1, size)
        for extent, weighted in ((down[:, 0], down[:, 1]), (touched.sum(2), across)):
            centre = weighted / (extent + 0.5)
            half = extent / size
            profiles += [2 * half, centre + half, centre - half]
    return torch.cat(profiles, dim=-1)


class TouchEncoder(nn.Module):
    """Tactile image, shape (batch, 1, H, W), to features, shape (batch, touch_features).

    Two coordinate channels, edge profiles and a linear layer over the last feature map keep *where* things are: the
    network's job is contact geometry below a pixel, not classification.
    """

    coordinates: Tensor

    def __init__(self, config: RefinerConfig):
        super().__init__()
        side = config.image_size // config.pooling
        axis = torch.linspace(-1.0, 1.0, side)
        grid = torch.stack(torch.meshgrid(axis, axis, indexing="ij"))
        self.register_buffer("coordinates", grid[None], persistent=False)
        layers: list[nn.Module] = []
        width = 3
        for i, channels in enumerate(config.channels):
            kernel = 5 if i == 0 else 3
            layers += [nn.Conv2d(width, channels, kernel, stride=2, padding=kernel // 2), nn.ReLU()]
            width = channels
        self.pooling = config.pooling
        side //= 2 ** len(config.channels)
        self.convolutions = nn.Sequential(*layers)
        inputs = width * side * side + num_profiles(config.image_size)
        self.head = nn.Sequential(nn.Linear(inputs, config.touch_features), nn.ReLU())

    def forward(self, image: Tensor) -> Tensor:
        """Encode images with values in [0, 1]."""
        coordinates = self.coordinates.expand(len(image), -1, -1, -1)
        coarse = image if self.pooling == 1 else F.avg_pool2d(image, self.pooling)
        # With channels last, convolutions over few channels take a fifth less time on a processor.
        stacked = torch.cat([GRAY_GAIN * coarse, coordinates], dim=1).contiguous(
            memory_format=torch.channels_last
        )
        return self.head(
            torch.cat([self.convolutions(stacked).flatten(1), edge_profiles(image)], -1)
        )


class Refiner(nn.Module):
    """The actor of the fine phase."""

    def __init__(self, config: RefinerConfig):
        super().__init__()
        self.config = config
        self.touch = TouchEncoder(config)
        inputs = 2 * config.touch_features + proprioception_size(config.history_length)
        self.first = nn.Linear(inputs, config.hidden_size)
        self.second = nn.Linear(config.hidden_size, config.hidden_size)
        self.action = nn.Linear(config.hidden_size, NUM_ACTIONS)
        self.way = nn.Linear(config.hidden_size, NUM_WAYS)
        self.log_error = nn.Sequential(
            nn.Linear(config.hidden_size, _ERROR_HIDDEN),
            nn.ReLU(),
            nn.Linear(_ERROR_HIDDEN, NUM_WAYS),
        )
        self.condition: nn.Module | None = None
        if config.condition_on_descriptor:
            self.condition = nn.Sequential(
                nn.LayerNorm(config.descriptor_size),
                nn.Linear(config.descriptor_size, config.condition_size),
                nn.ReLU(),
                nn.Linear(config.condition_size, 4 * config.hidden_size),
            )
        for layer in (self.action, self.way):
            nn.init.uniform_(layer.weight, -1e-3, 1e-3)
            nn.init.zeros_(layer.bias)

    def forward(
        self, left: Tensor, right: Tensor, motion: Tensor, descriptor: Tensor
    ) -> RefinerOutput:
        """One squashed action and one estimate per sample.

        Args:
            left, right: Tactile images in [0, 1], shape (batch, 1, image_size, image_size).
            motion: Proprioception, shape (batch, proprioception_size(history_length)).
            descriptor: Pose descriptor of the wanted contact, shape (batch, num_queries, dim) or flattened;
                ignored without conditioning.
        """
        if self.config.fingers == "left":
            right = torch.zeros_like(right)
        elif self.config.fingers == "right":
            left = torch.zeros_like(left)
        touch = self.touch(torch.cat([left, right]))
        hidden = torch.cat([touch[: len(left)], touch[len(left) :], motion], dim=-1)
        gains = (
            [None, None]
            if self.condition is None
            else self.condition(descriptor.flatten(1)).chunk(2, -1)
        )
        for layer, gain in zip((self.first, self.second), gains, strict=True):
            hidden = torch.relu(_modulate(layer(hidden), gain))
        mean = self.action(hidden)
        # The error head only watches: its loss must not bend the features that act.
        estimate = Estimate(self.way(hidden), self.log_error(hidden.detach()))
        return RefinerOutput(torch.tanh(mean), mean, hidden, estimate)


def _modulate(hidden: Tensor, gain: Tensor | None) -> Tensor:
    """Scale and shift features (FiLM); shape (batch, hidden) with gain (batch, 2 hidden)."""
    if gain is None:
        return hidden
    scale, shift = gain.chunk(2, dim=-1)
    return hidden * (1.0 + scale) + shift
