"""The answers to queries."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from pywhats.binary import Node
from pywhats.binary.node import AttrValue
from pywhats.events import JID

from tests.providers.fake_whatsapp import (
    app_state,
    business,
    channels,
    groups,
    linking,
    phone,
    privacy,
)
from tests.providers.fake_whatsapp.accounts import HIDDEN, SERVER, Account
from tests.providers.fake_whatsapp.stanzas import jid_in, now

if TYPE_CHECKING:
    from tests.providers.fake_whatsapp.websocket import Connection

_PICTURE_ERRORS = {"401": "not-authorized", "404": "item-not-found", "429": "rate-overlimit"}


async def answer(connection: "Connection", query: Node) -> None:
    space = query.get_str("xmlns")
    maker = _ANSWERS.get(space)
    if maker:
        content = await maker(connection, query)
    elif space == "md" and query.get_child("link_code_companion_reg"):
        await linking.hello(connection, query)
        return
    elif space == "md" and query.get_child("remove-companion-device"):
        await _reply(connection, query, None)
        assert connection.account
        del connection.account.devices[connection.number]
        return
    else:
        if space not in _TAKEN_IN_SILENCE:
            connection.universe.unknown[f"iq {space}"] += 1
        content = None
    await _reply(connection, query, content)
    if space == "encrypt":
        await _share_key(connection)


async def _share_key(connection: "Connection") -> None:
    """Gives a device the key of the app state, once others can encrypt to it."""
    account, device = connection.account, connection.device
    if account and device.once and not device.has_app_state_key:
        device.has_app_state_key = True
        share = phone.key_share(account, device)
        device.undelivered[share.get_str("id")] = share
        await connection.deliver(share)


async def _reply(connection: "Connection", query: Node, content: list[Node] | None) -> None:
    failed = bool(content) and content is not None and content[0].tag == "error"
    attributes: dict[str, AttrValue] = {
        "from": query.attrs.get("to", SERVER),
        "type": "error" if failed else "result",
        "id": query.get_str("id"),
    }
    await connection.send(Node("iq", attributes, content))


async def _keys(connection: "Connection", query: Node) -> list[Node] | None:
    """Counts, stores and returns the keys that others need to write to a device."""
    child = query.get_children()[0]
    device = connection.device
    if query.get_str("type") == "set":
        if left := query.get_child("list"):
            device.once += left.get_children("key")
            names = ("registration", "type", "identity", "skey")
            device.keys = [node for name in names if (node := query.get_child(name))]
        return None
    if child.tag == "count":
        return [Node("count", {"value": str(len(device.once))})]
    if child.tag == "digest":
        return [Node("digest", {}, device.keys)]
    return [Node("list", {}, [_keys_of(connection, u) for u in child.get_children("user")])]


def _keys_of(connection: "Connection", asked: Node) -> Node:
    jid = jid_in(asked, "jid")
    device = connection.universe.device(jid)
    if device is None or not device.keys:
        return Node("user", {"jid": jid}, [Node("error", {"code": "404", "text": "not-found"})])
    once = [device.once.pop(0)] if device.once else []
    return Node("user", {"jid": jid, "t": now()}, device.keys + once)


async def _usync(connection: "Connection", query: Node) -> list[Node]:
    """Returns the devices of people, and whether they have WhatsApp at all."""
    usync = query.get_child("usync")
    assert usync
    wanted, listed = usync.get_child("query"), usync.get_child("list")
    assert wanted
    assert listed
    kinds = [child.tag for child in wanted.get_children()]
    users = [_user(connection, user, kinds) for user in listed.get_children("user")]
    names = ("sid", "mode", "context")
    attributes: dict[str, AttrValue] = {name: usync.get_str(name) for name in names}
    content = [Node("result"), Node("list", {}, users)]
    return [Node("usync", attributes | {"index": "0", "last": "true"}, content)]


def _user(connection: "Connection", user: Node, kinds: list[str]) -> Node:
    contact = user.get_child("contact")
    if "jid" in user.attrs:
        jid = jid_in(user, "jid")
    else:
        assert contact
        number = contact.content_bytes().decode().partition("@")[0].lstrip("+")
        connection.universe.lookups.append(number)
        known = connection.universe.by_typed(number)
        jid = JID(known.phone if known else number)
    account = connection.universe.find(jid)
    typed = contact.content_bytes() if contact else None
    nodes = [node for kind in kinds if (node := _fact(kind, account, typed))]
    return Node("user", {"jid": jid}, nodes)


def _fact(kind: str, account: Account | None, typed: bytes | None) -> Node | None:
    match kind:
        case "devices":
            numbers = list(account.devices) if account else [0]
            devices = [
                Node("device", {"id": str(n)} | ({"key-index": str(n)} if n else {}))
                for n in numbers
            ]
            return Node("devices", {}, [Node("device-list", {"hash": "2:xx"}, devices)])
        case "contact":
            return Node("contact", {"type": "in" if account else "out"}, typed)
        case "lid" if account:
            return Node("lid", {"val": JID(account.lid, HIDDEN)})
        case "status" if account:
            return Node("status", {"t": "1"}, account.about.encode())
        case "picture":
            return Node("picture", {"id": "1"})
        case _:
            return None


async def _media(_connection: "Connection", _query: Node) -> list[Node]:
    host = Node("host", {"hostname": "mmg.whatsapp.net"})
    times: dict[str, AttrValue] = {"ttl": "3600", "auth_ttl": "3600", "max_buckets": "12"}
    return [Node("media_conn", times | {"auth": "AUTH"}, [host])]


async def _blocked(connection: "Connection", query: Node) -> list[Node]:
    assert connection.account
    if item := query.get_child("item"):
        change = connection.account.blocked
        who = jid_in(item, "jid").user
        (change.add if item.get_str("action") == "block" else change.discard)(who)
    items = [Node("item", {"jid": JID(user)}) for user in sorted(connection.account.blocked)]
    return [Node("list", {"dhash": "1"}, items)]


async def _picture(connection: "Connection", query: Node) -> list[Node]:
    if query.get_str("type") == "set":
        assert connection.account
        target = query.attrs.get("target")
        whose = target.user if isinstance(target, JID) else connection.account.phone
        picture = query.get_child("picture")
        connection.universe.pictures[whose] = picture.content_bytes().decode() if picture else ""
        return [Node("picture", {"id": "777"})]
    whose = query.attrs.get("target") or query.attrs.get("to")
    refusal = connection.universe.no_pictures.get(whose.user if isinstance(whose, JID) else "")
    if refusal:
        return [Node("error", {"code": refusal, "text": _PICTURE_ERRORS[refusal]})]
    where: dict[str, AttrValue] = {"url": "https://pps.whatsapp.net/p.jpg", "direct_path": "/p"}
    return [Node("picture", where | {"id": "1", "type": "image"})]


_ANSWERS: dict[str, Callable[["Connection", Node], Awaitable[list[Node] | None]]] = {
    "encrypt": _keys,
    "usync": _usync,
    "w:m": _media,
    "w:sync:app:state": app_state.answer,
    "privacy": privacy.answer,
    "spam": privacy.report,
    "blocklist": _blocked,
    "w:profile:picture": _picture,
    "w:g2": groups.answer,
    "w:mex": channels.answer,
    "w:biz": business.profile,
    "w:biz:catalog": business.catalogue,
}
_TAKEN_IN_SILENCE = frozenset(
    {
        "abt",
        "disappearing_mode",
        "md",
        "passive",
        "privatestats",
        "status",
        "urn:xmpp:ping",
        "w",
        "w:p",
    }
)
