"""What the pages of webhooks have in common: the number, its webhooks, and how these stand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from starlette.responses import Response

from gateway.contract.extensions.dead_letters import CountDeadLetters, DeadLetterStats
from gateway.contract.extensions.replay import ListWebhookStates, WebhookState, WebhookStates
from gateway.contract.extensions.webhooks import ListWebhooks, Webhook, Webhooks
from gateway.contract.secret_fields import origin_of
from gateway.errors import InvalidRequest
from gateway.instances.store import Instance
from gateway.panel.choices import NoAccount, NoInstance
from gateway.panel.cookies import Flash
from gateway.panel.visit import Visit
from gateway.panel.webhook_words import KINDS, OWN, TITLES, advice

BASE: Final = "/panel/webhooks"
_HAS_ATTENTION: Final = ("pending", "failed")


@dataclass(frozen=True, slots=True)
class WebhookView:
    """The webhooks of a number, and what needs attention."""

    instance: Instance
    further: Sequence[Webhook]
    states: Sequence[WebhookState]
    dead: DeadLetterStats

    @property
    def has_own(self) -> bool:
        """Returns whether an address is set for any kind of callback."""
        return any(getattr(self.instance, kind.column) for kind in KINDS)

    @property
    def waiting(self) -> int:
        return sum(state.waiting for state in self.states)

    @property
    def dead_count(self) -> int:
        """Returns how many dead letters were neither retried nor discarded."""
        return sum(self.dead.by_status.get(status, 0) for status in _HAS_ATTENTION)

    @property
    def failing(self) -> Sequence[WebhookState]:
        return [state for state in self.states if state.failing_chats]

    @property
    def names(self) -> Mapping[UUID, str]:
        """Returns what to call each further webhook: the server of its address."""
        return {each.id: origin_of(each.url) or each.url for each in self.further}

    @property
    def options(self) -> list[tuple[str, str]]:
        """Returns the further webhooks for a choice: id and name."""
        return [(str(id_), name) for id_, name in self.names.items()]

    def link(self, path: str = "", **parameters: object) -> str:
        """Returns the address of a page about this number; parameters without a value are left out.

        Each address names the number: another tab may have turned to another one.
        """
        given = {name: value for name, value in parameters.items() if value not in {None, ""}}
        return f"{BASE}{path}?{urlencode({'instance': self.instance.id, **given})}"


async def read_view(visit: Visit) -> WebhookView:
    """Returns the webhooks of the number that the page shows.

    Raises:
        NoAccount: there is no account.
        NoInstance: the account has no number.
    """
    instance = await visit.instance()
    further: Webhooks = await visit.execute(ListWebhooks(), instance)
    states: WebhookStates = await visit.execute(ListWebhookStates(), instance)
    dead: DeadLetterStats = await visit.execute(CountDeadLetters(), instance)
    return WebhookView(instance, further.webhooks, states.states, dead)


async def show_webhooks(
    visit: Visit, template: str, status: int = 200, *, flash: Flash | None = None, **context: object
) -> Response:
    """Returns a page of the webhooks, with what all of them show."""
    try:
        view = await read_view(visit)
    except (NoAccount, NoInstance):
        return await visit.render("number_needed.html", what=visit.gettext("Webhooks"))
    return await visit.render(
        template,
        status=status,
        flash=flash,
        view=view,
        kinds=KINDS,
        titles=TITLES,
        advice=advice,
        **context,
    )


def address_of(instance: Instance, path: str = "") -> str:
    """Returns the address of a page about a number, to redirect to."""
    return f"{BASE}{path}?instance={instance.id}"


def chosen_webhook(text: str) -> UUID | None:
    """Returns the webhook that a form or an address names; None for all of them.

    Raises:
        InvalidRequest: the text is no id.
    """
    if not text:
        return None
    if text == "own":
        return OWN
    try:
        return UUID(text)
    except ValueError:
        raise InvalidRequest("webhook: there is none with this id") from None
