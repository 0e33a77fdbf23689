"""Sending: texts, files, lists, buttons, polls and every other message."""
