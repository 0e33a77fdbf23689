"""The room of every message; a file per family."""
