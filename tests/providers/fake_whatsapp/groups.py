"""Groups: their members, and the queries about them."""

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pywhats.binary import Node
from pywhats.binary.node import AttrValue
from pywhats.events import JID

from tests.providers.fake_whatsapp.accounts import GROUP, HIDDEN, Universe
from tests.providers.fake_whatsapp.routing import now

if TYPE_CHECKING:
    from tests.providers.fake_whatsapp.websocket import Connection

_FLAGS = {
    "announcement": ("announce", True),
    "not_announcement": ("announce", False),
    "locked": ("locked", True),
    "unlocked": ("locked", False),
}
_TOLD = frozenset({"subject", "description", "add", "remove", "promote", "demote", *_FLAGS})
_NUMBERS = itertools.count(120363000000000001)


@dataclass
class Group:
    """A group; `members` has each phone, and whether it is an administrator."""

    id: str
    subject: str
    creator: str
    description: str = ""
    announce: bool = False
    locked: bool = False
    members: dict[str, bool] = field(default_factory=dict)
    code: str = "INVITE"
    created: int = field(default_factory=lambda: int(time.time()))

    def devices(self, universe: Universe) -> Iterator[JID]:
        for phone in self.members:
            for number in universe.account(phone).devices:
                yield JID(phone, device=number)

    def node(self, universe: Universe) -> Node:
        attributes: dict[str, AttrValue] = {
            "id": self.id,
            "subject": self.subject,
            "s_t": str(self.created),
            "s_o": JID(self.creator),
            "creation": str(self.created),
            "creator": JID(self.creator),
            "addressing_mode": "pn",
        }
        people = [
            Node(
                "participant",
                {"jid": JID(phone), "lid": JID(universe.account(phone).lid, HIDDEN)}
                | ({"type": "superadmin" if phone == self.creator else "admin"} if admin else {}),
            )
            for phone, admin in self.members.items()
        ]
        flags = [
            Node(n) for n, on in (("announcement", self.announce), ("locked", self.locked)) if on
        ]
        about = Node("description", {"id": "D1"}, [Node("body", {}, self.description.encode())])
        return Node("group", attributes, [about, *flags, *people])


async def answer(connection: "Connection", query: Node) -> list[Node] | None:
    universe = connection.universe
    if create := query.get_child("create"):
        return [_create(connection, create).node(universe)]
    asked = query.attrs.get("to")
    if not (isinstance(asked, JID) and asked.user):
        return _of_everyone(connection, query)
    group = universe.groups.get(asked.user)
    if group is None:
        return [Node("error", {"code": "404", "text": "item-not-found"})]
    members = set(group.members)
    content = _ask(universe, group, query)
    if query.get_str("type") == "set":
        await _tell(connection, group, query, members | set(group.members))
    return content


async def _tell(connection: "Connection", group: Group, query: Node, members: set[str]) -> None:
    """Sends a change to every member that it concerns."""
    asked = query.get_children()[0]
    if asked.tag not in _TOLD:
        return
    change = asked
    if asked.tag == "subject":
        who: dict[str, AttrValue] = {"s_t": now(), "s_o": connection.jid}
        change = Node("subject", {"subject": group.subject} | who)
    attributes: dict[str, AttrValue] = {
        "from": JID(group.id, GROUP),
        "id": f"group {query.get_str('id')}",
        "type": "w:gp2",
        "participant": JID(connection.jid.user),
        "t": now(),
    }
    for phone in members:
        for other in connection.universe.connections(phone):
            await other.send(Node("notification", attributes, [change]))


def _create(connection: "Connection", create: Node) -> Group:
    assert connection.account
    me = connection.account.phone
    invited = [str(p.attrs["jid"]).partition("@")[0] for p in create.get_children("participant")]
    group = Group(str(next(_NUMBERS)), create.get_str("subject"), creator=me)
    group.members = {me: True} | dict.fromkeys(invited, False)
    connection.universe.groups[group.id] = group
    return group


def _of_everyone(connection: "Connection", query: Node) -> list[Node] | None:
    universe = connection.universe
    assert connection.account
    me = connection.account.phone
    if query.get_child("participating"):
        mine = [g.node(universe) for g in universe.groups.values() if me in g.members]
        return [Node("groups", {}, mine)]
    if leave := query.get_child("leave"):
        for node in leave.get_children("group"):
            universe.groups[str(node.attrs["id"]).partition("@")[0]].members.pop(me, None)
        return [leave]
    if invite := query.get_child("invite"):
        group = next(
            (g for g in universe.groups.values() if g.code == invite.get_str("code")), None
        )
        if group is None:
            return [Node("error", {"code": "406", "text": "not-acceptable"})]
        if query.get_str("type") == "set":
            group.members[me] = False
            return [Node("group", {"jid": JID(group.id, GROUP)})]
        return [group.node(universe)]
    return None


def _ask(universe: Universe, group: Group, query: Node) -> list[Node] | None:
    child = query.get_children()[0]
    match child.tag:
        case "query":
            return [group.node(universe)]
        case "subject":
            group.subject = child.content_bytes().decode()
        case "description":
            body = child.get_child("body")
            group.description = body.content_bytes().decode() if body else ""
        case "announcement" | "not_announcement" | "locked" | "unlocked":
            setattr(group, *_FLAGS[child.tag])
        case "invite":
            if query.get_str("type") == "set":
                group.code += "2"
            return [Node("invite", {"code": group.code})]
        case "add" | "remove" | "promote" | "demote":
            return [
                Node(child.tag, {}, [_change(group, child.tag, p) for p in child.get_children()])
            ]
        case tag:
            universe.unknown[f"w:g2 {tag}"] += 1
    return None


def _change(group: Group, action: str, participant: Node) -> Node:
    jid = participant.attrs["jid"]
    phone = str(jid).partition("@")[0]
    if action == "remove":
        group.members.pop(phone, None)
    else:
        group.members[phone] = action == "promote"
    return Node("participant", {"jid": jid})
