"""Further webhooks: adding, changing and deleting one."""

from typing import Any
from uuid import UUID

from starlette.responses import Response

from gateway.contract.building import build
from gateway.contract.extensions.webhooks import (
    AddWebhook,
    DeleteWebhook,
    ListWebhooks,
    UpdateWebhook,
    Webhook,
    Webhooks,
)
from gateway.contract.scopes import ApiScope
from gateway.contract.secret_fields import origin_of
from gateway.errors import Conflict, InvalidRequest, NotFound
from gateway.panel.cookies import Flash
from gateway.panel.forms import Form
from gateway.panel.languages import N_
from gateway.panel.page import Page
from gateway.panel.visit import Visit
from gateway.panel.webhook_view import address_of, show_webhooks
from gateway.panel.webhook_words import KINDS

page = Page(path="/webhooks/further", title=N_("Further webhook"), scope=ApiScope.WEBHOOKS)


@page.get("/new")
async def show_new(visit: Visit) -> Response:
    return await _form(visit, None)


@page.post("/new")
async def add(visit: Visit) -> Response:
    instance = await visit.instance()
    try:
        fields = _fields(visit, is_new=True)
        made: Webhook = await visit.execute(build(AddWebhook, fields), instance)
    except (InvalidRequest, Conflict) as error:
        return await _form(visit, None, problem=str(error))
    text = visit.gettext("Added. Now send a test to see what your server answers.")
    return visit.redirect(_path_of(made.id, instance.id), flash=text)


@page.get("/{id}")
async def show(visit: Visit) -> Response:
    return await _form(visit, await _find(visit))


@page.post("/{id}")
async def change(visit: Visit) -> Response:
    instance, found = await visit.instance(), await _find(visit)
    try:
        fields = {**_fields(visit, is_new=False), "webhookId": str(found.id)}
        await visit.execute(build(UpdateWebhook, fields), instance)
    except InvalidRequest as error:
        return await _form(visit, found, problem=str(error))
    return visit.redirect(_path_of(found.id, instance.id), flash=visit.gettext("Saved."))


@page.post("/{id}/delete")
async def delete(visit: Visit) -> Response:
    instance, found = await visit.instance(), await _find(visit)
    visit.form.require_typed("typed", origin_of(found.url))
    await visit.execute(DeleteWebhook(webhook_id=found.id), instance)
    return visit.redirect(address_of(instance), flash=visit.gettext("Deleted."))


async def _find(visit: Visit) -> Webhook:
    listed: Webhooks = await visit.execute(ListWebhooks(), await visit.instance())
    named = visit.request.path_params["id"]
    for webhook in listed.webhooks:
        if str(webhook.id) == named:
            return webhook
    raise NotFound("There is no such webhook")


async def _form(visit: Visit, webhook: Webhook | None, *, problem: str = "") -> Response:
    """Returns the form, with what was typed where that was refused; secrets are typed again."""
    field, _, text = problem.partition(": ")
    known = field in {"url", "headers", "secret"}
    form: Form | None = visit.form if problem else None
    types = (webhook.types if webhook else None) or ()
    return await show_webhooks(
        visit,
        "further_webhook.html",
        400 if problem else 200,
        flash=None if known or not problem else Flash("bad", problem),
        webhook=webhook,
        name=origin_of(webhook.url) if webhook else "",
        errors={field: text} if known else {},
        url=form.text("url") if form else webhook.url if webhook else "",
        chosen=set(form.all("type") if form else types),
        enabled=form.is_checked("enabled") if form else webhook is None or webhook.enabled,
        headers=form.raw("headers") if form else "",
    )


def _fields(visit: Visit, *, is_new: bool) -> dict[str, Any]:
    """Returns the fields of the operation; headers and secret that were not typed stay."""
    form = visit.form
    fields: dict[str, Any] = {
        "url": form.text("url"),
        "types": _types(form),
        "enabled": form.is_checked("enabled"),
    }
    if form.is_checked("remove_headers"):
        fields["headers"] = {}
    elif is_new or form.text("headers"):
        fields["headers"] = _headers(visit, form.raw("headers"))
    if form.is_checked("remove_secret"):
        fields["secret"] = ""
    elif is_new or form.text("secret"):
        fields["secret"] = form.text("secret")
    return fields


def _types(form: Form) -> list[str]:
    """Returns the chosen types; none or all of them stand for all, those of later releases too."""
    chosen = form.all("type")
    return [] if len(chosen) == len(KINDS) else chosen


def _headers(visit: Visit, text: str) -> dict[str, str]:
    headers = {}
    for line in filter(str.strip, text.splitlines()):
        name, colon, value = line.partition(":")
        if not colon:
            raise InvalidRequest(
                "headers: " + visit.gettext("each line must be a name, a colon and a value")
            )
        headers[name.strip()] = value.strip()
    return headers


def _path_of(webhook_id: UUID, instance_id: str) -> str:
    return f"{page.full_path}/{webhook_id}?instance={instance_id}"
