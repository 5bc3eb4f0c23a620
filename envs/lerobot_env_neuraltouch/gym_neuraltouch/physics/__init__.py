"""Checks of the simulated touch against mechanics and geometry that can be worked out by hand: `neuraltouch bench physics`."""
