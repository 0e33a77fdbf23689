"""Long runs that damage a running gateway, count what became of its promises, and print it."""
