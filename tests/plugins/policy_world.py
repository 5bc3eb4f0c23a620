"""What the policy's tests share: a small field, a made skill, batches, and a world that only moves."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lerobot_neuraltouch import features, se3
from lerobot_neuraltouch.ndf.checkpoint import field_hash
from lerobot_neuraltouch.ndf.descriptor import query_points
from lerobot_neuraltouch.ndf.network import DescriptorField
from lerobot_neuraltouch.ndf.sizes import FieldConfig
from lerobot_policy_neuraltouch import NeuralTouchConfig
from lerobot_policy_neuraltouch.checkpoint import assemble
from lerobot_policy_neuraltouch.modeling_neuraltouch import NeuralTouchPolicy
from lerobot_policy_neuraltouch.settings import SkillSpec
from lerobot_policy_neuraltouch.skills import Skill, SkillTensors

RIM = "Grasp the mug by its rim"
WALL = "Grasp the mug by its wall"
LID = "Grasp the bottle by its lid"
BOLT = "Grasp the bolt by its head"
_FEATURES = {RIM: "mug_rim", WALL: "mug_wall", LID: "bottle_head", BOLT: "bolt_head"}
NUM_QUERIES = 4
SMALL = FieldConfig(
    num_points=64, neighbours=4, reach=8, edge_hidden=8, scalars=16, vectors=8, hidden=16, heads=4,
    blocks=2, latent=8, decoder_width=16, decoder_blocks=1, descriptor=8,
)  # fmt: skip


def small_field(seed: int = 0) -> DescriptorField:
    torch.manual_seed(seed)
    return DescriptorField(SMALL).requires_grad_(False).eval()


def make_made_skill(
    field: DescriptorField, task: str = RIM, replay_length: int = 5, num_conditions: int = 2
) -> Skill:
    """A skill with random descriptors, whose replay lifts the tcp by 1 mm per step."""
    generator = torch.Generator().manual_seed(len(task))
    count = 1 + num_conditions
    up = torch.eye(4).repeat(replay_length, 1, 1)
    up[:, 2, 3] = 0.001 * torch.arange(1, replay_length + 1)
    spec = SkillSpec(
        task=task,
        feature=_FEATURES[task],
        num_queries=NUM_QUERIES,
        num_conditions=num_conditions,
        replay_length=replay_length,
        ndf_hash=field_hash(field),
    )
    tensors = SkillTensors(
        descriptors=torch.randn(count, NUM_QUERIES, SMALL.descriptor, generator=generator),
        queries=query_points(NUM_QUERIES),
        latents=torch.randn(count, SMALL.latent, 3, generator=generator),
        centres=torch.randn(count, 3, generator=generator),
        poses=torch.eye(4).repeat(count, 1, 1),
        opening=torch.tensor(0.044),
        finger_distance=torch.tensor(0.0),
        replay_motion=up,
        replay_fingers=torch.full((replay_length,), -0.004),
    )
    return Skill(spec, tensors)


def small_config(**changes: object) -> NeuralTouchConfig:
    return NeuralTouchConfig(device="cpu", hidden_size=32, touch_features=16, **changes)  # type: ignore[arg-type]


def small_policy(
    seed: int = 0, tasks: Sequence[str] = (RIM, LID), **changes: object
) -> NeuralTouchPolicy:
    field = small_field(seed)
    skills = [make_made_skill(field, task) for task in tasks]
    torch.manual_seed(seed)
    return assemble(small_config(**changes), field, skills)


def touch_picture(pressed: Tensor, size: int = 64) -> Tensor:
    """Images with a bright disc where pressed, shape (batch, 3, size, size), from flags (batch,)."""
    axis = torch.linspace(-1, 1, size)
    disc = ((axis[:, None] ** 2 + axis[None] ** 2) < 0.1).float()
    return (0.5 * pressed.float()[:, None, None, None] * disc).expand(-1, 3, -1, -1).clone()


def training_batch(size: int = 6, history: int = 1, seed: int = 0) -> dict:
    """As LeRobot's preprocessor gives it for a dataset; the first half of the samples is in the fine phase."""
    rng = torch.Generator().manual_seed(seed)
    states = 0.1 * torch.rand(size, history, 7, generator=rng)
    action = 0.005 * torch.randn(size, 7, generator=rng)
    action[:, 6] = states[:, -1, 6] - 0.001
    phase = (torch.arange(size) < (size + 1) // 2).float() * features.Phase.FINE
    pad = torch.zeros(size, history, dtype=torch.bool)
    pad[0, :-1] = True
    images = torch.rand(2, size, history, 3, 64, 64, generator=rng)
    return {
        features.STATE: states,
        f"{features.STATE}_is_pad": pad,
        features.TACTILE_LEFT: images[0],
        features.TACTILE_RIGHT: images[1],
        features.PHASE: phase[:, None].expand(-1, history),
        features.ACTION: action,
        "task": [RIM, LID] * (size // 2) + [RIM] * (size % 2),
    }


class KinematicWorld:
    """Grippers that go where they are told; each finger touches a part 4 mm thick at the tcp once closed on it."""

    def __init__(self, poses: np.ndarray, cloud: np.ndarray, finger_distance: float = 0.044):
        self.poses = poses.copy()
        self.finger = np.full(len(poses), finger_distance)
        self.cloud = cloud
        self.part_top = np.inf
        """The part is between the fingers where the tcp is below this height."""
        self.ledge = -np.inf
        """A hand above this height whose fingers are closer than 20 mm comes no lower: a finger stands on the part."""

    @property
    def closed(self) -> np.ndarray:
        return (self.finger < 0.003) & (self.poses[:, 2, 3] < self.part_top)

    def observe(self, task: str = RIM) -> dict:
        state = np.concatenate([se3.to_rotvec_pose(self.poses), self.finger[:, None]], axis=1)
        picture = touch_picture(torch.as_tensor(self.closed))
        return {
            features.STATE: torch.as_tensor(state, dtype=torch.float32),
            features.TACTILE_LEFT: picture,
            features.TACTILE_RIGHT: picture.clone(),
            features.POINT_CLOUD: torch.as_tensor(self.cloud, dtype=torch.float32)
            .expand(len(self.poses), -1, -1)
            .clone(),
            "task": [task] * len(self.poses),
        }

    def step(self, action: Tensor) -> None:
        command = action.double().numpy()
        on_top = (self.finger < 0.020) & (self.poses[:, 2, 3] > self.ledge - 1e-9)
        self.poses = self.poses @ se3.exp(command[:, :6] / features.CONTROL_HZ)
        self.poses[on_top, 2, 3] = np.maximum(self.poses[on_top, 2, 3], self.ledge)
        # The part resists: 2 N/mm servo against two pads of 0.53 N/mm.
        free = np.maximum(command[:, 6], self.finger - 0.02)
        held = (free < 0.004) & (self.poses[:, 2, 3] < self.part_top)
        self.finger = np.where(held, 0.004 + (free - 0.004) * 2 / (2 + 0.265), free)


def write_checkpoint(
    path: Path, tasks: Sequence[str] = (RIM, LID), **changes: object
) -> NeuralTouchPolicy:
    from lerobot_policy_neuraltouch.checkpoint import save_checkpoint

    policy = small_policy(tasks=tasks, **changes)
    save_checkpoint(policy, path)
    return policy
