"""The settings of one number: its name, reading and calls, and how it sends."""

from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from gateway.contract.building import build
from gateway.contract.extensions.account import (
    AccountSettings,
    ChangeAccountSettings,
    ReadAccountSettings,
)
from gateway.contract.extensions.queue_control import (
    ChangeQueueSettings,
    QueueSettings,
    ReadQueueSettings,
)
from gateway.contract.operation import Operation
from gateway.contract.scopes import ApiScope
from gateway.contract.zapi.instance_queue import SetQueueSettings
from gateway.contract.zapi.instances import (
    InstanceSwitch,
    Rename,
    SetAutoReadMessage,
    SetAutoReadStatus,
    SetCallReject,
    SetCallRejectMessage,
)
from gateway.errors import InvalidRequest, UnknownInstance
from gateway.instances.store import Instance
from gateway.panel.forms import Form, problem_beside
from gateway.panel.languages import N_
from gateway.panel.one_instance import INSTANCES, frame_of, named_in
from gateway.panel.page import Page
from gateway.panel.visit import Visit

page = Page(path="/instances", title=N_("Settings"))
_SETTINGS: Final = "/{instance_id}/settings"
_DEFAULT: Final = "default"
_SWITCHES: Final[tuple[type[InstanceSwitch], ...]] = (
    SetAutoReadMessage,
    SetAutoReadStatus,
    SetCallReject,
)
_LOOKUP: Final[Mapping[str, object]] = {"yes": True, "no": False}
_Change = tuple[Operation[Any], bool]
"""An operation, and whether it is on the account."""


@page.get(_SETTINGS)
async def show(visit: Visit) -> Response:
    return await _page(visit, await _current(visit))


async def _page(
    visit: Visit, instance: Instance, problems: Mapping[str, str] | None = None
) -> Response:
    """Returns the page; after an error with what was typed, and the text beside its field."""
    account = await visit.account()
    queue: QueueSettings = await visit.execute(ReadQueueSettings(), instance)
    own: AccountSettings = await visit.execute(
        ReadAccountSettings(instance_id=instance.id), account
    )
    typed = {name: values[-1] for name, values in visit.form.fields.items()} if problems else {}
    return await visit.render(
        "instance_settings.html",
        status=400 if problems else 200,
        **await frame_of(visit, instance, "/settings"),
        queue=queue,
        own=own.own,
        effective=own.effective,
        values={**_values(instance, queue, own), **typed},
        problems=problems or {},
    )


def _values(instance: Instance, queue: QueueSettings, own: AccountSettings) -> dict[str, Any]:
    """Returns what the fields show, by their names."""
    per_minute, lookup = own.own.messages_per_minute, own.own.number_lookup
    return {
        "name": instance.name,
        "callRejectMessage": instance.call_reject_message or "",
        "paceMinSeconds": f"{queue.pace_min_seconds:g}",
        "paceMaxSeconds": f"{queue.pace_max_seconds:g}",
        "dailyLimit": queue.daily_limit,
        "warmUpDays": queue.warm_up_days,
        "messagesPerMinute": "" if per_minute is None else per_minute,
        "numberLookup": _DEFAULT if lookup is None else ("yes" if lookup else "no"),
        "order": queue.order,
        "unknownQuote": queue.unknown_quote,
    }


async def _current(visit: Visit) -> Instance:
    """Returns the instance as the database has it: a stored copy may be a moment old."""
    named = await named_in(visit)
    found = await visit.services.gateway.instances.read(named.id)
    if found is None:
        raise UnknownInstance
    return await visit.instance_named(found.id)


@page.post(_SETTINGS + "/name", scope=ApiScope.MANAGE)
async def rename(visit: Visit) -> Response:
    instance = await _current(visit)
    try:
        operation = build(Rename, {"value": visit.form.text("name")})
    except InvalidRequest:
        text = visit.gettext("Enter a name of at most 255 characters.")
        return await _page(visit, instance, {"name": text})
    return await _saved(visit, instance, [(operation, False)])


