"""The numbers of an account: find one, see which are down, and what waits; add one, delete one."""

from typing import Any, Final
from urllib.parse import urlencode

from starlette.responses import Response

from gateway.contract.building import build
from gateway.contract.extensions.overview import ListOverviewInstances, OverviewInstancePage
from gateway.contract.extensions.partner import DeleteInstance
from gateway.contract.scopes import ApiScope
from gateway.contract.zapi.instance_queue import CountQueue, QueueCount
from gateway.contract.zapi.partner import CreatedInstance, CreateInstance
from gateway.errors import InvalidRequest
from gateway.instances.accounts import Account
from gateway.instances.store import Instance
from gateway.panel.choices import NoAccount
from gateway.panel.connection_words import STATES, words_of
from gateway.panel.languages import N_
from gateway.panel.navigation import Section
from gateway.panel.page import Page
from gateway.panel.visit import PAGE_SIZE, Visit

page = Page(
    path="/instances",
    title=N_("Numbers"),
    icon="phone",
    section=Section.NUMBERS,
    order=10,
    on_phone=True,
)
_PATH: Final = "/panel/instances"
_ALL, _DOWN = "", "down"
_MAX_QUERY, _MAX_SHOWN_NAME = 100, 60
_FILTERS: Final = ("q", "state", "provider", "quiet", "sort")
_QUIET_DAYS: Final = ("1", "7", "30", "90")
_ORDERS: Final = {
    "": ("name", False),
    "newest": ("created", True),
    "down": ("downSince", False),
    "waiting": ("waiting", True),
    "latest": ("lastMessage", True),
    "quietest": ("lastMessage", False),
}


@page.get()
async def show(visit: Visit) -> Response:
    try:
        account = await visit.account()
    except NoAccount:
        return await visit.render("instances.html", listed=None)
    return await visit.render("instances.html", **await _listed(visit, account))


@page.get("/rows")
async def show_rows(visit: Visit) -> Response:
    """Returns the list again, for a page that is open."""
    return visit.fragment("instances_list.html", **await _listed(visit, await visit.account()))


async def _listed(visit: Visit, account: Account) -> dict[str, Any]:
    chosen = {name: visit.query(name)[:_MAX_QUERY] for name in _FILTERS}
    sort, descending = _ORDERS.get(chosen["sort"], _ORDERS[""])
    operation = ListOverviewInstances(
        page=visit.page_number(),
        page_size=PAGE_SIZE,
        query=chosen["q"],
        state=chosen["state"] if chosen["state"] in {*STATES, _DOWN} else None,
        provider=chosen["provider"] or None,
        quiet_days=int(chosen["quiet"]) if chosen["quiet"] in _QUIET_DAYS else None,
        sort=sort,
        descending=descending,
    )
    listed: OverviewInstancePage = await visit.execute(operation, account)
    address = urlencode({name: value for name, value in chosen.items() if value})
    return {
        "listed": listed,
        "pages": -(-listed.total // PAGE_SIZE),
        "chosen": chosen,
        "address": address,
        "topic": f"account:{account.id}",
        "is_filtered": any(chosen[name] for name in _FILTERS if name != "sort"),
        "tabs": _tabs(listed, chosen),
        "states": STATES,
        "words_of": words_of,
        "providers": sorted(visit.services.providers),
        "paths": {entry.path for entry in visit.seen_entries()},
    }


def _tabs(listed: OverviewInstancePage, chosen: dict[str, str]) -> list[tuple[str, int, str, bool]]:
    """Returns the states to choose among: name, count, address, and whether it is chosen."""
    total = sum(listed.states.values())
    connected = listed.states.get("connected", 0)
    others = {name: value for name, value in chosen.items() if value and name != "state"}
    counted = [
        (N_("All"), total, _ALL),
        (N_("Connected"), connected, "connected"),
        (N_("Down"), total - connected, _DOWN),
    ]
    return [
        (
            name,
            count,
            f"{_PATH}?{urlencode({**others, **({'state': state} if state else {})})}",
            chosen["state"] == state,
        )
        for name, count, state in counted
    ]


@page.get("/new", scope=ApiScope.MANAGE)
async def ask_for_new(visit: Visit) -> Response:
    await visit.account()
    return await _form(visit)


@page.post("/new", scope=ApiScope.MANAGE)
async def create(visit: Visit) -> Response:
    """Creates a number, and goes on to its QR code."""
    try:
        operation = build(
            CreateInstance,
            {"name": visit.form.text("name"), "provider": visit.form.text("provider") or None},
        )
    except InvalidRequest:
        return await _form(visit, problem=visit.gettext("Enter a name of at most 255 characters."))
    made: CreatedInstance = await visit.execute(operation, await visit.account())
    await visit.instance_named(made.id)
    return visit.redirect(
        f"{_PATH}/{made.id}", flash=visit.gettext("The number was added. Now link its phone.")
    )


async def _form(visit: Visit, *, problem: str = "") -> Response:
    services = visit.services
    return await visit.render(
        "instance_new.html",
        status=400 if problem else 200,
        problem=problem,
        name=visit.form.text("name"),
        providers=services.providers,
        provider=visit.form.text("provider") or services.default_provider or "",
    )


@page.get("/{instance_id}/delete", scope=ApiScope.MANAGE)
async def ask_before_deleting(visit: Visit) -> Response:
    return await _question(visit)


@page.post("/{instance_id}/delete", scope=ApiScope.MANAGE)
async def delete(visit: Visit) -> Response:
    """Deletes a number whose name, or id, the person typed."""
    instance = await visit.instance_named(visit.request.path_params["instance_id"])
    if _spaced(visit.form.text("typed")) not in {typed_name_of(instance), instance.id}:
        problem = visit.gettext("This is another name: nothing was deleted.")
        return await _question(visit, problem=problem)
    account = await visit.account()
    await visit.execute(DeleteInstance(instance_id=instance.id), account)
    await visit.services.gateway.instances.read(instance.id)  # no page shows the stored copy
    name = typed_name_of(instance)[:_MAX_SHOWN_NAME]
    return visit.redirect(_PATH, flash=visit.gettext("%(name)s was deleted.", name=name))


async def _question(visit: Visit, *, problem: str = "") -> Response:
    instance = await visit.instance_named(visit.request.path_params["instance_id"])
    queue: QueueCount = await visit.execute(CountQueue(), instance)
    return await visit.render(
        "instance_delete.html",
        status=400 if problem else 200,
        problem=problem,
        waiting=queue.count,
        typed_name=typed_name_of(instance),
    )


def typed_name_of(instance: Instance) -> str:
    """Returns the name with single blanks, as a browser shows it and a person types it."""
    return _spaced(instance.name)


def _spaced(text: str) -> str:
    return " ".join(text.split())
