"""Locations and contacts."""

from gateway.contract.handlers import Handlers
from gateway.contract.zapi.messages.places_and_people import ContactMessage, SendLocation
from gateway.sessions.provider import Receipt
from gateway.whatsapp_web.messages.parts import context_of
from gateway.whatsapp_web.session import Fields, SendContext

sends: Handlers[SendContext] = Handlers()


@sends.handles(SendLocation)
async def send_location(outgoing: SendContext, message: SendLocation) -> Receipt:
    place = {
        "degreesLatitude": float(message.latitude),
        "degreesLongitude": float(message.longitude),
        "name": message.title,
        "address": message.address,
        **context_of(outgoing.attempt, message.message_id),
    }
    return await outgoing.deliver(message.phone, {"locationMessage": place})


@sends.handles(ContactMessage)
async def send_contacts(outgoing: SendContext, message: ContactMessage) -> Receipt:
    numbers = outgoing.attempt.numbers
    cards = [{"displayName": card.name, "vcard": card.vcard(numbers)} for card in message.cards()]
    context = context_of(outgoing.attempt, message.message_id)
    body: Fields = {"contactMessage": cards[0] | context}
    if len(cards) > 1:
        several = {"displayName": f"{len(cards)} contacts", "contacts": cards}
        body = {"contactsArrayMessage": several | context}
    return await outgoing.deliver(message.phone, body)
