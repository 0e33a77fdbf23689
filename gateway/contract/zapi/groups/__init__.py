"""Groups: making them, their members and settings, and invitations."""
