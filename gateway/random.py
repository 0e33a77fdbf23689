"""Randomness as something handed in, so that tests can foretell it."""

from collections.abc import Callable

RandomBytes = Callable[[int], bytes]
"""As many random bytes as asked for."""

Uniform = Callable[[float, float], float]
"""A number between two."""
