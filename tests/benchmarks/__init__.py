"""Measurements: `python -m tests.benchmarks.<name>`, each against others in the same run."""
