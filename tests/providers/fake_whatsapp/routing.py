"""Routes messages, receipts and typing from one device to others."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pywhats.binary import Node
from pywhats.binary.node import AttrValue
from pywhats.events import JID

from tests.providers.fake_whatsapp.accounts import GROUP, HIDDEN, SERVER, Sent
from tests.providers.fake_whatsapp.stanzas import jid_in, now, outline

if TYPE_CHECKING:
    from tests.providers.fake_whatsapp.accounts import Account, Device, Universe
    from tests.providers.fake_whatsapp.websocket import Connection


BROADCAST, CHANNEL = "broadcast", "newsletter"
_SHARED = {GROUP, BROADCAST}
"""Where one part of a message is for all recipients."""
_CIPHERTEXT = {"participants", "enc", "plaintext", "device-identity"}


async def message(sender: "Connection", node: Node) -> None:
    """Accepts a message, confirms it, and queues it for every device that gets it."""
    universe, to, number = sender.universe, jid_in(node, "to"), node.get_str("id")
    extras = [child.tag for child in node.get_children()]
    others = [outline(n) for n in node.get_children() if n.tag not in _CIPHERTEXT]
    address = f"{to.user}@{to.server}"
    universe.sent.append(
        Sent(number, sender.jid.user, address, node.get_str("type"), extras, others)
    )
    confirmation: dict[str, AttrValue] = {"class": "message", "id": number, "t": now(), "from": to}
    fault, universe.next_fault = universe.next_fault, None
    if fault and fault not in {"lose", "garble"}:
        await sender.send(Node("ack", confirmation | {"error": fault}))
        return
    if fault == "lose" or universe.lose:
        return
    if to.server == CHANNEL:
        await _publish(sender, node, to)
    for recipient, parts in list(_parts(sender, node, to)):
        sent = [_garbled(part) for part in parts] if fault == "garble" else parts
        await _deliver(universe, recipient, _as_received(sender, node, recipient, sent))
    if universe.hold_acks:
        return
    await sender.send(Node("ack", confirmation))


async def _deliver(universe: "Universe", recipient: JID, copy: Node) -> None:
    """Stores a message for a linked device until that confirms it."""
    device = universe.device(recipient)
    if device is None or not recipient.device:
        return
    device.undelivered[copy.get_str("id")] = copy
    if device.connection:
        await device.connection.deliver(copy)


def _garbled(part: Node) -> Node:
    """Returns the ciphertext with a wrong code, which no recipient accepts."""
    content = part.content_bytes()
    return Node(part.tag, part.attrs, content[:-1] + bytes([content[-1] ^ 1]))


async def _publish(sender: "Connection", node: Node, to: JID) -> None:
    """Delivers a message of a channel, which is not encrypted, to the devices of its followers."""
    channel = sender.universe.channels.get(to.user)
    if channel is None:
        return
    channel.messages += 1
    attributes: dict[str, AttrValue] = {
        "from": to,
        "id": node.get_str("id"),
        "server_id": str(channel.messages),
        "type": node.get_str("type"),
        "t": now(),
    }
    copy = Node("message", attributes, node.get_children("plaintext"))
    for phone in channel.followers | channel.admins | {channel.owner}:
        for number, device in sender.universe.account(phone).devices.items():
            if device is not sender.device:
                await _deliver(sender.universe, JID(phone, device=number), copy)


def _parts(sender: "Connection", node: Node, to: JID) -> Iterator[tuple[JID, list[Node]]]:
    """Returns the copy of each device; in a group it includes the part that all share."""
    shared = node.get_children("enc")
    listed = node.get_child("participants")
    for each in listed.get_children("to") if listed else ():
        yield (
            jid_in(each, "jid"),
            each.get_children("enc") + (shared if to.server in _SHARED else []),
        )
    if to.server == GROUP:
        named = {jid_in(e, "jid").user for e in (listed.get_children("to") if listed else ())}
        yield from (
            (device, shared)
            for device in sender.universe.groups[to.user].devices(sender.universe)
            if device.user not in named and device != sender.jid
        )
    elif not listed and to.server in {"s.whatsapp.net", HIDDEN}:
        yield to, shared or node.get_children("plaintext")


def _as_received(sender: "Connection", node: Node, recipient: JID, parts: list[Node]) -> Node:
    assert sender.account
    universe, to = sender.universe, jid_in(node, "to")
    attributes: dict[str, AttrValue] = {
        "id": node.get_str("id"),
        "t": now(),
        "type": node.get_str("type"),
        "notify": sender.account.name or f"Name of {sender.account.phone}",
    }
    if edit := node.get_str("edit"):
        attributes["edit"] = edit
    if to.server in _SHARED:
        hidden = recipient.server == HIDDEN
        attributes |= {
            "from": to,
            "participant": sender.hidden_jid if hidden else sender.jid,
            "addressing_mode": "lid" if hidden else "pn",
        }
    elif recipient.server == HIDDEN:
        attributes |= {"from": sender.hidden_jid, "sender_pn": JID(sender.account.phone)}
    else:
        attributes |= {"from": sender.jid, "sender_lid": JID(sender.account.lid, HIDDEN)}
    if to.server not in _SHARED and universe.find(recipient) is sender.account:
        attributes["recipient"] = to
    identity = node.get_child("device-identity")
    return Node("message", attributes, parts + ([identity] if identity else []))


async def receipt(sender: "Connection", node: Node) -> None:
    """Handles a receipt: the device has a message, or its owner read it."""
    to, kind = jid_in(node, "to"), node.get_str("type")
    named = [node.get_str("id")]
    listed = node.get_child("list")
    named += [item.get_str("id") for item in (listed.get_children("item") if listed else ())]
    if kind != "retry":
        for number in named:
            sender.device.undelivered.pop(number, None)
    attributes: dict[str, AttrValue] = {"class": "receipt", "id": named[0], "from": to}
    await sender.send(Node("ack", attributes | ({"type": kind} if kind else {})))
    told: dict[str, AttrValue] = {"id": named[0], "t": now()} | ({"type": kind} if kind else {})
    if to.server in _SHARED:
        told |= {"from": to, "participant": sender.jid}
        author = jid_in(node, "participant") if "participant" in node.attrs else None
    else:
        own = sender.hidden_jid if to.server == HIDDEN else sender.jid
        told["from"] = own if to.device or kind == "retry" else JID(own.user, own.server)
        author = to
    account = sender.universe.find(author) if author else None
    if account is None or account is sender.account:
        return
    assert author
    for number, device in _concerned(account, author, kind):
        copy = Node("receipt", told, node.content)
        if number:
            device.undelivered[f"{named[0]} {kind}"] = copy
        if device.connection:
            await device.connection.deliver(copy)


def _concerned(account: "Account", author: JID, kind: str) -> list[tuple[int, "Device"]]:
    """Returns the devices that get a receipt: a retry is for the one that encrypted the message."""
    devices = account.devices.items()
    return [(n, device) for n, device in devices if kind != "retry" or n == author.device]


async def taken(sender: "Connection", node: Node) -> None:
    """Handles a device's confirmation of a receipt."""
    if sender.account:
        sender.device.undelivered.pop(f"{node.get_str('id')} {node.get_str('type')}", None)


