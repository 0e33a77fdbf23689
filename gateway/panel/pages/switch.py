"""Choosing the account (operators) and the instance that pages show."""

from starlette.responses import Response

from gateway.contract.scopes import ApiScope
from gateway.contract.zapi.partner import InstancePage, ListInstances
from gateway.errors import NotFound
from gateway.panel.addresses import is_id, own_path
from gateway.panel.cookies import ACCOUNT_COOKIE, INSTANCE_COOKIE, remember
from gateway.panel.languages import N_
from gateway.panel.page import Page
from gateway.panel.visit import Visit

page = Page(path="/switch", title=N_("Choose"), scope=ApiScope.READ)
_SHOWN = 20


@page.get("/instances")
async def list_instances(visit: Visit) -> Response:
    """Returns the instances that fit what was typed, for the switcher."""
    account = await visit.account()
    listed: InstancePage = await visit.execute(
        ListInstances(page_size=_SHOWN, query=visit.query("q")[:100]), account
    )
    return visit.fragment(
        "switch_list.html",
        kind="instance",
        options=[(each.id, each.name, each.whatsapp_connected) for each in listed.content],
        total=listed.total,
        next=own_path(visit.query("next")),
    )


@page.get("/accounts")
async def list_accounts(visit: Visit) -> Response:
    """Returns the accounts that fit what was typed, for the switcher of operators."""
    every = await visit.services.gateway.accounts.list_all() if visit.is_operator else []
    wanted = visit.query("q").casefold()
    found = [each for each in every if wanted in each.name.casefold() or wanted == each.id]
    return visit.fragment(
        "switch_list.html",
        kind="account",
        options=[(each.id, each.name, None) for each in found[:_SHOWN]],
        total=len(found),
        next=own_path(visit.query("next")),
    )


@page.post("/instance", scope=ApiScope.READ)
async def choose_instance(visit: Visit) -> Response:
    await visit.instance_named(visit.form.text("id"))
    return visit.redirect(own_path(visit.form.text("next")) or "/panel/")


@page.post("/account", scope=ApiScope.READ)
async def choose_account(visit: Visit) -> Response:
    wanted = visit.form.text("id")
    found = await visit.services.gateway.accounts.find(wanted) if is_id(wanted) else None
    if found is None or not visit.is_operator:
        raise NotFound("There is no such account")
    response = visit.redirect("/panel/")
    response.delete_cookie(INSTANCE_COOKIE)
    remember(response, ACCOUNT_COOKIE, found.id, visit.reached)
    return response
