"""Recording rollouts as LeRobot datasets, for training and for skills."""
