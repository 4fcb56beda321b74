"""One question per script, peers in the same run. `python -m benchmarks` runs them all; each also runs alone."""
