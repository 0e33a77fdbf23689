"""Channels, which clients call newsletters: queries in JSON inside a stanza (`w:mex`)."""

import itertools
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pywhats.binary import Node

from tests.providers.fake_whatsapp.accounts import HIDDEN, PERSON, Universe

if TYPE_CHECKING:
    from tests.providers.fake_whatsapp.websocket import Connection

CHANNEL = "newsletter"
Fields = dict[str, Any]
_NUMBERS = itertools.count(120363400000000001)


@dataclass
class Channel:
    """A channel; people are phones."""

    id: str
    owner: str
    name: str
    description: str
    picture: str = ""
    reactions: str = "ALL"
    admins: set[str] = field(default_factory=set)
    followers: set[str] = field(default_factory=set)
    muted: set[str] = field(default_factory=set)
    created: int = field(default_factory=lambda: int(time.time()))
    messages: int = 0

    def role_of(self, phone: str) -> str:
        if phone == self.owner:
            return "OWNER"
        if phone in self.admins:
            return "ADMIN"
        return "SUBSCRIBER" if phone in self.followers else "GUEST"

    def metadata(self, phone: str) -> Fields:
        def text(value: str) -> Fields:
            return {"id": "1", "text": value, "update_time": str(self.created * 1_000_000)}

        picture = {"id": "1", "type": "IMAGE", "direct_path": "/p", "url": ""}
        return {
            "id": f"{self.id}@{CHANNEL}",
            "state": {"type": "ACTIVE"},
            "thread_metadata": {
                "creation_time": str(self.created),
                "name": text(self.name),
                "description": text(self.description),
                "handle": None,
                "invite": f"INVITE{self.id}",
                "picture": picture,
                "preview": picture,
                "settings": {"reaction_codes": {"value": self.reactions}},
                "subscribers_count": str(len(self.followers)),
                "verification": "UNVERIFIED",
            },
            "viewer_metadata": {
                "mute": "ON" if phone in self.muted else "OFF",
                "role": self.role_of(phone),
            },
        }


class _Refused(Exception):
    """The query is answered with this code."""


async def answer(connection: "Connection", query: Node) -> list[Node]:
    asked = query.get_child("query")
    assert asked
    assert connection.account
    number = asked.get_str("query_id")
    if number not in _QUERIES:
        connection.universe.unknown[f"w:mex {number}"] += 1
        return [Node("error", {"code": "400", "text": "bad-request"})]
    path, run = _QUERIES[number]
    variables = json.loads(asked.content_bytes())["variables"]
    try:
        found: Fields = {
            "data": {path: run(connection.universe, connection.account.phone, variables)}
        }
    except _Refused as refused:
        code = int(str(refused))
        problem = {"message": "refused", "path": [path], "extensions": {"error_code": code}}
        found = {"data": None, "errors": [problem]}
    return [Node("result", {}, json.dumps(found).encode())]


def channel_of(universe: Universe, text: str) -> Channel:
    found = universe.channels.get(text.partition("@")[0])
    if found is None:
        raise _Refused("404")
    return found


def _owned(universe: Universe, phone: str, given: Fields) -> Channel:
    channel = channel_of(universe, given["newsletter_id"])
    if channel.owner != phone:
        raise _Refused("403")
    return channel


def _create(universe: Universe, phone: str, given: Fields) -> Fields:
    wanted = given.get("input") or given["newsletter_input"]
    number = str(next(_NUMBERS))
    channel = Channel(number, phone, wanted["name"], wanted.get("description") or "")
    universe.channels[number] = channel
    return channel.metadata(phone)


def _read(universe: Universe, phone: str, given: Fields) -> Fields:
    return channel_of(universe, given["input"]["key"].removeprefix("INVITE")).metadata(phone)


def _followed(universe: Universe, phone: str, _given: Fields) -> list[Fields]:
    own = ("OWNER", "ADMIN", "SUBSCRIBER")
    return [c.metadata(phone) for c in universe.channels.values() if c.role_of(phone) in own]


