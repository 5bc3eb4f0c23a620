"""Benchmarks of the robot plugin, against a loopback controller."""
