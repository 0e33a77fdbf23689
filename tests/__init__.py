"""A package, because a dependency of the whatsmeow extra installs one of this name."""
