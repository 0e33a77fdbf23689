"""One number: link its phone, see its state in words, hand out a link, send a test message."""

import hashlib
from typing import Any, Final

from markupsafe import Markup
from starlette.responses import Response

from gateway.administration.audit import Subject
from gateway.administration.phone_link_page import svg_of
from gateway.contract.building import build
from gateway.contract.extensions.connections import (
    ConnectionList,
    ListConnections,
    RecoverConnection,
)
from gateway.contract.extensions.phone_links import (
    ConfirmLinking,
    CreatedPhoneLink,
    CreatePhoneLink,
    PhoneLinkState,
    ReadPhoneLink,
    RevokePhoneLink,
)
from gateway.contract.operation import Operation
from gateway.contract.scopes import ApiScope
from gateway.contract.zapi.instances import (
    Disconnect,
    PhoneCode,
    QrCode,
    ReadPhoneCode,
    ReadQrCode,
    Restart,
    RestoreSession,
)
from gateway.contract.zapi.messages.text import SendText
from gateway.errors import InvalidRequest, NotFound, SessionUnavailable
from gateway.instances.base_urls import BaseUrl
from gateway.instances.store import Instance
from gateway.panel.connection_words import NEEDS_CODE
from gateway.panel.languages import N_
from gateway.panel.message_progress import progress_of
from gateway.panel.one_instance import INSTANCES, facts_of, frame_of, named_in, overview_of
from gateway.panel.page import Page
from gateway.panel.visit import Visit

page = Page(path="/instances", title=N_("Number"))
_ONE: Final = "/{instance_id}"
_LINK_MINUTES: Final = (15, 30, 60, 240, 1_440)
_DIGEST_LENGTH = 16
_NO_CONTENT = 204


@page.get(_ONE)
async def show(visit: Visit) -> Response:
    return await _page(visit, await named_in(visit))


async def _page(
    visit: Visit, instance: Instance, *, status: int = 200, **shown: object
) -> Response:
    """Returns the page; *shown* is what a change has to say in its place."""
    return await visit.render(
        "instance.html",
        status=status,
        **{
            **await frame_of(visit, instance, ""),
            **await _connection(visit, instance),
            "message": await progress_of(visit, instance, visit.query("message")),
            "problems": {},
            "typed": {},
            "new_link": None,
            **shown,
        },
    )


@page.get(_ONE + "/connection")
async def show_connection(visit: Visit) -> Response:
    """Returns the state with what can be done, again when it changes."""
    instance = await named_in(visit)
    return visit.fragment(
        "instance_connection.html",
        **await frame_of(visit, instance, ""),
        **await _connection(visit, instance),
        problems={},
        typed={},
    )


@page.get(_ONE + "/facts")
async def show_facts(visit: Visit) -> Response:
    """Returns the phone and what waits, which change more often than the state."""
    instance = await named_in(visit)
    return visit.fragment("instance_facts.html", row=await overview_of(visit, instance))


async def _connection(visit: Visit, instance: Instance) -> dict[str, Any]:
    row = await overview_of(visit, instance)
    may_link = visit.may("manage") and row.state in NEEDS_CODE
    listed: ConnectionList = await visit.execute(ListConnections(), instance)
    return {
        "instance": instance,
        "connections": listed.connections,
        "needs_code": row.state in NEEDS_CODE,
        "qr": await _qr(visit, instance) if may_link else None,
        "link": await _link_of(visit, instance),
        "link_minutes": _LINK_MINUTES,
        "pairing": None,
        "can_pair": (facts := facts_of(visit, instance)) is None or facts.supports(ReadPhoneCode),
    }


async def _qr(visit: Visit, instance: Instance) -> dict[str, Any]:
    """Returns the code as a picture, and a digest by which the page knows whether it changed."""
    try:
        code = await visit.execute(ReadQrCode(), instance)
    except SessionUnavailable:
        code = None
    if not isinstance(code, QrCode):
        return {"svg": None, "seen": ""}
    digest = hashlib.sha256(code.value.encode()).hexdigest()[:_DIGEST_LENGTH]
    return {"svg": Markup(await svg_of(code.value)), "seen": digest}  # noqa: S704 - segno's drawing


async def _link_of(visit: Visit, instance: Instance) -> PhoneLinkState | None:
    try:
        found: PhoneLinkState = await visit.execute(ReadPhoneLink(), instance)
    except NotFound:
        return None
    return found


@page.get(_ONE + "/qr", scope=ApiScope.MANAGE)
async def renew_qr(visit: Visit) -> Response:
    """Returns the present code; nothing if the page shows it already."""
    instance = await named_in(visit)
    qr = await _qr(visit, instance)
    if qr["seen"] and qr["seen"] == visit.query("seen"):
        return Response(status_code=_NO_CONTENT)
    return visit.fragment("instance_qr.html", qr=qr, path=f"{INSTANCES}/{instance.id}")


