"""What WhatsApp refuses for its form, so that such mistakes are met in development."""

from collections.abc import Iterator, Sequence
from functools import singledispatch

from gateway.contract.send import Send
from gateway.contract.wire import is_group
from gateway.contract.zapi.messages.interactive import (
    InteractiveMessage,
    SendButtonActions,
    SendButtonList,
    SendButtonOtp,
    SendCarousel,
    SendOptionList,
    Tappable,
)
from gateway.contract.zapi.messages.places_and_people import ContactMessage
from gateway.contract.zapi.messages.polls_and_events import EventMessage, SendPoll
from gateway.contract.zapi.messages.reactions import SendReaction
from gateway.contract.zapi.status import SendTextStatus

_BODY, _HEADER, _FOOTER = 1_024, 60, 60
_BUTTONS, _BUTTON_LABEL = 3, 25
_ROWS, _ROW_TITLE, _ROW_DESCRIPTION, _LIST_TITLE, _LIST_BUTTON = 10, 24, 72, 60, 20
_CARDS, _CARD_BUTTONS = 10, 2
_CODE = 20
_POLL_OPTIONS, _POLL_OPTION, _QUESTION = 12, 100, 255
_EVENT_NAME, _EVENT_DESCRIPTION = 100, 2_048
_CONTACTS = 257
_STATUS = 700


@singledispatch
def complaints(_message: Send) -> Iterator[str]:
    """Everything wrong with a message, a sentence each."""
    yield from ()


@complaints.register
def _(message: SendButtonActions) -> Iterator[str]:
    yield from _body(message)
    yield from _long("title", message.title, _HEADER)
    yield from _long("footer", message.footer, _FOOTER)
    yield from _many("buttons", message.button_actions, _BUTTONS)
    yield from _labels([button.label for button in message.button_actions])
    yield from _ids(message.button_actions)


@complaints.register
def _(message: SendButtonList) -> Iterator[str]:
    yield from _body(message)
    buttons = message.button_list.buttons
    yield from _many("buttons", buttons, _BUTTONS)
    yield from _labels([button.label for button in buttons])
    yield from _ids(buttons)


@complaints.register
def _(message: SendOptionList) -> Iterator[str]:
    if is_group(message.phone):
        yield "an option list cannot be sent to a group"
    yield from _body(message)
    wanted = message.option_list
    yield from _long("title of the list", wanted.title, _LIST_TITLE)
    yield from _long("button of the list", wanted.button_label, _LIST_BUTTON)
    yield from _many("options", wanted.options, _ROWS)
    for option in wanted.options:
        yield from _long("title of an option", option.title, _ROW_TITLE)
        yield from _long("description of an option", option.description, _ROW_DESCRIPTION)
    yield from _ids(wanted.options)


@complaints.register
def _(message: SendButtonOtp) -> Iterator[str]:
    yield from _body(message)
    yield from _long("code", message.code, _CODE)
    yield from _labels([message.button_text])


@complaints.register
def _(message: SendCarousel) -> Iterator[str]:
    yield from _body(message)
    yield from _many("cards", message.carousel, _CARDS)
    for card in message.carousel:
        yield from _long("text of a card", card.text, _BODY)
        yield from _many("buttons of a card", card.buttons, _CARD_BUTTONS)
        yield from _labels([button.label for button in card.buttons])
        yield from _ids(card.buttons)


@complaints.register
def _(message: SendPoll) -> Iterator[str]:
    names = [option.name for option in message.poll]
    yield from _long("question", message.message, _QUESTION)
    if len(names) == 1:
        yield "a poll needs a second option"
    yield from _many("options", names, _POLL_OPTIONS)
    for name in names:
        yield from _long("option", name, _POLL_OPTION)
    if len(set(names)) < len(names):
        yield "the options of a poll must differ"
    if message.poll_max_options > len(names):
        yield f"the poll has {len(names)} options, nobody can choose {message.poll_max_options}"


@complaints.register
def _(message: EventMessage) -> Iterator[str]:
    if not is_group(message.phone):
        yield "an event can be sent to a group only"
    yield from _long("name of the event", message.event.name, _EVENT_NAME)
    yield from _long("description of the event", message.event.description, _EVENT_DESCRIPTION)


@complaints.register
def _(message: ContactMessage) -> Iterator[str]:
    yield from _many("contacts", message.cards(), _CONTACTS)


@complaints.register
def _(message: SendReaction) -> Iterator[str]:
    if message.reaction.isascii():
        yield "the reaction is no emoji"


@complaints.register
def _(message: SendTextStatus) -> Iterator[str]:
    yield from _long("text of a status", message.message, _STATUS)


def _body(message: InteractiveMessage) -> Iterator[str]:
    yield from _long("text", message.message, _BODY)


def _labels(labels: Sequence[str]) -> Iterator[str]:
    for label in labels:
        yield from _long("label of a button", label, _BUTTON_LABEL)


def _ids(items: Sequence[Tappable]) -> Iterator[str]:
    if len({item.id for item in items}) < len(items):
        yield "what can be tapped needs different ids"


def _long(what: str, text: str | None, max_count: int) -> Iterator[str]:
    if text and len(text) > max_count:
        yield f"the {what} has {len(text)} characters, WhatsApp takes {max_count}"


def _many(what: str, items: Sequence[object], max_count: int) -> Iterator[str]:
    if len(items) > max_count:
        yield f"there are {len(items)} {what}, WhatsApp takes {max_count}"
