"""Builds the parts of a process, starts them in stages, and stops them in reverse."""
