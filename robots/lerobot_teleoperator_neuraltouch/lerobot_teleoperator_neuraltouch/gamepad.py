"""Reading a gamepad with pygame, which is imported only here and only when one is opened."""

import os
from dataclasses import dataclass
from typing import Any

_FULL_SCALE = 32767.0


@dataclass(frozen=True)
class PadState:
    """One reading; names are those of an Xbox pad."""

    left: tuple[float, float] = (0.0, 0.0)
    """Left stick, right and up positive, in [-1, 1]."""
    right: tuple[float, float] = (0.0, 0.0)
    """Right stick, likewise."""
    triggers: tuple[float, float] = (0.0, 0.0)
    """Left and right trigger in [0, 1]."""
    dpad: int = 0
    """-1 left, 1 right."""
    fingers: int = 0
    """-1 close (A), 1 open (B)."""
    enabled: bool = False
    """The dead-man button (left shoulder) is held."""
    fast: bool = False
    """The right shoulder button is held."""


class Gamepad:
    """A gamepad that SDL knows, whatever its make: SDL names its buttons after an Xbox pad's.

    Args:
        index: Which of those found.

    Raises:
        ImportError: If pygame is not installed.
        ConnectionError: If there is no such gamepad.
    """

    def __init__(self, index: int) -> None:
        # SDL wants a window to deliver events, unless told that none is needed.
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
        os.environ.setdefault("SDL_JOYSTICK_ALLOW_BACKGROUND_EVENTS", "1")
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
        try:
            import pygame  # pyright: ignore[reportMissingImports]
            from pygame._sdl2 import controller  # pyright: ignore[reportMissingImports]
        except ImportError as error:
            raise ImportError(
                "The gamepad needs pygame: pip install 'lerobot_teleoperator_neuraltouch[gamepad]'."
            ) from error
        self._pygame: Any = pygame
        self._module: Any = controller
        pygame.display.init()
        controller.init()
        found = [i for i in range(pygame.joystick.get_count()) if controller.is_controller(i)]
        if not 0 <= index < len(found):
            self._quit()
            raise ConnectionError(f"There is no gamepad {index}: {len(found)} found.")
        self._pad: Any = controller.Controller(found[index])
        self.name = str(self._pad.name)

    def read(self) -> PadState:
        """The pad's present state.

        Raises:
            ConnectionError: If it was unplugged.
        """
        names = self._pygame
        names.event.pump()
        if not self._pad.attached():
            raise ConnectionError(f"The gamepad '{self.name}' was unplugged.")
        button = self._pad.get_button
        return PadState(
            left=(
                self._axis(names.CONTROLLER_AXIS_LEFTX),
                -self._axis(names.CONTROLLER_AXIS_LEFTY),
            ),
            right=(
                self._axis(names.CONTROLLER_AXIS_RIGHTX),
                -self._axis(names.CONTROLLER_AXIS_RIGHTY),
            ),
            triggers=(
                self._axis(names.CONTROLLER_AXIS_TRIGGERLEFT),
                self._axis(names.CONTROLLER_AXIS_TRIGGERRIGHT),
            ),
            dpad=int(button(names.CONTROLLER_BUTTON_DPAD_RIGHT))
            - int(button(names.CONTROLLER_BUTTON_DPAD_LEFT)),
            fingers=int(button(names.CONTROLLER_BUTTON_B)) - int(button(names.CONTROLLER_BUTTON_A)),
            enabled=bool(button(names.CONTROLLER_BUTTON_LEFTSHOULDER)),
            fast=bool(button(names.CONTROLLER_BUTTON_RIGHTSHOULDER)),
        )

    def close(self) -> None:
        """Let the gamepad go."""
        self._pad.quit()
        self._quit()

    def _axis(self, number: int) -> float:
        return max(-1.0, self._pad.get_axis(number) / _FULL_SCALE)

    def _quit(self) -> None:
        self._module.quit()
        self._pygame.display.quit()
