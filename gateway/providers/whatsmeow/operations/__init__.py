"""Every operation this provider answers, a module per room of the contract."""

from gateway.providers.whatsmeow.operations import (
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
