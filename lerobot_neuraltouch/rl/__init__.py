"""Touch-based refinement: networks, losses and the privileged teacher. Knows torch, but no simulator and no LeRobot."""
