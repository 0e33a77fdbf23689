"""One person: what is stored of them, a copy of it, and its erasure (LGPD)."""

from collections.abc import Sequence
from typing import Any

from starlette.responses import Response, StreamingResponse

from gateway.contract.building import build
from gateway.contract.extensions.contacts import Erased, ErasePerson
from gateway.contract.extensions.person_data import (
    ErasureList,
    ListErasures,
    PersonData,
    ReadPersonData,
)
from gateway.contract.scopes import ApiScope
from gateway.errors import InvalidRequest
from gateway.instances.store import Instance
from gateway.panel.choices import NoAccount, NoInstance
from gateway.panel.languages import N_
from gateway.panel.page import Page
from gateway.panel.person_file import file_name, person_file
from gateway.panel.privacy_view import address_of, show_privacy
from gateway.panel.visit import Visit

page = Page(path="/privacy/person", title=N_("A person"), scope=ApiScope.MANAGE)
_COUNTED = 100
_PAGE_SIZE = 500


@page.get()
async def show(visit: Visit) -> Response:
    """Asks for a number; with `phone` answers what is stored of that person."""
    phone = visit.query("phone")
    try:
        instance = await visit.instance()
    except (NoAccount, NoInstance):
        return await show_privacy(visit, "person.html")
    if not phone:
        return await show_privacy(visit, "person.html", person=None, phone="", error="")
    try:
        operation = build(ReadPersonData, {"phone": phone, "pageSize": _COUNTED})
    except InvalidRequest as error:
        text = str(error).removeprefix("phone: ")
        return await show_privacy(visit, "person.html", 400, person=None, phone=phone, error=text)
    person: PersonData = await visit.execute(operation, instance)
    running = await _running(visit, instance, person.phone)
    return await show_privacy(
        visit,
        "person.html",
        person=person,
        phone=phone,
        error="",
        running=running.erasures[0] if running.erasures else None,
    )


@page.post("/export")
async def export(visit: Visit) -> Response:
    """Answers a file with everything that is stored of a person."""
    instance, phone = await visit.instance(), visit.form.text("phone")

    async def read(cursor: str | None) -> PersonData:
        fields: dict[str, Any] = {"phone": phone, "pageSize": _PAGE_SIZE, "pagingState": cursor}
        answer: PersonData = await visit.execute(build(ReadPersonData, fields), instance)
        return answer

    first = await read(None)  # an error is shown as a page, not in the middle of the file
    now = visit.context.clock.now()
    return StreamingResponse(
        person_file(first, read, instance=instance, at=now),
        media_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="{file_name(now)}"'},
    )


@page.post("/erase")
async def erase(visit: Visit) -> Response:
    instance, form = await visit.instance(), visit.form
    operation = build(ErasePerson, {"phone": form.text("phone")})
    form.require_typed("typed", operation.phone)
    done: Erased = await visit.execute(operation, instance)
    text = visit.ngettext(
        "%(num)s entry was erased. Other chats are being searched now.",
        "%(num)s entries were erased. Other chats are being searched now.",
        sum(done.erased.values()),
    )
    return visit.redirect(address_of(instance, "/person/erasures"), flash=text)


@page.get("/erasures")
async def show_erasures(visit: Visit) -> Response:
    try:
        instance = await visit.instance()
    except (NoAccount, NoInstance):
        return await show_privacy(visit, "erasures.html")
    running = await _running(visit, instance)
    return await show_privacy(
        visit, "erasures.html", erasures=running.erasures, number_of=number_of
    )


@page.get("/erasures/list")
async def list_erasures(visit: Visit) -> Response:
    """Answers the part of the page that shows how far the erasures are."""
    instance = await visit.instance()
    running = await _running(visit, instance)
    return visit.fragment(
        "erasure_list.html", number=instance, erasures=running.erasures, number_of=number_of
    )


def number_of(names: Sequence[str]) -> str:
    """Returns what people call a person: the number, in its longest spelling, rather than a lid."""
    return max(names, key=lambda name: ("@" not in name, len(name)), default="-")


async def _running(visit: Visit, instance: Instance, phone: str | None = None) -> ErasureList:
    answer: ErasureList = await visit.execute(build(ListErasures, {"phone": phone}), instance)
    return answer
