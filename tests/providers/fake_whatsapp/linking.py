"""Links a device, by a QR code that a phone scans or a code typed on the phone."""

import base64
import hashlib
import secrets
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pywhats.binary import Node
from pywhats.events import JID

from tests.providers.fake_whatsapp.accounts import SERVER, Account, Device
from tests.providers.fake_whatsapp.noise import agree, public_of

if TYPE_CHECKING:
    from tests.providers.fake_whatsapp.websocket import Connection

_CODES = 6
_ROUNDS = 2 << 16


async def offer(connection: "Connection") -> None:
    """Sends a client the references of six codes."""
    references = [f"2@{base64.b64encode(secrets.token_bytes(32)).decode()}" for _ in range(_CODES)]
    for reference in references:
        connection.universe.waiting[reference] = connection
    nodes = [Node("ref", {}, reference.encode()) for reference in references]
    await connection.send(_query("pair-1", Node("pair-device", {}, nodes)))


async def scan(connection: "Connection", account: Account, shown: str) -> None:
    """Links the device that shows this QR code to a phone."""
    _, _noise, identity, secret = shown.split(",")[:4]
    await _link(connection, account, base64.b64decode(identity), base64.b64decode(secret))


async def hello(connection: "Connection", node: Node) -> None:
    """Handles both stages of a client that links by a typed code."""
    request = node.get_child("link_code_companion_reg")
    assert request
    if request.get_str("stage") == "companion_hello":
        wrapped = request.get_child("link_code_pairing_wrapped_companion_ephemeral_pub")
        assert wrapped
        waiting = _Typing(connection, wrapped.content_bytes())
        _TYPING[request.get_str("jid").partition("@")[0]] = waiting
        reference = Node("link_code_pairing_ref", {}, b"ref")
        await _answer(connection, node, [Node("link_code_companion_reg", {}, [reference])])
        return
    await _answer(connection, node, None)
    bundle = request.get_child("link_code_pairing_wrapped_key_bundle")
    assert bundle
    waiting = next(w for w in _TYPING.values() if w.connection is connection)
    identity, secret = waiting.open(bundle.content_bytes())
    await _link(connection, waiting.account, identity, secret)


async def type_code(account: Account, code: str) -> bool:
    """Links by a typed code; returns False if no client waits for one."""
    waiting = _TYPING.get(account.phone)
    if waiting is None:
        return False
    await waiting.type(account, code.replace("-", ""))
    return True


def forget(connection: "Connection") -> None:
    universe = connection.universe
    universe.waiting = {r: c for r, c in universe.waiting.items() if c is not connection}
    for phone in [p for p, waiting in _TYPING.items() if waiting.connection is connection]:
        del _TYPING[phone]


async def signed(connection: "Connection", node: Node) -> None:
    """Handles the client's confirmation of the link, and has it log in."""
    if any(child.tag == "pair-device-sign" for child in node.get_children()):
        await connection.send(Node("stream:error", {"code": "515"}))


class _Typing:
    """The phone's half of linking by a code."""

    account: Account

    def __init__(self, connection: "Connection", wrapped: bytes) -> None:
        self.connection, self._wrapped = connection, wrapped
        self._ephemeral = X25519PrivateKey.generate()

    async def type(self, account: Account, code: str) -> None:
        self.account = account
        salt, vector = self._wrapped[:32], self._wrapped[32:48]
        self._theirs = _counter_mode(_stretch(code, salt), vector, self._wrapped[48:80])
        salt, vector = secrets.token_bytes(32), secrets.token_bytes(16)
        wrapped = _counter_mode(_stretch(code, salt), vector, public_of(self._ephemeral))
        fields = {
            "link_code_pairing_wrapped_primary_ephemeral_pub": salt + vector + wrapped,
            "primary_identity_pub": public_of(account.key),
            "link_code_pairing_ref": b"ref",
        }
        nodes = [Node(tag, {}, content) for tag, content in fields.items()]
        told = Node("link_code_companion_reg", {"stage": "primary_hello"}, nodes)
        attributes = {"from": SERVER, "type": "link_code_companion_reg", "id": "code-1"}
        await self.connection.send(Node("notification", dict(attributes), [told]))

    def open(self, bundle: bytes) -> tuple[bytes, bytes]:
        """Returns the client's identity, and the secret that both sides derive."""
        shared = agree(self._ephemeral, self._theirs)
        key = _derive(shared, bundle[:32], b"link_code_pairing_key_bundle_encryption_key")
        plain = AESGCM(key).decrypt(bundle[32:44], bundle[44:], None)
        identity, random = plain[:32], plain[64:96]
        both = shared + agree(self.account.key, identity) + random
        return identity, _derive(both, None, b"adv_secret")


_TYPING: dict[str, _Typing] = {}


async def _link(connection: "Connection", account: Account, identity: bytes, secret: bytes) -> None:
    number = max(account.devices) + 1
    account.devices[number] = Device()
    nodes = [
        Node("device-identity", {}, account.sign_device(number, identity, secret)),
        Node("biz", {"name": ""}),
        Node("platform", {"name": "android"}),
        Node(
            "device",
            {"jid": JID(account.phone, device=number), "lid": JID(account.lid, "lid", number)},
        ),
    ]
    await connection.send(_query("pair-2", Node("pair-success", {}, nodes)))


def _query(number: str, child: Node) -> Node:
    return Node("iq", {"from": SERVER, "type": "set", "id": number, "xmlns": "md"}, [child])


async def _answer(connection: "Connection", node: Node, nodes: list[Node] | None) -> None:
    attributes = {"from": SERVER, "type": "result", "id": node.get_str("id")}
    await connection.send(Node("iq", dict(attributes), nodes))


def _stretch(code: str, salt: bytes) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", code.encode(), salt, _ROUNDS, 32)


def _counter_mode(key: bytes, vector: bytes, data: bytes) -> bytes:
    return Cipher(algorithms.AES(key), modes.CTR(vector)).encryptor().update(data)


def _derive(material: bytes, salt: bytes | None, purpose: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt, purpose).derive(material)
