"""The accounts with their devices, and the keys that linking a device needs."""

import asyncio
import hmac
import secrets
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from neonize.proto.waAdv.WAAdv_pb2 import (
    ADVDeviceIdentity,
    ADVSignedDeviceIdentity,
    ADVSignedDeviceIdentityHMAC,
)
from pywhats.binary import Node
from pywhats.events import JID
from pywhats.signal.experimental.keys import xeddsa_sign

from tests.providers.fake_whatsapp.app_state import AppState
from tests.providers.fake_whatsapp.business import Business
from tests.providers.fake_whatsapp.noise import Certificates, public_of
from tests.providers.fake_whatsapp.privacy import Privacy

if TYPE_CHECKING:
    from tests.providers.fake_whatsapp.channels import Channel
    from tests.providers.fake_whatsapp.groups import Group
    from tests.providers.fake_whatsapp.websocket import Connection

PERSON, HIDDEN, GROUP = "s.whatsapp.net", "lid", "g.us"
SERVER = JID("", PERSON)


@dataclass
class Device:
    """A device; `undelivered` has the messages that it has not confirmed, in order of arrival."""

    keys: list[Node] = field(default_factory=list)
    once: list[Node] = field(default_factory=list)
    undelivered: dict[str, Node] = field(default_factory=dict)
    connection: "Connection | None" = None
    has_app_state_key: bool = False


@dataclass
class Account:
    """An account: its number, its lid, and the key of its phone."""

    phone: str
    lid: str
    key: X25519PrivateKey = field(default_factory=X25519PrivateKey.generate)
    devices: dict[int, Device] = field(default_factory=dict)
    about: str = "Hey there!"
    name: str = ""
    blocked: set[str] = field(default_factory=set)
    app_state: AppState = field(default_factory=AppState)
    privacy: Privacy = field(default_factory=Privacy)
    business: Business = field(default_factory=Business)
    is_available: bool = False
    watchers: set[str] = field(default_factory=set)
    """The phones that subscribed to the presence of this one."""

    def sign_device(self, number: int, identity: bytes, secret: bytes) -> bytes:
        """Returns the signed identity of a device that the phone links, proven by the code."""
        details = ADVDeviceIdentity(
            rawID=1, timestamp=int(time.time()), keyIndex=number
        ).SerializeToString()
        signed = ADVSignedDeviceIdentity(
            details=details,
            accountSignatureKey=public_of(self.key),
            accountSignature=xeddsa_sign(
                self.key.private_bytes_raw(), b"\x06\x00" + details + identity
            ),
        ).SerializeToString()
        proven: bytes = ADVSignedDeviceIdentityHMAC(
            details=signed, HMAC=hmac.digest(secret, signed, "sha256")
        ).SerializeToString()
        return proven


@dataclass
class Sent:
    """A message that the server accepted."""

    id: str
    sender: str
    to: str
    kind: str
    extras: list[str]
    """The tags of its nodes."""
    nodes: list[dict[str, Any]]
    """Those nodes that are for the server, such as `biz`, each with its attributes and nodes."""


class Universe:
    """The state of the server."""

    def __init__(self) -> None:
        self.certificates = Certificates()
        self.accounts: dict[str, Account] = {}
        self.waiting: dict[str, Connection] = {}
        """Clients that show a QR code, by the reference in it."""
        self.typed: dict[str, Connection] = {}
        """Clients that show a pairing code, by phone."""
        self.groups: dict[str, Group] = {}
        self.channels: dict[str, Channel] = {}
        self.spellings: dict[str, str] = {}
        """Other ways to type the number of an account, each with that number."""
        self.lookups: list[str] = []
        """The numbers that were looked up, as they were typed."""
        self.sent: list[Sent] = []
        self.files: dict[str, bytes] = {}
        self.unknown: Counter[str] = Counter()
        self.logins: Counter[str] = Counter()
        self.presence: list[str] = []
        self.pictures: dict[str, str] = {}
        """The pictures that were set, by phone or group."""
        self.no_pictures: dict[str, str] = {}
        """The codes of the errors that answer for a picture, by phone."""
        self.calls: list[str] = []
        """The answers of devices to calls."""
        self.refusing = False
        """Whether new connections are refused, as when WhatsApp is out of reach."""
        self.mute = False
        """Whether queries stay unanswered, as on a connection that only seems alive."""
        self.ignored: list[str] = []
        """Namespaces of queries that stay unanswered, on a connection that is alive."""
        self.unanswered: Counter[str] = Counter()
        """Queries that were ignored, by namespace."""
        self.hold_acks = False
        """Whether messages are delivered without an answer to their sender."""
        self.may_catch_up = asyncio.Event()
        self.may_catch_up.set()
        self.lose = False
        """Whether messages are accepted and dropped."""
        self.next_fault: str | None = None
        """What becomes of the next message: the code of an error, `lose`, or `garble`."""

    @property
    def hold_offline(self) -> bool:
        """Whether devices that log in do not get what they missed yet."""
        return not self.may_catch_up.is_set()

    @hold_offline.setter
    def hold_offline(self, hold: bool) -> None:
        (self.may_catch_up.clear if hold else self.may_catch_up.set)()

    def account(self, phone: str) -> Account:
        if phone not in self.accounts:
            account = Account(phone, lid=f"9{int(phone) % 10**13:013d}")
            account.devices[0] = _phone(account)
            self.accounts[phone] = account
        return self.accounts[phone]

    def by_typed(self, phone: str) -> Account | None:
        """Returns the account of a number as a person types it: the server knows old spellings."""
        known = self.accounts.get(phone)
        return known or self.accounts.get(self.spellings.get(phone, ""))

    def find(self, jid: JID) -> Account | None:
        if jid.server == HIDDEN:
            return next((a for a in self.accounts.values() if a.lid == jid.user), None)
        return self.accounts.get(jid.user)

    def device(self, jid: JID) -> Device | None:
        account = self.find(jid)
        return account.devices.get(jid.device) if account else None

    def connections(self, phone: str | None = None) -> "list[Connection]":
        accounts = self.accounts.values() if phone is None else [self.account(phone)]
        devices = [device for account in accounts for device in account.devices.values()]
        return [device.connection for device in devices if device.connection]


def _phone(account: Account) -> Device:
    """Returns a phone with enough keys for others to encrypt to it."""
    key = X25519PrivateKey.generate()
    signature = xeddsa_sign(account.key.private_bytes_raw(), b"\x05" + public_of(key))
    signed = [
        Node("id", {}, secrets.token_bytes(3)),
        Node("value", {}, public_of(key)),
        Node("signature", {}, signature),
    ]
    return Device(
        keys=[
            Node("registration", {}, b"\0\0\0\1"),
            Node("type", {}, b"\x05"),
            Node("identity", {}, public_of(account.key)),
            Node("skey", {}, signed),
        ]
    )
