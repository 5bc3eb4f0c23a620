"""What the touch encoder is told of edges."""

import numpy as np
import torch
from torch import Tensor

from lerobot_neuraltouch.rl.refiner import PROFILE_LEVELS, edge_profiles, num_profiles

SIZE = 64


def far_ends(image: Tensor) -> np.ndarray:
    """Lowest touched row of the middle column at each level, in pixels from the image's centre."""
    profiles = edge_profiles(image[None, None])[0, 2 * SIZE :].reshape(len(PROFILE_LEVELS), 6, SIZE)
    return profiles[:, 1, SIZE // 2].numpy() * SIZE / 2


def picture(*rows: tuple[int, int, float]) -> Tensor:
    """Gray levels of bands of rows (first, last, level)."""
    image = torch.zeros(SIZE, SIZE)
    for first, last, level in rows:
        image[first:last] = level
    return image


def test_profiles_have_the_announced_length() -> None:
    assert edge_profiles(torch.zeros(2, 1, SIZE, SIZE)).shape == (2, num_profiles(SIZE))


def test_an_edge_is_where_it_is() -> None:
    """Rows 20 to 43 are touched: the far end lies 12 pixels below the centre, at every level."""
    np.testing.assert_allclose(far_ends(picture((20, 44, 0.4))), 12.0, atol=0.4)


def test_a_chamfer_ends_further_out_at_fainter_levels() -> None:
    """Two more rows at a fifth of the gray level: only the fainter levels reach them."""
    sharp = far_ends(picture((20, 44, 0.4)))
    chamfered = far_ends(picture((20, 44, 0.4), (44, 46, 0.08)))
    gain = chamfered - sharp
    faint = np.array(PROFILE_LEVELS) < 0.1
    assert (gain[faint] > 1.2).all()
    assert (gain[~faint] < 0.6).all()
