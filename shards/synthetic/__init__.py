"""Images drawn by ourselves, for the demo, the tests and the benchmarks."""
