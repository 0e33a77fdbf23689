"""Who may see what of an account, and the people that it reported."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pywhats.binary import Node
from pywhats.events import JID

from tests.providers.fake_whatsapp.stanzas import jid_in

if TYPE_CHECKING:
    from tests.providers.fake_whatsapp.websocket import Connection

_NAMES = ("groupadd", "last", "status", "profile", "readreceipts", "online", "calladd")
_EXCEPT = "contact_blacklist"


@dataclass
class Privacy:
    """The settings of an account; `disallowed` has the phones that one of them excepts."""

    values: dict[str, str] = field(default_factory=lambda: dict.fromkeys(_NAMES, "all"))
    disallowed: dict[str, list[str]] = field(default_factory=dict)
    reported: list[str] = field(default_factory=list)


async def answer(connection: "Connection", query: Node) -> list[Node] | None:
    asked = query.get_child("privacy")
    if asked is None:
        return None  # it hands over tokens, by which others may see more
    assert connection.account
    own = connection.account.privacy
    if listed := asked.get_child("list"):
        name = listed.get_str("name")
        people = [Node("user", {"jid": JID(phone)}) for phone in own.disallowed.get(name, ())]
        found = Node("list", {"name": name, "value": _EXCEPT, "dhash": _hash(own, name)}, people)
        return [Node("privacy", {}, [found])]
    changed = asked.get_children("category") if query.get_str("type") == "set" else []
    for category in changed:
        name = category.get_str("name")
        own.values[name] = category.get_str("value")
        if own.values[name] == _EXCEPT:
            own.disallowed[name] = _people(connection, own, category)
    names = [category.get_str("name") for category in changed] or own.values
    kinds = [Node("category", {"name": name, "value": own.values[name]}) for name in names]
    return [Node("privacy", {}, kinds)]


def _people(connection: "Connection", own: Privacy, category: Node) -> list[str]:
    people = list(own.disallowed.get(category.get_str("name"), ()))
    for user in category.get_children("user"):
        account = connection.universe.find(jid_in(user, "jid"))
        phone = account.phone if account else jid_in(user, "jid").user
        if user.get_str("action") == "remove":
            people.remove(phone)
        else:
            people.append(phone)
    return people


def _hash(own: Privacy, name: str) -> str:
    """Returns what a client has to name, so that it changes the list that it knows."""
    return str(len(own.disallowed.get(name, ())))


async def report(connection: "Connection", query: Node) -> None:
    """Stores a person that the account reports."""
    listed = query.get_child("spam_list")
    assert listed
    assert connection.account
    connection.account.privacy.reported.append(jid_in(listed, "jid").user)
