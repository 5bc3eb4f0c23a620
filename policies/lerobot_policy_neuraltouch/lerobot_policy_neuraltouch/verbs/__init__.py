"""What the policy adds to the `neuraltouch` command."""
