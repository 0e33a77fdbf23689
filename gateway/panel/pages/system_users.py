"""The people who sign in: find them, add one, change a role, disable, hand out a link."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from starlette.responses import Response

from gateway.contract.scopes import ApiScope, UserRole
from gateway.errors import Conflict, InvalidRequest
from gateway.panel.addresses import is_id
from gateway.panel.languages import N_, language_named
from gateway.panel.page import Page
from gateway.panel.pages.set_password import SET_PASSWORD_PATH
from gateway.panel.system_tabs import SYSTEM_PATH, system_tabs
from gateway.panel.visit import PAGE_SIZE, Visit

page = Page(path="/system", title=N_("Users"), operators=True)
_PATH: Final = SYSTEM_PATH + "/users"
_MAX_QUERY: Final = 100
_MAX_ACCOUNTS: Final = 200
ROLES: Final[Mapping[UserRole, tuple[str, str]]] = {
    UserRole.OWNER: (N_("Owner"), N_("Everything in one account.")),
    UserRole.AGENT: (N_("Agent"), N_("Chats and sends, sees the rest; changes no settings.")),
    UserRole.VIEWER: (N_("Viewer"), N_("Sees, and changes nothing.")),
    UserRole.OPERATOR: (N_("Operator"), N_("Every account, and this page.")),
}


@page.get("/users")
async def show(visit: Visit) -> Response:
    wanted, number = visit.query("q")[:_MAX_QUERY], visit.page_number()
    users = visit.services.gateway.system.users(visit.caller)
    rows, total = await users.search(wanted, limit=PAGE_SIZE, offset=(number - 1) * PAGE_SIZE)
    return await visit.render(
        "system_users.html",
        tabs=system_tabs(visit, _PATH),
        path=_PATH,
        q=wanted,
        rows=rows,
        roles=ROLES,
        total=total,
        page=number,
        pages=-(-total // PAGE_SIZE),
        page_path=f"{_PATH}?q={quote(wanted)}&page=",
    )


@page.get("/users/new")
async def ask_for_new(visit: Visit) -> Response:
    return await _form(visit, {"role": UserRole.OWNER.value, "account": visit.query("of")}, {})


@page.post("/users/new", scope=ApiScope.MANAGE)
async def create(visit: Visit) -> Response:
    """Makes a user without a password, and shows the link with which he sets one."""
    form = visit.form
    role = next((each for each in UserRole if each.value == form.text("role")), UserRole.VIEWER)
    account = "" if role is UserRole.OPERATOR else form.text("account")
    typed = {name: form.text(name) for name in ("email", "name", "role", "account", "language")}
    if role is not UserRole.OPERATOR and not await _is_account(visit, account):
        return await _form(visit, typed, {"account": visit.gettext("Choose an account.")})
    try:
        await visit.services.gateway.system.users(visit.caller).create(
            typed["email"],
            name=typed["name"],
            role=role,
            account_id=account or None,
            language=language_named(typed["language"]) or "pt-BR",
            password=None,
        )
    except Conflict:
        return await _form(visit, typed, {"email": visit.gettext("Another user has this e-mail.")})
    except InvalidRequest as error:
        text = visit.gettext("Write an address such as ana@example.com.")
        is_name = str(error).startswith("name")
        problems = {"name": str(error)} if is_name else {"email": text}
        return await _form(visit, typed, problems)
    return await _show_link(visit, typed["email"], is_new=True)


@page.post("/users/link", scope=ApiScope.MANAGE)
async def hand_out_link(visit: Visit) -> Response:
    return await _show_link(visit, visit.form.text("email"), is_new=False)


@page.post("/users/role", scope=ApiScope.MANAGE)
async def change_role(visit: Visit) -> Response:
    email = visit.form.text("email")
    role = next((each for each in UserRole if each.value == visit.form.text("role")), None)
    if role is None:
        raise InvalidRequest(visit.gettext("Choose a role."))
    await visit.services.gateway.system.users(visit.caller).set_role(email, role)
    text = visit.gettext("%(email)s has another role from now on.", email=email)
    return visit.redirect(_back(visit), flash=text)


@page.post("/users/disable", scope=ApiScope.MANAGE)
async def disable(visit: Visit) -> Response:
    email = visit.form.text("email")
    if email.casefold() == visit.user.email.casefold():
        raise InvalidRequest(visit.gettext("You cannot disable yourself."))
    await visit.services.gateway.system.users(visit.caller).set_disabled(email, disabled=True)
    text = visit.gettext("%(email)s is signed out and cannot sign in any more.", email=email)
    return visit.redirect(_back(visit), flash=text)


@page.post("/users/enable", scope=ApiScope.MANAGE)
async def enable(visit: Visit) -> Response:
    email = visit.form.text("email")
    await visit.services.gateway.system.users(visit.caller).set_disabled(email, disabled=False)
    text = visit.gettext("%(email)s may sign in again.", email=email)
    return visit.redirect(_back(visit), flash=text)


async def _show_link(visit: Visit, email: str, *, is_new: bool) -> Response:
    """Shows a link in this answer alone: no address, cookie or log holds it."""
    token = await visit.services.gateway.system.users(visit.caller).issue_password_link(email)
    base_url = visit.context.origin.base_url_of(visit.request) or ""
    return await visit.render(
        "system_user_link.html",
        email=email,
        link=f"{base_url}{SET_PASSWORD_PATH}/{token}",
        path=_PATH,
        is_new=is_new,
    )


async def _form(visit: Visit, typed: Mapping[str, str], problems: Mapping[str, str]) -> Response:
    accounts = await visit.services.gateway.system.accounts(visit.caller, limit=_MAX_ACCOUNTS)
    listed = [(each.id, each.name) for each in accounts]
    chosen = typed.get("account", "")
    if chosen and chosen not in {each for each, _name in listed}:
        found = await visit.services.gateway.accounts.find(chosen) if is_id(chosen) else None
        listed += [(found.id, found.name)] if found else []
    return await visit.render(
        "system_user_new.html",
        status=400 if problems else 200,
        path=_PATH,
        typed=typed,
        problems=problems,
        roles=ROLES,
        accounts=listed,
        has_more=bool(accounts) and accounts[0].of_all > len(accounts),
    )


async def _is_account(visit: Visit, account_id: str) -> bool:
    return is_id(account_id) and await visit.services.gateway.accounts.find(account_id) is not None


def _back(visit: Visit) -> str:
    return (
        f"{_PATH}?q={quote(visit.form.text('q')[:_MAX_QUERY])}" if visit.form.text("q") else _PATH
    )
