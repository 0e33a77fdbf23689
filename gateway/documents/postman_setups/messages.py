"""Messages: what their requests need when the collection runs."""

from collections.abc import Mapping

from gateway.contract.zapi.messages.button_replies import TapButton, TapTemplateButton
from gateway.contract.zapi.messages.commerce import OrderUpdate
from gateway.contract.zapi.messages.message_actions import (
    DeleteMessage,
    ForwardMessage,
    PinMessage,
    ReadMessage,
)
from gateway.contract.zapi.messages.places_and_people import SendContact, SendContacts, SendLocation
from gateway.contract.zapi.messages.polls_and_events import (
    SendEditEvent,
    SendEventResponse,
    SendPollVote,
)
from gateway.contract.zapi.messages.reactions import Reaction
from gateway.documents.postman_setup import PostmanSetup, Precondition

_AFTER_A_TEXT = PostmanSetup(
    first=(Precondition("/send-text"),), values={"messageId": "{{messageId}}"}
)

_AFTER_BUTTONS = PostmanSetup(
    first=(Precondition("/send-button-list"),), values={"messageId": "{{messageId}}"}
)

SETUPS: Mapping[type, PostmanSetup] = {
    OrderUpdate: PostmanSetup(
        first=(Precondition("/send-order"),), values={"messageId": "{{messageId}}"}
    ),
    ForwardMessage: _AFTER_A_TEXT,
    PinMessage: _AFTER_A_TEXT,
    ReadMessage: _AFTER_A_TEXT,
    DeleteMessage: PostmanSetup(
        first=(Precondition("/send-text", {"scheduledFor": "{{tomorrow}}"}),),
        values={"messageId": "{{messageId}}"},
    ),
    SendLocation: PostmanSetup(values={"messageId": "{{messageId}}"}),
    SendContact: PostmanSetup(values={"messageId": "{{messageId}}"}),
    SendContacts: PostmanSetup(values={"messageId": "{{messageId}}"}),
    SendPollVote: PostmanSetup(
        first=(Precondition("/send-poll"),), values={"pollMessageId": "{{messageId}}"}
    ),
    SendEditEvent: PostmanSetup(
        first=(Precondition("/send-event"),), values={"eventMessageId": "{{messageId}}"}
    ),
    SendEventResponse: PostmanSetup(
        first=(Precondition("/send-event"),), values={"eventMessageId": "{{messageId}}"}
    ),
    TapButton: _AFTER_BUTTONS,
    TapTemplateButton: _AFTER_BUTTONS,
    Reaction: PostmanSetup(
        first=(Precondition("/send-text"),), values={"messageId": "{{messageId}}"}
    ),
}
