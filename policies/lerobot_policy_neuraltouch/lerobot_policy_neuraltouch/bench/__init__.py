"""Benchmarks of the whole policy: accuracy (table1) and speed (latency)."""
