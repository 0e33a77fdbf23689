"""History: messages that were sent, received, canceled or failed, with their ids and states."""
