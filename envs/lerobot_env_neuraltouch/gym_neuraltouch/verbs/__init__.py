"""Commands of the `neuraltouch` program that drive the environments."""
