"""Benchmarks that anyone can run; every claim about speed is a ratio measured in one run."""
