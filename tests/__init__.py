"""A package, because some distributions install their own tests under this name."""
