"""Answers one path of a page: finds the session, checks rights and forms, and shows errors."""

from collections.abc import Mapping, Sequence
from functools import partial
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.contract.scopes import UserRole
from gateway.database.deadlines import waiting_at_most
from gateway.errors import (
    CallerError,
    Forbidden,
    GatewayError,
    Unauthorized,
    Unavailable,
    UnknownRoute,
)
from gateway.observability.error_reports import report_error
from gateway.panel.addresses import own_path, path_of
from gateway.panel.cookies import (
    LANGUAGE_COOKIE,
    THEME_COOKIE,
    VISITOR_COOKIE,
    ZONE_COOKIE,
    reached_by,
    remember,
)
from gateway.panel.csrf import CSRF_FIELD, CSRF_HEADER, is_own_form, is_own_page
from gateway.panel.error_pages import OLD_FORM, error_page, is_shown_as_flash
from gateway.panel.formats import zone_named
from gateway.panel.forms import Form, read_form
from gateway.panel.gateway_answers import answer_text
from gateway.panel.languages import accepted_language, language_named
from gateway.panel.navigation import NavEntry
from gateway.panel.page import PREFIX, PageRoute
from gateway.panel.services import PanelContext
from gateway.panel.uploads import UploadReader, is_multipart
from gateway.panel.visit import Visit
from gateway.users.sessions import SESSION_COOKIE

_THEMES = frozenset({"light", "dark"})
_MAX_VISITOR_LENGTH = 64
_VISITOR_BYTES = 16


class OldForm(Forbidden):
    """A form without the token of this session, or from a page of another site."""

    def __init__(self) -> None:
        super().__init__("This form is of another session or site")


class PageEndpoint:
    """Serves the routes of one path, by method."""

    def __init__(
        self,
        context: PanelContext,
        routes: Mapping[str, PageRoute],
        entries: Sequence[NavEntry],
        *,
        page_path: str,
        above: str,
    ) -> None:
        self._context, self._routes, self._entries = context, routes, entries
        self._page_path, self._above = page_path, above

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        visit = new_visit(request, self._context, self._entries, self._page_path)
        response = await self._answer(visit)
        if visit.session is None and request.cookies.get(VISITOR_COOKIE) != visit.secret:
            remember(response, VISITOR_COOKIE, visit.secret, visit.reached)
        await response(scope, receive, send)

    def _to_page_above(self, visit: Visit) -> Response:
        """Leads from an address that only takes forms to the page to which it belongs.

        The answer to a form may be a page; who opens its address again asks for it by GET.
        """
        if self._above == f"{PREFIX}/":
            return visit.redirect(self._above)
        steps = next(iter(self._routes.values())).path.count("/") - self._above.count("/")
        path, _, query = path_of(str(visit.request.url)).partition("?")
        path = path.rsplit("/", steps)[0]
        return visit.redirect(own_path(f"{path}?{query}" if query else path) or self._page_path)

    async def _answer(self, visit: Visit) -> Response:
        visit.request.scope["route_template"] = next(iter(self._routes.values())).path
        method = "GET" if visit.request.method == "HEAD" else visit.request.method
        route = self._routes.get(method)
        try:
            self._context.limits.count_address(visit.address)
            with waiting_at_most(self._context.patience_seconds):
                await _identify(visit)
                is_led = method == "GET" and route is None
                return self._to_page_above(visit) if is_led else await _handled(visit, route)
        except Unauthorized:
            return visit.to_sign_in()
        except OldForm:
            if visit.is_htmx:  # a new page has a new token
                return Response(status_code=OLD_FORM.status, headers={"HX-Refresh": "true"})
            return error_page(visit, OLD_FORM, back=self._page_path)
        except GatewayError as error:
            return self._on_error(visit, error)
        except Exception as error:  # noqa: BLE001 - the edge of the panel: it is reported and shown
            report_error(error, component="panel", instance_id=None, message_type=None)
            return error_page(visit, error, back=self._page_path)

    def _on_error(self, visit: Visit, error: GatewayError) -> Response:
        is_change = visit.request.method == "POST"
        if is_change and visit.session and is_shown_as_flash(error):
            text = answer_text(visit.language, error)
            return visit.redirect(_page_before(visit), flash=text, tone="bad")
        if not isinstance(error, CallerError | Unavailable):
            report_error(error, component="panel", instance_id=None, message_type=None)
        return error_page(visit, error, back=self._way_back(visit, error))

    def _way_back(self, visit: Visit, error: GatewayError) -> str:
        """Returns the page to which the user is led: none that he may not open, either."""
        if isinstance(error, Forbidden) and visit.session and not visit.has_page(self._page_path):
            return f"{PREFIX}/"
        return self._page_path


