"""`neuraltouch identify-fingers`: which camera is the left finger's."""

from dataclasses import dataclass

import draccus

from ..config_tactip import TacTipCameraConfig
from ..identify import find_pressed
from ..tactip import TacTipCamera


@dataclass(frozen=True)
class IdentifyCommand:
    """Settings of `neuraltouch identify-fingers`."""

    left: TacTipCameraConfig
    """The camera that you take for the left finger's (at tcp -y), e.g. --left.source=opencv --left.index_or_path=0."""
    right: TacTipCameraConfig
    """The camera that you take for the right finger's."""
    timeout_s: float = 30.0
    """How long to wait for a press [s]."""


def main() -> None:
    """Tell the left finger's camera from the right one's: press a finger."""
    try:
        identify(draccus.parse(IdentifyCommand))
    except (
        ConnectionError,
        TimeoutError,
    ) as error:  # the command line shows these without a traceback
        raise ValueError(str(error)) from error


def identify(command: IdentifyCommand) -> bool:
    """Run the command; True if left is left.

    Raises:
        ConnectionError: If a camera does not open.
        TimeoutError: If no finger stands out.
    """
    cameras = {"left": TacTipCamera(command.left), "right": TacTipCamera(command.right)}
    print("Taking references: touch nothing.")
    try:
        for camera in cameras.values():
            camera.connect()
        print("Now press the LEFT finger and hold it.", flush=True)
        pressed = find_pressed(cameras, command.timeout_s)
    finally:
        for camera in cameras.values():
            if camera.is_connected:
                camera.disconnect()
    is_right_way = pressed == "left"
    verdict = "The cameras are the right way round" if is_right_way else "SWAP the two cameras"
    print(f"{verdict}: the finger you pressed is seen by --{pressed}.")
    return is_right_way
