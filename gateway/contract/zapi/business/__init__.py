"""A business: its profile, its catalogue, its labels."""
