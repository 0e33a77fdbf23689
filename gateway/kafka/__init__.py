"""The same events by another road, and messages that come by it; needs the extra `kafka`."""
