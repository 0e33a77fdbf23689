"""The proxy through which one number reaches WhatsApp: set it, test it, remove it."""

from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from gateway.contract.building import build
from gateway.contract.extensions.proxies import (
    ProxyHealth,
    ProxyTest,
    ReadProxyHealth,
    RemoveProxy,
    SetProxy,
    TryProxy,
)
from gateway.contract.scopes import ApiScope
from gateway.errors import InvalidRequest, TooManyRequests
from gateway.instances.store import Instance
from gateway.panel.gateway_answers import known_answer
from gateway.panel.languages import N_
from gateway.panel.one_instance import INSTANCES, frame_of, named_in
from gateway.panel.page import Page
from gateway.panel.visit import Visit

page = Page(path="/instances", title=N_("Proxy"))
_PROXY: Final = "/{instance_id}/proxy"
_SHOWN_TESTS = 10


@page.get(_PROXY)
async def show(visit: Visit) -> Response:
    return await _page(visit, await named_in(visit))


async def _page(
    visit: Visit, instance: Instance, *, problem: str = "", typed: Mapping[str, Any] | None = None
) -> Response:
    """Returns the page; a URL that was typed is not shown again, for it may hold a password."""
    health: ProxyHealth = await visit.execute(ReadProxyHealth(), instance)
    return await visit.render(
        "instance_proxy.html",
        status=400 if problem else 200,
        **await frame_of(visit, instance, "/proxy"),
        proxy=health.proxy,
        tests=health.logs[:_SHOWN_TESTS],
        problem=problem,
        typed=typed or {},
    )


@page.post(_PROXY, scope=ApiScope.MANAGE)
async def set_proxy(visit: Visit) -> Response:
    """Sets the proxy; with `test_first` only if WhatsApp is reached through it."""
    instance, form = await named_in(visit), visit.form
    chosen = {
        "noWebsocket": form.is_checked("noWebsocket"),
        "onlyLogin": form.is_checked("onlyLogin"),
        "noMedia": form.is_checked("noMedia"),
    }
    url = form.text("proxyUrl")
    try:
        operation = build(SetProxy, {"proxyUrl": url, **chosen})
        if form.is_checked("test_first") and (problem := await _failure(visit, instance, url)):
            return await _page(visit, instance, problem=problem, typed=chosen)
        await visit.execute(operation, instance)
    except InvalidRequest as error:
        problem = str(error).removeprefix("proxyUrl: ")
        return await _page(visit, instance, problem=problem[:1].upper() + problem[1:], typed=chosen)
    return visit.redirect(
        f"{INSTANCES}/{instance.id}/proxy",
        flash=visit.gettext("The proxy is set. The connection is opened again through it."),
    )


async def _failure(visit: Visit, instance: Instance, url: str) -> str:
    """Returns why WhatsApp is not reached through a proxy; an empty text if it is."""
    try:
        result: ProxyTest = await visit.execute(build(TryProxy, {"proxyUrl": url}), instance)
    except TooManyRequests as error:
        return visit.gettext(
            "Too many tests. Wait %(seconds)s seconds.", seconds=error.retry_after_seconds
        )
    if result.reachable:
        return ""
    return visit.gettext(
        "WhatsApp is not reached through it: %(reason)s. Nothing was changed.",
        reason=known_answer(visit.language, result.error or "?").rstrip("."),
    )


@page.post(_PROXY + "/test", scope=ApiScope.MANAGE)
async def try_proxy(visit: Visit) -> Response:
    """Tests the proxy that is set."""
    instance = await named_in(visit)
    path = f"{INSTANCES}/{instance.id}/proxy"
    result: ProxyTest = await visit.execute(TryProxy(), instance)
    if result.reachable:
        text = visit.gettext("WhatsApp answered in %(ms)s ms.", ms=result.latency_ms)
        return visit.redirect(path, flash=text)
    text = visit.gettext(
        "WhatsApp is not reached: %(reason)s",
        reason=known_answer(visit.language, result.error or "?"),
    )
    return visit.redirect(path, flash=text, tone="bad")


@page.post(_PROXY + "/remove", scope=ApiScope.MANAGE)
async def remove_proxy(visit: Visit) -> Response:
    instance = await named_in(visit)
    await visit.execute(RemoveProxy(), instance)
    return visit.redirect(
        f"{INSTANCES}/{instance.id}/proxy", flash=visit.gettext("The proxy was removed.")
    )
