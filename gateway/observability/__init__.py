"""What an operator sees: logs, metrics, error reports."""
