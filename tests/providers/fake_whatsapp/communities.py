"""Communities, and the groups that belong to them."""

from typing import TYPE_CHECKING

from pywhats.binary import Node
from pywhats.binary.node import AttrValue
from pywhats.events import JID

from tests.providers.fake_whatsapp.accounts import Universe
from tests.providers.fake_whatsapp.stanzas import jid_in

if TYPE_CHECKING:
    from tests.providers.fake_whatsapp.groups import Group
    from tests.providers.fake_whatsapp.websocket import Connection


def groups_of(universe: Universe, community: str) -> "list[Group]":
    return [group for group in universe.groups.values() if group.parent == community]


async def sub_groups(connection: "Connection", group: "Group", _asked: Node) -> list[Node]:
    found = []
    for each in groups_of(connection.universe, group.id):
        attributes: dict[str, AttrValue] = {
            "id": each.id,
            "subject": each.subject,
            "s_t": str(each.created),
            "creation": str(each.created),
            "creator": JID(each.creator),
            "size": str(len(each.members)),
        }
        content = [Node("default_sub_group")] if each.is_announcements else []
        found.append(Node("group", attributes, content))
    return [Node("sub_groups", {}, found)]


async def participants(connection: "Connection", group: "Group", _asked: Node) -> list[Node]:
    members = {m for g in groups_of(connection.universe, group.id) for m in g.members}
    people = [Node("participant", {"jid": JID(member)}) for member in sorted(members)]
    return [Node("linked_groups_participants", {}, people)]


async def link(connection: "Connection", group: "Group", asked: Node) -> list[Node]:
    linked = [node for each in asked.get_children("link") for node in each.get_children("group")]
    for node in linked:
        connection.universe.groups[jid_in(node, "jid").user].parent = group.id
    return [asked]


async def unlink(connection: "Connection", _group: "Group", asked: Node) -> list[Node]:
    for node in asked.get_children("group"):
        connection.universe.groups[jid_in(node, "jid").user].parent = None
    return [asked]


async def deactivate(connection: "Connection", group: "Group", _asked: Node) -> list[Node] | None:
    """Ends a community; its groups go on without it."""
    assert connection.account
    if connection.account.phone != group.creator:
        return [Node("error", {"code": "403", "text": "forbidden"})]
    for each in groups_of(connection.universe, group.id):
        each.parent = None
        if each.is_announcements:
            del connection.universe.groups[each.id]
    del connection.universe.groups[group.id]
    return None


async def allow_groups(_connection: "Connection", group: "Group", asked: Node) -> list[Node] | None:
    if group.community is None:
        return [Node("error", {"code": "400", "text": "bad-request"})]
    group.community.members_create_groups = asked.tag.startswith("allow")
    return None


def leave(universe: Universe, community: str, phone: str) -> None:
    for group in (universe.groups[community], *groups_of(universe, community)):
        group.members.pop(phone, None)
