"""Benchmarks: load, upstream, and what they measure."""