@page.post(_ONE + "/pairing-code", scope=ApiScope.MANAGE)
async def show_pairing_code(visit: Visit) -> Response:
    """Shows a code to type on the phone of this number."""
    instance = await named_in(visit)
    phone = visit.form.text("phone")
    try:
        code = await visit.execute(build(ReadPhoneCode, {"phone": phone}), instance)
    except InvalidRequest:
        text = visit.gettext("Enter a number with its country code, such as 5511999999999.")
        return await _page(
            visit, instance, status=400, problems={"pairing": text}, typed={"pairing": phone}
        )
    except SessionUnavailable:
        return visit.redirect(
            f"{INSTANCES}/{instance.id}",
            flash=visit.gettext("WhatsApp gives no code now. Try again in a moment."),
            tone="warn",
        )
    if not isinstance(code, PhoneCode):  # a phone was linked meanwhile
        return visit.redirect(f"{INSTANCES}/{instance.id}")
    return await _page(visit, instance, pairing=code.code, typed={"pairing": phone})


@page.post(_ONE + "/scan", scope=ApiScope.MANAGE)
async def scan(visit: Visit) -> Response:
    """Links the simulated phone, as if it scanned the code."""
    instance = await named_in(visit)
    facts = facts_of(visit, instance)
    if facts is None or facts.scan is None:
        raise NotFound("Only a simulated phone scans by itself")
    gateway, subject = visit.services.gateway, Subject(instance.account_id, instance.id)
    async with gateway.audit.noting("LinkSimulatedPhone", visit.caller, subject):
        await facts.scan(instance.id)
    return visit.redirect(
        f"{INSTANCES}/{instance.id}", flash=visit.gettext("The simulated phone scanned the code.")
    )


@page.post(_ONE + "/disconnect", scope=ApiScope.MANAGE)
async def disconnect(visit: Visit) -> Response:
    return await _executed(
        visit,
        Disconnect(),
        visit.gettext("The phone was logged out. What waits stays in the queue."),
    )


@page.post(_ONE + "/restart", scope=ApiScope.MANAGE)
async def restart(visit: Visit) -> Response:
    return await _executed(visit, Restart(), visit.gettext("The connection is being opened again."))


@page.post(_ONE + "/recover", scope=ApiScope.MANAGE)
async def recover(visit: Visit) -> Response:
    """Opens the active connection again now."""
    instance = await named_in(visit)
    await visit.execute(RecoverConnection(), instance)
    return visit.redirect(
        f"{INSTANCES}/{instance.id}", flash=visit.gettext("The connection is being opened again.")
    )


@page.post(_ONE + "/reconnect", scope=ApiScope.MANAGE)
async def reconnect(visit: Visit) -> Response:
    return await _executed(
        visit, RestoreSession(), visit.gettext("The gateway tries to reconnect.")
    )


@page.post(_ONE + "/link", scope=ApiScope.MANAGE)
async def create_link(visit: Visit) -> Response:
    """Makes the link for a customer, and shows it this once."""
    instance = await named_in(visit)
    phone, minutes = visit.form.text("phone"), visit.form.number("minutes")
    try:
        operation = build(CreatePhoneLink, {"phone": phone or None, "expiresInMinutes": minutes})
    except InvalidRequest:
        text = visit.gettext("Enter a number with its country code, such as 5511999999999.")
        return await _page(
            visit, instance, status=400, problems={"link": text}, typed={"link": phone}
        )
    await _note_address(visit, instance)
    made: CreatedPhoneLink = await visit.execute(operation, instance)
    return await _page(visit, instance, new_link=made)


async def _note_address(visit: Visit, instance: Instance) -> None:
    """Lets the link begin with the address under which the gateway is reached."""
    url = visit.context.origin.base_url_of(visit.request) or ""
    scheme, _, authority = url.partition("://")
    await visit.services.gateway.base_urls.note(instance.id, BaseUrl.parse(scheme, authority))


@page.post(_ONE + "/link/revoke", scope=ApiScope.MANAGE)
async def revoke_link(visit: Visit) -> Response:
    return await _executed(visit, RevokePhoneLink(), visit.gettext("The link no longer works."))


@page.post(_ONE + "/link/confirm", scope=ApiScope.MANAGE)
async def confirm_link(visit: Visit) -> Response:
    return await _executed(
        visit, ConfirmLinking(), visit.gettext("The phone is confirmed. What waited is being sent.")
    )


async def _executed(visit: Visit, operation: Operation[Any], text: str) -> Response:
    """Executes an operation on the number, and leads to its page with a text."""
    instance = await named_in(visit)
    await visit.execute(operation, instance)
    return visit.redirect(f"{INSTANCES}/{instance.id}", flash=text)


@page.post(_ONE + "/test", scope=ApiScope.SEND)
async def send_test(visit: Visit) -> Response:
    """Sends a test message, and leads to the page that shows how it goes."""
    instance = await named_in(visit)
    typed = {"phone": visit.form.text("phone"), "text": visit.form.text("text")}
    try:
        message = build(SendText, {"phone": typed["phone"], "message": typed["text"]})
    except InvalidRequest:
        text = (
            visit.gettext("Enter a number with its country code, such as 5511999999999.")
            if typed["text"]
            else visit.gettext("Write a text.")
        )
        return await _page(visit, instance, status=400, problems={"test": text}, typed=typed)
    queued = await visit.send(instance, message)
    return visit.redirect(f"{INSTANCES}/{instance.id}?message={queued.zaap_id}#test")


@page.get(_ONE + "/test/{zaap_id}")
async def show_test(visit: Visit) -> Response:
    """Returns how far a test message came."""
    instance = await named_in(visit)
    return visit.fragment(
        "instance_message.html",
        message=await progress_of(visit, instance, visit.request.path_params["zaap_id"]),
        path=f"{INSTANCES}/{instance.id}",
    )
