"""Touch images of our own finger, by ray casting, in the place of a device."""

import numpy as np
import trimesh

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.tactile import TactileCamera

from .config_tactip import TacTipCameraConfig
from .processing import Picture
from .source import TimedSource

_FAR_M = 1.0
_FLAT_SIZE_M = 0.04


class SimulatedSource(TimedSource):
    """The touch image of our own finger, by ray casting, with something pressed on the middle of its pad.

    Args:
        config: What is pressed, and how large the picture is.
    """

    def __init__(self, config: TacTipCameraConfig) -> None:
        super().__init__(config.fps)
        mesh, self._height_m = _indenter(config.indenter, config.indenter_radius_m)
        self._camera = TactileCamera(mesh, size=config.width)
        self.indentation_m = config.indentation_m
        """How deep it is pressed in [m]."""

    def picture(self, number: int) -> Picture:
        """The present touch image, the same for each number."""
        T_pad_object = se3.transform(translation=(0.0, 0.0, self._height_m - self.indentation_m))
        away = se3.transform(translation=(0.0, 0.0, _FAR_M))
        T_object_pads = se3.inverse(np.stack([T_pad_object, away]))
        gray = self._camera.gray(self._camera.indentation(T_object_pads))[0]
        return np.repeat(gray[:, :, None], 3, axis=2)


def _indenter(shape: str, radius_m: float) -> tuple[trimesh.Trimesh, float]:
    """A body around the origin, and the height of its middle above its lowest point [m]."""
    if shape == "sphere":
        return trimesh.creation.icosphere(subdivisions=5, radius=radius_m), radius_m
    if shape == "flat":
        return trimesh.creation.box(extents=[_FLAT_SIZE_M] * 3), _FLAT_SIZE_M / 2
    along_x = se3.exp(np.array([0.0, 0.0, 0.0, 0.0, np.pi / 2, 0.0]))
    bar = trimesh.creation.cylinder(radius_m, height=_FLAT_SIZE_M, sections=128, transform=along_x)
    return bar, radius_m
