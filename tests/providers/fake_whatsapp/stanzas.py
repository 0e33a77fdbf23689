"""What is read from stanzas everywhere."""

import time
from typing import Any

from pywhats.binary import Node
from pywhats.events import JID


def now() -> str:
    return str(int(time.time()))


def jid_in(node: Node, name: str) -> JID:
    value = node.attrs[name]
    return value if isinstance(value, JID) else JID("", str(value))


def outline(node: Node) -> dict[str, Any]:
    """Returns a node as JSON, without its content."""
    return {
        "tag": node.tag,
        "attrs": {name: str(value) for name, value in node.attrs.items()},
        "nodes": [outline(child) for child in node.get_children()],
    }
