"""The accounts of the installation: find one, open it as its people see it, make another."""

from typing import Final
from urllib.parse import quote

from starlette.responses import Response

from gateway.contract.scopes import ApiScope
from gateway.errors import Conflict, InvalidRequest
from gateway.panel.languages import N_
from gateway.panel.page import Page
from gateway.panel.system_tabs import SYSTEM_PATH, system_tabs
from gateway.panel.visit import PAGE_SIZE, Visit

page = Page(path="/system", title=N_("Accounts"), operators=True)
_PATH: Final = SYSTEM_PATH + "/accounts"
_MAX_QUERY: Final = 100


@page.get("/accounts")
async def show(visit: Visit) -> Response:
    wanted, number = visit.query("q")[:_MAX_QUERY], visit.page_number()
    rows = await visit.services.gateway.system.accounts(
        visit.caller, text=wanted, limit=PAGE_SIZE, offset=(number - 1) * PAGE_SIZE
    )
    total = rows[0].of_all if rows else 0
    return await visit.render(
        "system_accounts.html",
        tabs=system_tabs(visit, _PATH),
        path=_PATH,
        q=wanted,
        rows=rows,
        total=total,
        page=number,
        pages=-(-total // PAGE_SIZE),
        page_path=f"{_PATH}?q={quote(wanted)}&page=",
    )


@page.get("/accounts/new")
async def ask_for_new(visit: Visit) -> Response:
    return await _form(visit)


@page.post("/accounts/new", scope=ApiScope.MANAGE)
async def create(visit: Visit) -> Response:
    """Shows the tokens in its answer, and nowhere else."""
    name = visit.form.text("name")
    try:
        made = await visit.services.gateway.system.account_admin(visit.caller).create(
            name, client_token_required=visit.form.is_checked("client_token_required")
        )
    except InvalidRequest:
        text = visit.gettext("Enter a name of at most 255 characters.")
        return await _form(visit, name=name, problem=text)
    except Conflict:
        text = visit.gettext("Another account has this name.")
        return await _form(visit, name=name, problem=text)
    return await visit.render("system_account_made.html", made=made, name=name, path=_PATH)


async def _form(visit: Visit, *, name: str = "", problem: str = "") -> Response:
    return await visit.render(
        "system_account_new.html",
        status=400 if problem else 200,
        path=_PATH,
        name=name,
        problem=problem,
    )
