"""Handlers of every operation that this provider supports, in modules as in the contract."""

from gateway.whatsapp_web.operations import (
    communities,
    contacts,
    groups,
    linking,
    messages,
    newsletters,
    presence,
    privacy,
    received_media,
)

operations = (
    linking.operations
    | presence.operations
    | messages.operations
    | contacts.operations
    | groups.operations
    | communities.operations
    | newsletters.operations
    | privacy.operations
    | received_media.operations
)
