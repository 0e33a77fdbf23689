"""What was sent and received, and its ids in both directions."""
