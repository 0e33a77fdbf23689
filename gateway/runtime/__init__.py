"""The life of the process: what is built, in which order it starts, and how it stops."""
