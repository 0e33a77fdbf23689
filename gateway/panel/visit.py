"""One request of a browser: who asks, in which language, and how a page answers."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from gateway.administration.audit import Caller
from gateway.administration.sign_in import caller_of_session
from gateway.contract.operation import Operation
from gateway.contract.scopes import SCOPES_OF_ROLE, ApiScope, UserRole
from gateway.contract.send import OutgoingMessage, Queued
from gateway.contract.zapi.partner import InstancePage, ListInstances
from gateway.errors import Unauthorized, UnknownInstance
from gateway.instances.accounts import Account
from gateway.instances.store import Instance
from gateway.panel.addresses import is_id, page_number_of, path_of, sign_in_path
from gateway.panel.choices import NoAccount, NoInstance
from gateway.panel.cookies import (
    ACCOUNT_COOKIE,
    FLASH_COOKIE,
    INSTANCE_COOKIE,
    Flash,
    Reached,
    Tone,
    flash_of,
    remember,
    set_flash,
)
from gateway.panel.csrf import csrf_token
from gateway.panel.forms import Form
from gateway.panel.languages import Translated, translations_of
from gateway.panel.navigation import NavEntry, by_section
from gateway.panel.rendering import render
from gateway.panel.services import PanelContext, PanelServices
from gateway.panel.uploads import Upload
from gateway.users.sessions import UserSession
from gateway.users.store import Language

_SEE_OTHER, _NOT_MODIFIED = 303, 304
PAGE_SIZE: Final = 50


@dataclass(slots=True, kw_only=True)
class Visit:
    """What the handlers of pages get. `user` and what follows it need a session."""

    request: Request
    context: PanelContext
    services_or_none: PanelServices | None
    session: UserSession | None
    secret: str
    """The token of the session, or of the visitor before the sign-in; binds the forms."""
    language: Language
    theme: str
    zone: tzinfo
    reached: Reached
    entries: Sequence[NavEntry]
    title: str = ""
    nav_path: str = ""
    form: Form = field(default_factory=lambda: Form({}))
    upload: Upload | None = None
    """The file of the form, while its handler runs."""
    _account: Account | None = None
    _instance: Instance | None = None
    _remembered: dict[str, str] = field(default_factory=dict)

    # Who asks

    @property
    def services(self) -> PanelServices:
        assert self.services_or_none is not None
        return self.services_or_none

    @property
    def user(self) -> UserSession:
        """The session and its user; raises Unauthorized without a session."""
        if self.session is None:
            raise Unauthorized
        return self.session

    @property
    def address(self) -> str | None:
        return self.context.origin.address_of(self.request)

    @property
    def caller(self) -> Caller:
        return caller_of_session(self.user, self.address)

    @property
    def is_operator(self) -> bool:
        return self.session is not None and self.session.role is UserRole.OPERATOR

    def may(self, scope: str) -> bool:
        """Returns whether the user has a scope: templates show a button only then."""
        return self.session is not None and ApiScope(scope) in SCOPES_OF_ROLE[self.session.role]

    def has_page(self, path: str) -> bool:
        """Returns whether the user sees a page of this address in the menu: links ask it."""
        return any(entry.path == path for entry in self.seen_entries())

    def seen_entries(self) -> Sequence[NavEntry]:
        """Returns the entries of the navigation that the user sees; none without a session."""
        if self.session is None:
            return []
        scopes = SCOPES_OF_ROLE[self.session.role]
        return [e for e in self.entries if e.is_for(scopes, is_operator=self.is_operator)]

    # What is asked about

    def query(self, name: str) -> str:
        """Returns a parameter of the address without blanks around it; empty if it is not there.

        Postgres stores no NUL, so nothing that has one could be found.
        """
        return self.request.query_params.get(name, "").replace("\0", "").strip()

    def page_number(self) -> int:
        """Returns the page of a list that the address names, from 1."""
        return page_number_of(self.query("page"))

    async def account(self) -> Account:
        """Returns the account of the user; of an operator the one that he chose.

        Raises:
            NoAccount: there is none.
        """
        if self._account is None:
            self._account = await self._chosen_account()
        return self._account

    async def instance(self) -> Instance:
        """Returns the instance that the address names, else the one that was shown last.

        Raises:
            UnknownInstance: the address names one that the user may not know of.
            NoInstance: the account has none.
        """
        if self._instance is None:
            self._instance = await self._chosen_instance()
        return self._instance

    async def instance_named(self, instance_id: str) -> Instance:
        """Returns an instance of the user's account, which the following pages show, too.

        Raises:
            UnknownInstance: it is none that the user may know of.
        """
        found = await self._find_instance(instance_id)
        if found is None:
            raise UnknownInstance
        self._instance = found
        self._remembered[INSTANCE_COOKIE] = found.id
        if self.is_operator:
            self._remembered[ACCOUNT_COOKIE] = found.account_id
            if self._account is None or self._account.id != found.account_id:
                self._account = await self.services.gateway.accounts.find(found.account_id)
        return found

    async def execute(self, operation: Operation[Any], target: Instance | Account) -> Any:  # noqa: ANN401 - each operation has its own answer
        """Executes an operation as the user; the scope is checked again, and it is audited."""
        gateway = self.services.gateway
        try:
            return await gateway.execute(operation, target, caller=self.caller)
        finally:
            if type(operation).is_audited():
                gateway.instances.note_change(target)

    async def send(self, instance: Instance, message: OutgoingMessage) -> Queued:
        """Puts a message into the queue as the user, by the rules that callers of the API have.

        Raises:
            Forbidden: the role may not send.
            CallerError: what the admission and the queue refuse.
        """
        gateway = self.services.gateway
        self.caller.require_instance(instance.account_id, instance.id)
        self.caller.require(type(message).scope)
        self.services.admission.check(instance, message)
        async with gateway.turns.turn(instance.account_id):
            queued = await gateway.enqueuer.enqueue(instance, message)
        gateway.metrics.queued(message.kind(), instance.id)
        return queued

    # Texts

    def gettext(self, text: str, **values: object) -> str:
        """Returns a text in the user's language, with its `%(name)s` replaced."""
        # The translation of an empty text is the head of the catalogue.
        translated = translations_of(self.language).gettext(text) if text else ""
        return Translated(translated % values if values else translated)

    def ngettext(self, one: str, many: str, count: int, **values: object) -> str:
        """Returns the text for this number of things; `%(num)s` is the number."""
        translated = translations_of(self.language).ngettext(one, many, count)
        return Translated(translated % {"num": count, **values})

    # Answers

    async def render(
        self,
        template: str,
        *,
        status: int = 200,
        flash: Flash | None = None,
        **context: Any,  # noqa: ANN401 - what a template shows
    ) -> Response:
        """Returns a whole page, with navigation in a session."""
        shown = flash or flash_of(self.request)
        shell = await self._shell()
        html = self._html(template, {**shell, "flash": shown, **context})
        response = HTMLResponse(html, status)
        if FLASH_COOKIE in self.request.cookies:
            response.delete_cookie(FLASH_COOKIE)
        return self._finished(response)

    def fragment(
        self,
        template: str,
        *,
        status: int = 200,
        tag: str = "",
        **context: Any,  # noqa: ANN401 - what a template shows
    ) -> Response:
        """Returns a part of a page; a tab that refreshes one chooses no instance.

        A tab that names the ETag of what it shows gets nothing again. *tag* is that of the content;
        without it that of the HTML counts, so it is for parts whose links are signed again.
        """
        html = "" if tag and self._shows(tag) else self._html(template, context)
        etag = _etag(tag or html)
        if self._shows(tag or html):
            return Response(status_code=_NOT_MODIFIED, headers={"ETag": etag})
        return HTMLResponse(html, status, headers={"ETag": etag})

    def _shows(self, content: str) -> bool:
        return self.request.headers.get("if-none-match") == _etag(content)

    def redirect(self, path: str, *, flash: str = "", tone: Tone = "ok") -> Response:
        """Leads the browser to another page of the panel, which shows *flash* once."""
        response = self._redirection(path)
        if flash:
            set_flash(response, Flash(tone, flash), self.reached)
        return self._finished(response)

    def to_sign_in(self) -> Response:
        """Leads to the sign-in page, and from there back."""
        wanted = path_of(str(self.request.url))
        if self.is_htmx:
            wanted = path_of(self.request.headers.get("hx-current-url", ""))
        elif self.request.method != "GET":
            wanted = self.nav_path
        return self._redirection(sign_in_path(wanted))

    @property
    def is_htmx(self) -> bool:
        return self.request.headers.get("hx-request") == "true"

    def _redirection(self, path: str) -> Response:
        if self.is_htmx:
            return Response(headers={"HX-Redirect": path})
        return RedirectResponse(path, _SEE_OTHER)

    def _finished(self, response: Response) -> Response:
        for name, value in self._remembered.items():
            remember(response, name, value, self.reached)
        return response

    def _html(self, template: str, context: Mapping[str, object]) -> str:
        common = {
            "visit": self,
            "user": self.session,
            "csrf_token": csrf_token(self.secret),
            "zone": self.zone,
            "now": self.context.clock.now(),
        }
        return render(template, self.language, {**common, **context})

    async def _shell(self) -> Mapping[str, Any]:
        """Returns what the frame around a page shows."""
        if self.session is None or self.services_or_none is None:
            return {"nav": [], "phone_nav": [], "account": None, "instance": None}
        seen = self.seen_entries()
        try:
            account: Account | None = await self.account()
        except NoAccount:
            account = None
        return {
            "nav": by_section(seen),
            "phone_nav": [e for _s, found in by_section(seen) for e in found if e.on_phone][:4],
            "account": account,
            "instance": self._instance or await self._remembered_instance(),
        }

    # Choices

    async def _chosen_account(self) -> Account:
        accounts = self.services.gateway.accounts
        if self.user.account_id is not None:
            own = await accounts.find(self.user.account_id)
            if own is None:
                raise Unauthorized
            return own
        named = self.query("account")
        wanted = named or self.request.cookies.get(ACCOUNT_COOKIE, "")
        found = await accounts.find(wanted) if is_id(wanted) else None
        if found is None and (every := await accounts.list_all()):
            found = await accounts.find(every[0].id)
        if found is None:
            raise NoAccount
        if named:
            self._remembered[ACCOUNT_COOKIE] = found.id
        return found

    async def _chosen_instance(self) -> Instance:
        if named := self.query("instance"):
            return await self.instance_named(named)
        if found := await self._remembered_instance():
            return found
        account = await self.account()
        listed: InstancePage = await self.execute(ListInstances(page_size=1), account)
        if not listed.content:
            raise NoInstance
        return await self.instance_named(listed.content[0].id)

    async def _remembered_instance(self) -> Instance | None:
        found = await self._find_instance(self.request.cookies.get(INSTANCE_COOKIE, ""))
        if found is None or self._account is None or found.account_id == self._account.id:
            return found
        return None  # the operator turned to another account

    async def _find_instance(self, instance_id: str) -> Instance | None:
        if not is_id(instance_id):
            return None
        found = await self.services.gateway.instances.find(instance_id)
        if found is None or self.user.account_id not in {None, found.account_id}:
            return None
        return found


def _etag(content: str) -> str:
    return f'"{hashlib.sha256(content.encode()).hexdigest()[:32]}"'
