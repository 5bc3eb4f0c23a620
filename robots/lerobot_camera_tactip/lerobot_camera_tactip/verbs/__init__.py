"""What the camera adds to the `neuraltouch` command."""
