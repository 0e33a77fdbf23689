"""The first steps of an account: a number, its phone, a message, a webhook."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from gateway.contract.extensions.overview import OverviewInstance
from gateway.contract.scopes import ApiScope
from gateway.panel.languages import N_
from gateway.panel.visit import Visit

STEPS_COOKIE: Final = "gateway_panel_steps"
_NUMBERS, _WEBHOOKS = "/panel/instances", "/panel/webhooks"
_CONNECTED: Final = "connected"


@dataclass(frozen=True, slots=True)
class FirstStep:
    """A step; the texts are English msgids, `href` is empty where this user cannot take it."""

    title: str
    text: str
    button: str
    href: str
    is_done: bool


def first_steps(
    visit: Visit, numbers: Sequence[OverviewInstance], *, has_sent: bool, has_webhook: bool
) -> Sequence[FirstStep]:
    """Returns the four steps; a step can be taken once those before it are done."""
    chosen = next((each for each in numbers if each.state != _CONNECTED), None)
    first = chosen or (numbers[0] if numbers else None)
    linked = next((each for each in numbers if each.state == _CONNECTED), None)
    is_linked = linked is not None or any(each.phone for each in numbers)
    return (
        FirstStep(
            N_("Create a number"),
            N_("A number is one WhatsApp phone with its own queue."),
            N_("Create a number"),
            _to(visit, _NUMBERS, "/new", ApiScope.MANAGE),
            bool(numbers),
        ),
        FirstStep(
            N_("Link the phone"),
            N_("Scan the QR code in WhatsApp, under linked devices."),
            N_("Link the phone"),
            _to_number(visit, first, "#connection", ApiScope.MANAGE),
            is_linked,
        ),
        FirstStep(
            N_("Send a test message"),
            N_("See it wait, leave and arrive."),
            N_("Send a test message"),
            _to_number(visit, linked, "#test", ApiScope.SEND),
            has_sent,
        ),
        FirstStep(
            N_("Set a webhook"),
            N_("Your system gets what arrives and what happens to messages."),
            N_("Set a webhook"),
            _to(visit, _WEBHOOKS, f"?instance={first.id}", ApiScope.WEBHOOKS) if first else "",
            bool(numbers) and has_webhook,
        ),
    )


def _to_number(visit: Visit, number: OverviewInstance | None, end: str, scope: ApiScope) -> str:
    return _to(visit, _NUMBERS, f"/{quote(number.id, safe='')}{end}", scope) if number else ""


def _to(visit: Visit, entry: str, end: str, scope: ApiScope) -> str:
    return entry + end if visit.has_page(entry) and visit.may(scope) else ""
