"""Attacks and failures under load, each a command that prints its figures."""
