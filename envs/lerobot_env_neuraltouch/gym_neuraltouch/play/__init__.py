"""Driving an environment by hand or from a script, with pictures of it."""
