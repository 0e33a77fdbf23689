"""Developers: API keys, tokens of numbers with rotation, the Client-Token, and programs to copy."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, time, timedelta
from typing import Any, Final

from starlette.responses import Response

from gateway.contract.building import build
from gateway.contract.extensions.account import (
    AccountSettings,
    ChangeAccountSettings,
    ReadAccountSettings,
)
from gateway.contract.extensions.api_keys import (
    ApiKeyList,
    CreateApiKey,
    CreatedApiKey,
    ListApiKeys,
    RevokeApiKey,
)
from gateway.contract.extensions.partner import RotateInstanceToken
from gateway.contract.scopes import ApiScope
from gateway.contract.zapi.partner import InstancePage, ListInstances
from gateway.errors import InvalidRequest, UnknownInstance
from gateway.panel.choices import NoAccount, NoInstance
from gateway.panel.forms import Form
from gateway.panel.languages import N_
from gateway.panel.navigation import Section
from gateway.panel.page import Page
from gateway.panel.snippets import LANGUAGES, PLACEHOLDER, TASKS, UNKNOWN_BASE_URL, snippet
from gateway.panel.visit import PAGE_SIZE, Visit

page = Page(
    path="/developers",
    title=N_("Developers"),
    icon="code",
    section=Section.INTEGRATION,
    order=40,
)
_PATH: Final = "/panel/developers"
_KEYS: Final = f"{_PATH}/keys"
_CHOICES: Final = 20
_SCOPES: Final = {
    ApiScope.SEND: (N_("Send"), N_("Send messages, and act on chats, contacts and groups.")),
    ApiScope.READ: (N_("Read data"), N_("Read what is no secret, and follow events.")),
    ApiScope.MANAGE: (
        N_("Manage"),
        N_("Change settings and numbers, see tokens. Worth as much as the partner token."),
    ),
    ApiScope.WEBHOOKS: (N_("Webhooks"), N_("Set webhooks, retry and replay their deliveries.")),
}


@page.get()
async def show_code(visit: Visit) -> Response:
    """Shows programs to copy, with the address and the number filled in."""
    try:
        instance_id = (await visit.instance()).id
    except (NoInstance, NoAccount):
        instance_id = ""
    language = visit.query("language")
    language = language if language in LANGUAGES else "curl"
    base_url = visit.context.origin.base_url_of(visit.request) or UNKNOWN_BASE_URL
    shown = [
        (task, snippet(task.name, language, base_url=base_url, instance_id=instance_id or "ID"))
        for task in TASKS
    ]
    return await visit.render(
        "developers.html",
        tab="code",
        snippets=shown,
        language=language,
        language_names=LANGUAGES,
        placeholder=PLACEHOLDER,
        has_docs=visit.context.has_docs,
        has_number=bool(instance_id),
    )


@page.get("/keys", scope=ApiScope.MANAGE)
async def show_keys(visit: Visit) -> Response:
    return await _keys_page(visit)


@page.post("/keys", scope=ApiScope.MANAGE)
async def create_key(visit: Visit) -> Response:
    """Makes a key, which only this answer shows."""
    account = await visit.account()
    try:
        operation = build(CreateApiKey, _wanted_key(visit))
        made: CreatedApiKey = await visit.execute(
            operation, replace(account, acting_user=visit.user.email)
        )
    except (InvalidRequest, UnknownInstance) as error:
        return await _keys_page(visit, problem=str(error), status=400)
    visit.form = Form({})  # the page shows the next form empty
    return await _keys_page(visit, made=made)


@page.post("/keys/revoke", scope=ApiScope.MANAGE)
async def revoke_key(visit: Visit) -> Response:
    await visit.execute(RevokeApiKey(key_id=visit.form.text("id")[:64]), await visit.account())
    return visit.redirect(_KEYS, flash=visit.gettext("The key was revoked: it is unknown now."))


@page.get("/tokens", scope=ApiScope.MANAGE)
async def show_tokens(visit: Visit) -> Response:
    """Shows the numbers, and the token of the one whose button was pressed."""
    account = await visit.account()
    search = visit.query("q")[:100]
    listed: InstancePage = await visit.execute(
        ListInstances(page=visit.page_number(), page_size=PAGE_SIZE, query=search), account
    )
    settings: AccountSettings = await visit.execute(ReadAccountSettings(), account)
    return await visit.render(
        "developers.html",
        tab="tokens",
        listed=listed,
        search=search,
        shown=visit.query("show"),
        client_token_manages=settings.effective.client_token_manages,
    )


@page.post("/tokens/rotate", scope=ApiScope.MANAGE)
async def rotate_token(visit: Visit) -> Response:
    instance = await visit.instance_named(visit.form.text("id"))
    await visit.execute(RotateInstanceToken(instance_id=instance.id), await visit.account())
    text = visit.gettext("%(name)s has another token. The earlier one is wrong now.")
    return visit.redirect(
        f"{_PATH}/tokens?q={instance.id}&show={instance.id}", flash=text % {"name": instance.name}
    )


@page.post("/tokens/client", scope=ApiScope.MANAGE)
async def switch_client_token(visit: Visit) -> Response:
    """Says whether the Client-Token works on routes of the account."""
    manages = visit.form.text("manages") == "true"
    await visit.execute(ChangeAccountSettings(client_token_manages=manages), await visit.account())
    text = (
        visit.gettext("The Client-Token works on routes of the account again.")
        if manages
        else visit.gettext("The Client-Token works on no route of the account any more.")
    )
    return visit.redirect(f"{_PATH}/tokens", flash=text)


async def _keys_page(
    visit: Visit, *, made: CreatedApiKey | None = None, problem: str = "", status: int = 200
) -> Response:
    account = await visit.account()
    listed: ApiKeyList = await visit.execute(ListApiKeys(), account)
    numbers: InstancePage = await visit.execute(ListInstances(page_size=_CHOICES), account)
    return await visit.render(
        "developers.html",
        status=status,
        tab="keys",
        keys=listed.keys,
        made=made,
        problem=problem,
        form=visit.form,
        scopes=_SCOPES,
        numbers=numbers,
        names={each.id: each.name for each in numbers.content},
        tomorrow=(visit.context.clock.now().astimezone(visit.zone) + timedelta(days=1)).date(),
    )


def _wanted_key(visit: Visit) -> Mapping[str, Any]:
    """Returns the key that the form describes, as callers of the API write it."""
    form = visit.form
    numbers = _lines(form.all("instances")) if form.text("where") == "some" else []
    if form.text("where") == "some" and not numbers:
        raise InvalidRequest(visit.gettext("Choose at least one number, or all of them."))
    return {
        "name": form.text("name"),
        "scopes": form.all("scopes"),
        "instanceIds": numbers,
        "networks": _lines([form.raw("networks")]),
        "expiresAt": _end_of(visit, form.text("expires")),
    }


def _lines(texts: list[str]) -> list[str]:
    return [line for text in texts for line in text.replace(",", "\n").split()]


def _end_of(visit: Visit, day: str) -> Any:  # noqa: ANN401 - a time, or a text that is refused
    """Returns the end of a day in the zone of the user; None for no day."""
    if not day:
        return None
    try:
        date = datetime.strptime(day, "%Y-%m-%d").date()  # noqa: DTZ007 - the zone is added below
    except ValueError:
        raise InvalidRequest(visit.gettext("Choose a day in the future.")) from None
    return datetime.combine(date, time.max, visit.zone).isoformat()