async def chat_state(sender: "Connection", node: Node) -> None:
    account = sender.universe.find(jid_in(node, "to"))
    for other in sender.universe.connections(account.phone) if account else ():
        await other.send(Node("chatstate", {"from": JID(sender.jid.user)}, node.content))


async def presence(sender: "Connection", node: Node) -> None:
    """Tells those who asked that a person comes or goes; answers who asks with how it is now."""
    if sender.account is None:
        return  # some clients show presence before they are linked
    universe, kind = sender.universe, node.get_str("type")
    universe.presence.append(f"{sender.jid.user} {kind}")
    if kind == "subscribe":
        watched = universe.find(jid_in(node, "to"))
        if watched and watched is not sender.account:
            watched.watchers.add(sender.account.phone)
            await sender.send(_presence_of(watched))
    if kind not in {"available", "unavailable"}:
        return  # a stanza that only says the name
    sender.account.is_available = kind == "available"
    for phone in sender.account.watchers:
        for watcher in universe.connections(phone):
            await watcher.send(_presence_of(sender.account))


def _presence_of(account: "Account") -> Node:
    shown: dict[str, AttrValue] = {} if account.is_available else {"type": "unavailable"}
    return Node("presence", {"from": JID(account.phone)} | shown)


async def call(called: "Connection", caller: str, *, video: bool, reason: str | None) -> None:
    """Offers a call to an account; with a reason, ends it."""
    about: dict[str, AttrValue] = {"call-id": "CALL1", "call-creator": JID(caller)}
    shown = [Node("audio", {"enc": "opus", "rate": "16000"})] + [Node("video")] * video
    what = Node("offer", about, shown)
    if reason is not None:
        what = Node("terminate", about | {"reason": reason})
    attributes: dict[str, AttrValue] = {
        "from": JID(caller),
        "id": f"call-{what.tag}",
        "t": now(),
        "platform": "android",
        "version": "2",
    }
    await called.send(Node("call", attributes, [what]))


async def call_answer(sender: "Connection", node: Node) -> None:
    """Stores a device's answer to a call."""
    sender.universe.calls += [child.tag for child in node.get_children()]


def stream_error(*, code: str | None = None, conflict: str | None = None) -> Node:
    """Returns the stanza with the reason why the server ends a stream."""
    content = [Node("conflict", {"type": conflict})] if conflict else None
    return Node("stream:error", {"code": code} if code else {"from": SERVER}, content)


async def picture(recipient: "Connection", person: str, *, removed: bool) -> None:
    """Tells an account that a person has another picture, or none any more."""
    attributes: dict[str, AttrValue] = {
        "from": JID(person),
        "id": "picture-1",
        "t": now(),
        "type": "picture",
    }
    changed = Node("delete" if removed else "set", {"jid": JID(person), "id": "2"})
    await recipient.send(Node("notification", attributes, [changed]))
