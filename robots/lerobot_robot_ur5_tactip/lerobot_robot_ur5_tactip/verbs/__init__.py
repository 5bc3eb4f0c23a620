"""What the robot adds to the `neuraltouch` command."""