@page.post(_SETTINGS + "/reading", scope=ApiScope.MANAGE)
async def set_reading(visit: Visit) -> Response:
    """Saves what happens by itself with messages, statuses and calls that come in."""
    instance, form = await _current(visit), visit.form
    changes: list[_Change] = [
        (switch(value=wanted), False)
        for switch in _SWITCHES
        if (wanted := form.is_checked(switch.column)) != getattr(instance, switch.column)
    ]
    text = form.text("callRejectMessage")
    try:
        if text != (instance.call_reject_message or ""):
            changes.append((build(SetCallRejectMessage, {"value": text}), False))
    except InvalidRequest:
        problem = visit.gettext("The text is too long: at most 4096 characters.")
        return await _page(visit, instance, {"callRejectMessage": problem})
    return await _saved(visit, instance, changes)


@page.post(_SETTINGS + "/sending", scope=ApiScope.MANAGE)
async def set_sending(visit: Visit) -> Response:
    """Saves pace, limits and look-up; only what differs, so that a warm-up does not begin again."""
    instance, account = await _current(visit), await visit.account()
    queue: QueueSettings = await visit.execute(ReadQueueSettings(), instance)
    own: AccountSettings = await visit.execute(
        ReadAccountSettings(instance_id=instance.id), account
    )
    try:
        changes = [
            *_queue_changes(visit.form, queue),
            *_account_changes(visit.form, own, instance.id),
        ]
    except InvalidRequest as error:
        problems = problem_beside(error) or {"paceMinSeconds": str(error)}
        return await _page(visit, instance, problems)
    refuses = visit.form.is_checked("refuseWhileDown")
    if refuses != instance.disable_enqueue_when_disconnected:
        changes.append((SetQueueSettings(disable_enqueue_when_disconnected=refuses), False))
    return await _saved(visit, instance, changes)


def _queue_changes(form: Form, now: QueueSettings) -> list[_Change]:
    wanted: dict[str, float | str | None] = {
        "paceMinSeconds": form.decimal("paceMinSeconds"),
        "paceMaxSeconds": form.decimal("paceMaxSeconds"),
        "dailyLimit": form.number("dailyLimit"),
        "warmUpDays": form.number("warmUpDays"),
        "order": form.text("order") or None,
        "unknownQuote": form.text("unknownQuote") or None,
    }
    before = now.model_dump(by_alias=True)
    differ: dict[str, Any] = {n: v for n, v in wanted.items() if v not in {None, before[n]}}
    if differ.keys() & {"paceMinSeconds", "paceMaxSeconds"}:
        differ |= {n: wanted[n] for n in ("paceMinSeconds", "paceMaxSeconds")}
    return [(build(ChangeQueueSettings, differ), False)] if differ else []


def _account_changes(form: Form, now: AccountSettings, instance_id: str) -> list[_Change]:
    """Returns what differs for this instance; an empty limit is that of the account."""
    per_minute = form.number("messagesPerMinute")
    wanted = {
        "messagesPerMinute": _DEFAULT if per_minute is None else per_minute,
        "numberLookup": _LOOKUP.get(form.text("numberLookup"), _DEFAULT),
    }
    own = now.own
    before = {
        "messagesPerMinute": _DEFAULT
        if own.messages_per_minute is None
        else own.messages_per_minute,
        "numberLookup": _DEFAULT if own.number_lookup is None else own.number_lookup,
    }
    differ = {name: value for name, value in wanted.items() if value != before[name]}
    body = {"instanceId": instance_id, **differ}
    return [(build(ChangeAccountSettings, body), True)] if differ else []


async def _saved(visit: Visit, instance: Instance, changes: list[_Change]) -> Response:
    account = await visit.account()
    for operation, is_of_account in changes:
        await visit.execute(operation, account if is_of_account else instance)
    await visit.services.gateway.instances.read(instance.id)  # the next page shows what was saved
    text = visit.gettext("Saved.") if changes else visit.gettext("Nothing was changed.")
    return visit.redirect(f"{INSTANCES}/{instance.id}/settings", flash=text)
