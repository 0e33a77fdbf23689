"""Chats: those with unread messages first, the messages of one, and replies."""

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

from starlette.responses import Response

from gateway.contract.building import build
from gateway.contract.extensions.queue_control import FailedPage, ListFailed
from gateway.contract.internal.chat_search import ChatPage, FoundChat, SearchChats
from gateway.contract.scopes import ApiScope
from gateway.contract.zapi.chats import ListMessages, ModifyChat
from gateway.contract.zapi.contacts import Contact, ListContacts
from gateway.contract.zapi.instance_queue import ListQueueByPage
from gateway.contract.zapi.messages.text import SendText
from gateway.errors import InvalidRequest
from gateway.instances.store import Instance
from gateway.panel.chat_view import ThreadDay, days_of, file_ids, queued_message
from gateway.panel.choices import NoAccount, NoInstance
from gateway.panel.languages import N_
from gateway.panel.navigation import Section
from gateway.panel.page import Page
from gateway.panel.sending import MAX_UPLOAD_BYTES, kind_of_upload, send, upload_fields
from gateway.panel.visit import PAGE_SIZE, Visit

page = Page(
    path="/chats",
    title=N_("Chats"),
    icon="chats",
    section=Section.MESSAGES,
    order=30,
    on_phone=True,
)
_SHOWN_MESSAGES: Final = 50
_SHOWN_WAITING, _SHOWN_FAILED, _SHOWN_CONTACTS = 30, 10, 10
_KEY_BYTES: Final = 12


@page.get()
async def show(visit: Visit) -> Response:
    try:
        instance = await visit.instance()
    except (NoInstance, NoAccount):
        return await visit.render("chats.html", instance=None)
    return await visit.render("chats.html", **await _list(visit, instance), open=None)


@page.get("/list")
async def show_list(visit: Visit) -> Response:
    """Returns the list alone, which the page fetches again."""
    return visit.fragment("chats_list.html", **await _list(visit, await visit.instance()))


@page.get("/{phone}")
async def show_chat(visit: Visit) -> Response:
    instance = await visit.instance()
    thread = await _thread(visit, instance)
    return await visit.render("chats.html", **(await _list(visit, instance) | thread))


@page.get("/{phone}/messages")
async def show_messages(visit: Visit) -> Response:
    """Returns the messages alone; nothing where the page shows them already."""
    thread = await _thread(visit, await visit.instance())
    return visit.fragment("chats_messages.html", tag=_tag_of(thread["days"]), **thread)


@page.post("/{phone}/send", scope=ApiScope.SEND, max_file_bytes=MAX_UPLOAD_BYTES)
async def reply(visit: Visit) -> Response:
    instance, phone = await visit.instance(), _phone(visit)
    text, key = visit.form.raw("message").strip(), visit.form.text("key")
    if visit.upload is None and not text:
        raise InvalidRequest(visit.gettext("Write a message or choose a file first."))
    if upload := visit.upload:
        declared, field = await kind_of_upload(upload)
        fields = {"phone": phone, **upload_fields(upload, field, text)}
        await send(visit, instance, declared, fields, key=key, upload=upload)
        text = text if "caption" not in fields else ""
    if text:
        fields = {"phone": phone, "message": text}
        await send(visit, instance, SendText, fields, key=f"{key}-text" if key else "")
    return visit.redirect(_address(instance, phone))


@page.post("/{phone}/read", scope=ApiScope.SEND)
async def mark_read(visit: Visit) -> Response:
    instance, phone = await visit.instance(), _phone(visit)
    await visit.execute(ModifyChat(phone=phone, action="read"), instance)
    return visit.redirect(_address(instance, phone), flash=visit.gettext("Marked as read."))


async def _list(visit: Visit, instance: Instance) -> dict[str, Any]:
    number, search = visit.page_number(), visit.query("q")[:100]
    listed: ChatPage = await visit.execute(
        SearchChats(search=search, page=number, page_size=PAGE_SIZE), instance
    )
    return {
        "instance": instance,
        "listed": listed,
        "contacts": await _contacts(visit, instance, search, listed.chats) if search else (),
        "search": search,
        "number": number,
        "pages": -(-listed.total // PAGE_SIZE),
        "filters": f"instance={instance.id}&q={quote(search)}",
    }


async def _contacts(
    visit: Visit, instance: Instance, search: str, chats: Sequence[FoundChat]
) -> Sequence[Contact]:
    """Returns the people that fit the search and have no chat in the list."""
    found: Sequence[Contact] = await visit.execute(
        ListContacts(search=search, page_size=_SHOWN_CONTACTS), instance
    )
    shown = {chat.phone for chat in chats}
    return [each for each in found if each.phone not in shown]


async def _thread(visit: Visit, instance: Instance) -> dict[str, Any]:
    phone, before = _phone(visit), visit.query("before")[:255]
    messages: Sequence[dict[str, Any]] = await visit.execute(
        ListMessages(phone=phone, amount=_SHOWN_MESSAGES, last_message_id=before or None), instance
    )
    types = await visit.services.files.types(instance.id, file_ids(messages, instance.id))
    waiting = [] if before else await _waiting(visit, instance, phone)
    found: ChatPage = await visit.execute(SearchChats(search=phone), instance)
    chat = next((each for each in found.chats if each.phone == phone), None)
    return {
        "instance": instance,
        "open": phone,
        "chat": chat,
        "chat_name": chat.name if chat and chat.name else _name_in(messages) or phone,
        "days": days_of(messages, instance.id, types, visit.zone, waiting),
        "before": before,
        "older": messages[-1]["messageId"] if len(messages) == _SHOWN_MESSAGES else "",
        "address": _address(instance, phone),
        "key": visit.context.random_bytes(_KEY_BYTES).hex(),
    }


async def _waiting(visit: Visit, instance: Instance, phone: str) -> Sequence[Any]:
    """Returns what still waits for this chat, and what could not be sent to it."""
    waiting = await visit.execute(ListQueueByPage(phone=phone, page_size=_SHOWN_WAITING), instance)
    failed: FailedPage = await visit.execute(
        ListFailed(phone=phone, page_size=_SHOWN_FAILED), instance
    )
    return [
        *(
            queued_message(each.message_id, each.created_at, each.type, each.message, error=None)
            for each in waiting
        ),
        *(
            queued_message(
                each.message_id, each.created_at, each.type, each.message, error=each.error or ""
            )
            for each in failed.messages
        ),
    ]


def _phone(visit: Visit) -> str:
    return build(ListMessages, {"phone": visit.request.path_params["phone"]}).phone


def _name_in(messages: Sequence[dict[str, Any]]) -> str:
    return next((str(each["chatName"]) for each in messages if each.get("chatName")), "")


def _address(instance: Instance, phone: str) -> str:
    return f"/panel/chats/{quote(phone, safe='')}?instance={instance.id}"


def _tag_of(days: Sequence[ThreadDay]) -> str:
    """Returns what changes with the messages; a link that was signed again is no change."""
    return "\n".join(f"{each.id} {each.version}" for day in days for each in day.messages)
