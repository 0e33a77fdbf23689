"""Accounts and instances: their tokens, settings, subscriptions and base URLs."""
