"""Benchmarks: Rowferry beside other ways to move the same rows, in one run on one machine, as ratios."""
