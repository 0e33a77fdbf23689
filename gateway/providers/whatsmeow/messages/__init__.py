"""Every message this provider can send: WhatsApp's words for it, a module per family.

Calls are not here, nor invitations to administer a channel: the library can make neither.
"""

from gateway.providers.whatsmeow.messages import (
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
