"""Real parts on this machine, without Docker: for the demo, the tests and the benchmarks."""
