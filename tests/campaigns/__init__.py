"""Attacks and failures, with their figures: `python -m tests.campaigns.<name>`."""
