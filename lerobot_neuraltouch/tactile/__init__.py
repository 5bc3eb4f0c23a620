"""The TacTip fingertip: its geometry, the images its camera takes, and their noise."""

from .finger import FINGERS as FINGERS
from .finger import TacTipFinger as TacTipFinger
from .gray import GRAY_MAPS as GRAY_MAPS
from .image import TactileCamera as TactileCamera
from .noise import EpisodeTouchNoise as EpisodeTouchNoise
from .noise import TouchNoise as TouchNoise
