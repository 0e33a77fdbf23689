"""Groups: their members, and the queries about them.

Who asks to join is in joining.py, what a community does with its groups in communities.py.
"""

import itertools
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pywhats.binary import Node
from pywhats.binary.node import AttrValue
from pywhats.events import JID

from tests.providers.fake_whatsapp import communities, joining
from tests.providers.fake_whatsapp.accounts import GROUP, HIDDEN, Universe
from tests.providers.fake_whatsapp.stanzas import jid_in, now

if TYPE_CHECKING:
    from tests.providers.fake_whatsapp.websocket import Connection

_FLAGS = {
    "announcement": ("announce", True),
    "not_announcement": ("announce", False),
    "locked": ("locked", True),
    "unlocked": ("locked", False),
}
_TOLD = frozenset(
    {
        "subject",
        "description",
        "add",
        "remove",
        "promote",
        "demote",
        "membership_approval_mode",
        "member_add_mode",
        "links",
        "unlink",
        *_FLAGS,
    }
)
_NUMBERS = itertools.count(120363000000000001)
_CODES = itertools.count(1)


@dataclass
class Community:
    """The part of a group that makes it a community."""

    approval: str
    members_create_groups: bool


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
    approves: bool = False
    """Whether administrators decide who joins."""
    requests: list[str] = field(default_factory=list)
    """The phones that ask to join."""
    everyone_adds: bool = False
    community: Community | None = None
    """What it is as a community; None for a group."""
    parent: str | None = None
    """The id of the community that it belongs to."""
    is_announcements: bool = False
    """Whether it is the group of announcements of its community."""
    created: int = field(default_factory=lambda: int(time.time()))
    code: str = field(default_factory=lambda: f"INVITE{next(_CODES)}")

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
        return Node("group", attributes, [about, *flags, *self._kind(), *people])

    def _kind(self) -> Iterator[Node]:
        """Returns the nodes that say who may join, and what it has to do with a community."""
        if self.approves:
            yield Node("membership_approval_mode", {}, [Node("group_join", {"state": "on"})])
        mode = b"all_member_add" if self.everyone_adds else b"admin_add"
        yield Node("member_add_mode", {}, mode)
        if self.community:
            yield Node("parent", {"default_membership_approval_mode": self.community.approval})
            if self.community.members_create_groups:
                yield Node("allow_non_admin_sub_group_creation")
        if self.parent:
            yield Node("linked_parent", {"jid": JID(self.parent, GROUP)})
        if self.is_announcements:
            yield Node("default_sub_group")


async def answer(connection: "Connection", query: Node) -> list[Node] | None:
    universe = connection.universe
    if create := query.get_child("create"):
        return [_create(connection, create).node(universe)]
    asked = query.attrs.get("to")
    if not (isinstance(asked, JID) and asked.user):
        return await _of_everyone(connection, query)
    group = universe.groups.get(asked.user)
    if group is None:
        return [Node("error", {"code": "404", "text": "item-not-found"})]
    members = set(group.members)
    if handle := _ELSEWHERE.get(query.get_children()[0].tag):
        content = await handle(connection, group, query.get_children()[0])
    else:
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
    universe, me = connection.universe, connection.account.phone
    invited = [jid_in(p, "jid").user for p in create.get_children("participant")]
    group = Group(str(next(_NUMBERS)), create.get_str("subject"), creator=me)
    group.members = {me: True} | dict.fromkeys(invited, False)
    if described := create.get_child("description"):
        body = described.get_child("body")
        group.description = body.content_bytes().decode() if body else ""
    universe.groups[group.id] = group
    if parent := create.get_child("linked_parent"):
        group.parent = jid_in(parent, "jid").user
    if parent := create.get_child("parent"):
        approval = parent.get_str("default_membership_approval_mode")
        members_create = create.get_child("allow_non_admin_sub_group_creation") is not None
        group.community = Community(approval, members_create)
        announcements = Group(str(next(_NUMBERS)), group.subject, creator=me, announce=True)
        announcements.members = dict(group.members)
        announcements.parent, announcements.is_announcements = group.id, True
        universe.groups[announcements.id] = announcements
    return group


async def _of_everyone(connection: "Connection", query: Node) -> list[Node] | None:
    universe = connection.universe
    assert connection.account
    me = connection.account.phone
    if query.get_child("participating"):
        mine = [g.node(universe) for g in universe.groups.values() if me in g.members]
        return [Node("groups", {}, mine)]
    if leave := query.get_child("leave"):
        for node in leave.get_children("group"):
            universe.groups[jid_in(node, "id").user].members.pop(me, None)
        for node in leave.get_children("community"):
            communities.leave(universe, jid_in(node, "id").user, me)
        return [leave]
    if invite := query.get_child("invite"):
        return await _invited(connection, query, invite.get_str("code"))
    return None


async def _invited(connection: "Connection", query: Node, code: str) -> list[Node]:
    """Shows the group of a code, or has the account join it or ask to."""
    universe = connection.universe
    assert connection.account
    group = next((g for g in universe.groups.values() if g.code == code), None)
    if group is None:
        return [Node("error", {"code": "406", "text": "not-acceptable"})]
    if query.get_str("type") == "get":
        return [group.node(universe)]
    jid = JID(group.id, GROUP)
    if group.approves:
        await joining.ask(universe, group, connection.account.phone)
        return [Node("membership_approval_request", {"jid": jid})]
    group.members[connection.account.phone] = False
    return [Node("group", {"jid": jid})]


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
                group.code = f"INVITE{next(_CODES)}"
            return [Node("invite", {"code": group.code})]
        case "add" | "remove" | "promote" | "demote":
            return [
                Node(child.tag, {}, [_change(group, child.tag, p) for p in child.get_children()])
            ]
        case tag:
            universe.unknown[f"w:g2 {tag}"] += 1
    return None


def _change(group: Group, action: str, participant: Node) -> Node:
    jid = jid_in(participant, "jid")
    phone = jid.user
    if action == "remove":
        group.members.pop(phone, None)
    else:
        group.members[phone] = action == "promote"
    return Node("participant", {"jid": jid})


_ELSEWHERE: dict[str, Callable[["Connection", Group, Node], Awaitable[list[Node] | None]]] = {
    "membership_approval_mode": joining.set_approval,
    "member_add_mode": joining.set_adding,
    "membership_approval_requests": joining.requests,
    "membership_requests_action": joining.decide,
    "sub_groups": communities.sub_groups,
    "linked_groups_participants": communities.participants,
    "links": communities.link,
    "unlink": communities.unlink,
    "delete_parent": communities.deactivate,
    "allow_non_admin_sub_group_creation": communities.allow_groups,
    "not_allow_non_admin_sub_group_creation": communities.allow_groups,
}
