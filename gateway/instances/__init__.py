"""Accounts and instances: who may call, and with what settings."""
