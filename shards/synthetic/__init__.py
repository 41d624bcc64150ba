"""Synthetic images for the demo, the tests and the benchmarks."""
