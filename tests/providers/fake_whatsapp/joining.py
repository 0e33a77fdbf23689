"""Requests to join a group whose administrators decide who does."""

from typing import TYPE_CHECKING

from pywhats.binary import Node
from pywhats.binary.node import AttrValue
from pywhats.events import JID

from tests.providers.fake_whatsapp.accounts import GROUP, Universe
from tests.providers.fake_whatsapp.stanzas import jid_in, now

if TYPE_CHECKING:
    from tests.providers.fake_whatsapp.groups import Group
    from tests.providers.fake_whatsapp.websocket import Connection


async def ask(universe: Universe, group: "Group", phone: str) -> None:
    """Stores a request, and tells the administrators."""
    if phone not in group.requests:
        group.requests.append(phone)
    user = Node("requested_user", {"jid": JID(phone)})
    created = Node("created_membership_requests", {"request_method": "invite_link"}, [user])
    admins = [member for member, is_admin in group.members.items() if is_admin]
    await tell(universe, group, phone, created, admins)


async def set_approval(_connection: "Connection", group: "Group", asked: Node) -> None:
    mode = asked.get_child("group_join")
    group.approves = mode is not None and mode.get_str("state") == "on"


async def set_adding(_connection: "Connection", group: "Group", asked: Node) -> None:
    group.everyone_adds = asked.content_bytes() == b"all_member_add"


async def requests(_connection: "Connection", group: "Group", _asked: Node) -> list[Node]:
    about: dict[str, AttrValue] = {"request_method": "invite_link", "request_time": now()}
    waiting = [
        Node("membership_approval_request", about | {"jid": JID(phone)}) for phone in group.requests
    ]
    return [Node("membership_approval_requests", {}, waiting)]


async def decide(connection: "Connection", group: "Group", asked: Node) -> list[Node]:
    """Approves or rejects requests; each person that asked nothing is answered 404."""
    assert connection.account
    if not group.members.get(connection.account.phone):
        return [Node("error", {"code": "403", "text": "forbidden"})]
    action = asked.get_children()[0]
    decided = []
    for participant in action.get_children("participant"):
        jid = jid_in(participant, "jid")
        account = connection.universe.find(jid)
        if account is None or account.phone not in group.requests:
            decided.append(Node("participant", {"jid": jid, "error": "404"}))
            continue
        group.requests.remove(account.phone)
        decided.append(Node("participant", {"jid": jid}))
        if action.tag == "approve":
            group.members[account.phone] = False
            added = Node("add", {}, [Node("participant", {"jid": JID(account.phone)})])
            by = connection.account.phone
            await tell(connection.universe, group, by, added, list(group.members))
    return [Node(asked.tag, {}, [Node(action.tag, {}, decided)])]


async def tell(
    universe: Universe, group: "Group", by: str, change: Node, members: list[str]
) -> None:
    attributes: dict[str, AttrValue] = {
        "from": JID(group.id, GROUP),
        "id": f"group {change.tag} {now()}",
        "type": "w:gp2",
        "participant": JID(by),
        "t": now(),
    }
    for member in members:
        for device in universe.connections(member):
            await device.send(Node("notification", attributes, [change]))
