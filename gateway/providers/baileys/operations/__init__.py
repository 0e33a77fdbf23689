"""Handlers of every operation that this provider supports.

Beside those that every library of WhatsApp Web has, Baileys sends what its methods or raw stanzas
can. What belongs to the primary phone, or to Z-API's own telephony, no linked device can do.
"""

from gateway.providers.baileys.operations import (
    business,
    catalog,
    chats,
    groups,
    newsletters,
    people,
)
from gateway.whatsapp_web.operations import operations as shared

operations = shared.replaced_by(
    business.operations
    | catalog.operations
    | chats.operations
    | groups.operations
    | newsletters.operations
    | people.operations
)
