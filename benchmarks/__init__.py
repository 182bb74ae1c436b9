"""Benchmarks: Orderly compared with alternatives, as ratios that are measured in one run."""
