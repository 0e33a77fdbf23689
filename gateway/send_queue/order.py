"""The order in which the messages of a queue leave."""

from typing import Final, Literal

QueueOrder = Literal["chat", "strict"]
"""What a message holds that waits for its file or its next attempt.

`chat`: its own chat, and other chats pass. `strict`: its file holds the queue, its next attempt
holds its lane.
"""

MAX_PARKED: Final = 16
"""How many messages of a queue let other chats pass at a time; then the queue waits."""
