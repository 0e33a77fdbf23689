"""Every message this provider can send: WhatsApp's words for it, a module per family.

Products, catalogues and orders are not here: the library cannot look a catalogue up.
"""

from gateway.providers.whatsmeow.messages import (
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
)