def _update(universe: Universe, phone: str, given: Fields) -> Fields:
    channel, changes = _owned(universe, phone, given), given["updates"]
    for name in ("name", "description", "picture"):
        if changes.get(name) is not None:
            setattr(channel, name, changes[name])
    if settings := changes.get("settings"):
        channel.reactions = settings["reaction_codes"]["value"]
    return channel.metadata(phone)


def _delete(universe: Universe, phone: str, given: Fields) -> Fields:
    del universe.channels[_owned(universe, phone, given).id]
    return {"id": given["newsletter_id"]}


def _demote(universe: Universe, phone: str, given: Fields) -> Fields:
    channel, user = _owned(universe, phone, given), _phone_of(universe, given["user_id"])
    if user not in channel.admins:
        raise _Refused("404")
    channel.admins.discard(user)
    channel.followers.add(user)
    return {"id": given["newsletter_id"]}


def _change_owner(universe: Universe, phone: str, given: Fields) -> Fields:
    channel, user = _owned(universe, phone, given), _phone_of(universe, given["user_id"])
    if user not in channel.admins:
        raise _Refused("409")  # only an administrator can become the owner
    channel.admins = (channel.admins | {phone}) - {user}
    channel.owner = user
    return {"id": given["newsletter_id"]}


def _change(name: str, *, add: bool) -> "_Query":
    def run(universe: Universe, phone: str, given: Fields) -> Fields:
        people: set[str] = getattr(channel_of(universe, given["newsletter_id"]), name)
        (people.add if add else people.discard)(phone)
        return {"id": given["newsletter_id"]}

    return run


def _admin_count(universe: Universe, _phone: str, given: Fields) -> Fields:
    return {"admin_count": len(channel_of(universe, given["newsletter_id"]).admins) + 1}


def _phone_of(universe: Universe, text: str) -> str:
    user, _, server = text.partition("@")
    assert server in {PERSON, HIDDEN}
    if server == HIDDEN:
        return next((a.phone for a in universe.accounts.values() if a.lid == user), user)
    return user


_Query = Callable[[Universe, str, Fields], Any]
_FOLLOW, _UNFOLLOW = _change("followers", add=True), _change("followers", add=False)
_MUTE, _UNMUTE = _change("muted", add=True), _change("muted", add=False)
_QUERIES: dict[str, tuple[str, _Query]] = {
    # Both implementations
    "6563316087068696": ("xwa2_newsletter", _read),
    # Baileys
    "8823471724422422": ("xwa2_newsletter_create", _create),
    "24250201037901610": ("xwa2_newsletter_update", _update),
    "24404358912487870": ("xwa2_newsletter_join_v2", _FOLLOW),
    "9767147403369991": ("xwa2_newsletter_leave_v2", _UNFOLLOW),
    "29766401636284406": ("xwa2_newsletter_mute_v2", _MUTE),
    "9864994326891137": ("xwa2_newsletter_unmute_v2", _UNMUTE),
    "7130823597031706": ("xwa2_newsletter_admin", _admin_count),
    "7341777602580933": ("xwa2_newsletter_change_owner", _change_owner),
    "6551828931592903": ("xwa2_newsletter_demote", _demote),
    "30062808666639665": ("xwa2_newsletter_delete_v2", _delete),
    # whatsmeow
    "6234210096708695": ("xwa2_newsletter_create", _create),
    "6388546374527196": ("xwa2_newsletter_subscribed", _followed),
    "9926858900719341": ("xwa2_newsletter_join_v2", _FOLLOW),
    "6392786840836363": ("xwa2_newsletter_leave_v2", _UNFOLLOW),
    "6274038279359549": ("xwa2_newsletter_mute_v2", _MUTE),
    "6068417879924485": ("xwa2_newsletter_unmute_v2", _UNMUTE),
}
