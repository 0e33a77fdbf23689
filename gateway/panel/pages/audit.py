"""The audit log: who did what, when and from where, and what it changed; as a file, too."""

import codecs
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import Any, Final, get_args
from urllib.parse import urlencode

from starlette.responses import Response, StreamingResponse

from gateway.administration.audit_entries import AuditEntries, AuditFormat, filter_of
from gateway.contract.extensions.account import Act, ListActs
from gateway.contract.extensions.overview import ListOverviewInstances, OverviewInstancePage
from gateway.contract.scopes import ApiScope
from gateway.errors import InvalidRequest
from gateway.instances.accounts import Account
from gateway.panel.act_words import ACTS, CREDENTIALS, words_of_act
from gateway.panel.addresses import is_id
from gateway.panel.differences import Difference, differences, given_lines
from gateway.panel.languages import N_
from gateway.panel.navigation import Section
from gateway.panel.page import Page
from gateway.panel.visit import PAGE_SIZE, Visit

page = Page(
    path="/audit",
    title=N_("Audit"),
    icon="history",
    section=Section.TRUST,
    scope=ApiScope.MANAGE,
    order=50,
)
_PATH: Final = "/panel/audit"
_FILTERS: Final = ("user", "act", "credential", "address", "number", "outcome", "since", "until")
_MAX_TEXT: Final = 64
_MAX_NUMBERS: Final = 200
_OUTCOMES: Final = ("done", "failed")
_FORMATS: Final[Mapping[str, tuple[AuditFormat, str]]] = {
    "csv": ("csv", "text/csv; charset=utf-8"),
    "jsonl": ("jsonl", "application/jsonl; charset=utf-8"),
}


@dataclass(frozen=True, slots=True)
class ShownAct:
    """An entry in words; `number` is the name of the instance where it is known."""

    act: Act
    text: str
    credential: str
    number: str
    changes: Sequence[Difference]
    given: Sequence[tuple[str, str]]


@page.get()
async def show(visit: Visit) -> Response:
    account, chosen = await visit.account(), _chosen(visit)
    number, problem = visit.page_number(), ""
    names = await _names(visit, account)
    acts: Sequence[Act] = ()
    try:
        acts = await visit.execute(_operation(visit, chosen, number), account)
    except InvalidRequest as error:
        problem = str(error)
    address = urlencode({name: value for name, value in chosen.items() if value})
    return await visit.render(
        "audit.html",
        path=_PATH,
        chosen=chosen,
        is_filtered=any(chosen.values()),
        problem=problem,
        acts=[_shown(visit, act, names) for act in acts],
        known_acts=_sorted(visit, ACTS),
        credentials=_sorted(visit, CREDENTIALS),
        numbers=sorted(names.items(), key=lambda each: each[1].casefold()),
        days=visit.services.gateway.audit.days,
        page=number,
        has_more=len(acts) == PAGE_SIZE,
        page_path=f"{_PATH}?{address}&page=" if address else f"{_PATH}?page=",
        address=address,
    )


@page.get("/export")
async def export(visit: Visit) -> Response:
    """Answers every entry that fits, as a file that is written while it is read."""
    written = _FORMATS.get(visit.query("format"))
    if written is None:
        raise InvalidRequest(f"format: must be one of {', '.join(get_args(AuditFormat))}")
    account = await visit.account()
    visit.caller.require_account(account.id)
    visit.caller.require(ListActs.scope)
    gateway = visit.services.gateway
    database = gateway.audit.database.in_turns(partial(gateway.turns.turn, account.id))
    where = filter_of(_operation(visit, _chosen(visit), 1))
    form, media_type = written
    lines = AuditEntries(database, gateway.audit.days).lines(account.id, where, form)
    today = visit.context.clock.now().date()
    return StreamingResponse(
        _for_spreadsheets(lines) if form == "csv" else lines,
        media_type=media_type,
        headers={"Content-Disposition": f'attachment; filename="audit-{today}.{form}"'},
    )


async def _for_spreadsheets(lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Puts a byte order mark first, without which Excel takes UTF-8 for another encoding."""
    yield codecs.BOM_UTF8
    async for piece in lines:
        yield piece


def _chosen(visit: Visit) -> dict[str, str]:
    return {name: visit.query(name)[:_MAX_TEXT] for name in _FILTERS}


def _operation(visit: Visit, chosen: Mapping[str, str], number: int) -> ListActs:
    """Returns what the filters select.

    Raises:
        InvalidRequest: a day is none.
    """
    until = _day(visit, chosen["until"], is_last=True)
    outcome = chosen["outcome"]
    asked: dict[str, Any] = {
        "user": chosen["user"] or None,
        "act": chosen["act"] or None,
        "credential": chosen["credential"] or None,
        "caller_address": chosen["address"] or None,
        "instance_id": chosen["number"] if is_id(chosen["number"]) else None,
        "outcome": outcome if outcome in _OUTCOMES else None,
        "since": _day(visit, chosen["since"]),
        "until": until,
    }
    return ListActs(page=number, page_size=PAGE_SIZE, **asked)


def _day(visit: Visit, text: str, *, is_last: bool = False) -> datetime | None:
    """Returns the beginning of a day where the visitor is, or of the one after the last day."""
    if not text:
        return None
    try:
        day = date.fromisoformat(text) + timedelta(days=is_last)
        return datetime.combine(day, time(), tzinfo=visit.zone)
    except (OverflowError, ValueError):
        raise InvalidRequest(visit.gettext("Write a day such as 2026-01-31.")) from None


async def _names(visit: Visit, account: Account) -> dict[str, str]:
    """Returns the names of instances by id, of the first ones of a large account."""
    listed: OverviewInstancePage = await visit.execute(
        ListOverviewInstances(page_size=_MAX_NUMBERS), account
    )
    return {each.id: each.name for each in listed.instances}


def _sorted(visit: Visit, words: Mapping[str, str]) -> Sequence[tuple[str, str]]:
    named = [(name, visit.gettext(text)) for name, text in words.items()]
    return sorted(named, key=lambda each: each[1].casefold())


def _shown(visit: Visit, act: Act, names: Mapping[str, str]) -> ShownAct:
    instance_id = act.instance_id or str(act.given.get("instance_id") or "")
    credential = CREDENTIALS.get(act.credential or "", act.credential or "")
    return ShownAct(
        act,
        visit.gettext(words_of_act(act.act)),
        visit.gettext(credential) if credential else "",
        names.get(instance_id, instance_id),
        differences(visit, act.before, act.after),
        given_lines(visit, act.given),
    )