def new_visit(
    request: Request, context: PanelContext, entries: Sequence[NavEntry], page_path: str
) -> Visit:
    """Returns a visit without a session, which needs no database."""
    cookies = request.cookies
    theme = cookies.get(THEME_COOKIE, "")
    visitor = cookies.get(VISITOR_COOKIE, "")
    return Visit(
        request=request,
        context=context,
        services_or_none=context.services(),
        session=None,
        secret=visitor
        if 0 < len(visitor) <= _MAX_VISITOR_LENGTH
        else context.random_bytes(_VISITOR_BYTES).hex(),
        language=language_named(cookies.get(LANGUAGE_COOKIE))
        or accepted_language(request.headers.get("accept-language", "")),
        theme=theme if theme in _THEMES else "system",
        zone=zone_named(cookies.get(ZONE_COOKIE, "")),
        reached=reached_by(request, context.origin),
        entries=entries,
        nav_path=page_path,
    )


async def _identify(visit: Visit) -> None:
    """Finds the session of the cookie; its user's language is that of the page."""
    if visit.services_or_none is None:
        raise Unavailable("The gateway is starting")
    token = visit.request.cookies.get(SESSION_COOKIE, "")
    found = await visit.services.gateway.sign_in.sessions.find(token, is_request=True)
    if found is None:
        return
    visit.context.limits.count_user(found.user_id)
    visit.session, visit.secret = found, token
    visit.language = language_named(found.language) or visit.language


async def _handled(visit: Visit, route: PageRoute | None) -> Response:
    if route is None:
        raise UnknownRoute
    if not route.is_public:
        user = visit.user
        if route.scope is not None:
            visit.caller.require(route.scope)
        if route.operators and user.role is not UserRole.OPERATOR:
            raise Forbidden("Only operators use this page")
    if route.method == "POST":
        return await _changed(visit, route)
    return await route.handler(visit)


async def _changed(visit: Visit, route: PageRoute) -> Response:
    request = visit.request
    _check_page(visit)
    if not (route.max_file_bytes and is_multipart(request)):
        visit.form = await read_form(request)
        _check_token(visit, visit.form)
        return await route.handler(visit)
    spool = visit.services.gateway.intake.spool
    async with spool.folder_on_demand() as folder:
        reader = UploadReader(
            request,
            folder / "upload",
            max_bytes=route.max_file_bytes,
            reserve=spool.reserve,
            check=partial(_check_token, visit),
        )
        visit.form, visit.upload = await reader.read()
        return await route.handler(visit)


def _check_page(visit: Visit) -> None:
    request = visit.request
    hosts = {request.headers.get("host", "")}
    if base_url := visit.context.origin.base_url_of(request):
        hosts.add(urlsplit(base_url).netloc)
    if not is_own_page(request.headers, hosts):
        raise OldForm


def _check_token(visit: Visit, form: Form) -> None:
    given = visit.request.headers.get(CSRF_HEADER) or form.raw(CSRF_FIELD)
    if not is_own_form(given, visit.secret):
        raise OldForm


def _page_before(visit: Visit) -> str:
    """Returns the page from which a form came, else the page that it belongs to."""
    before = urlsplit(visit.request.headers.get("referer", ""))
    path = before.path + (f"?{before.query}" if before.query else "")
    return own_path(path) or visit.nav_path
