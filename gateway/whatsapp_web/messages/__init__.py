"""Handlers of every message that this provider can send, one module per family.

The library can send neither calls nor invitations to administer a channel.
"""

from gateway.whatsapp_web.messages import (
    commerce,
    interactive,
    media,
    places_and_people,
    polls_and_events,
    reactions,
    text,
)

sends = (
    text.sends
    | media.sends
    | places_and_people.sends
    | interactive.sends
    | polls_and_events.sends
    | reactions.sends
    | commerce.sends
)
