"""App state: the contacts and the settings of chats that the devices of an account share.

Devices encrypt it with a key of the phone's. This server is also the phone: it reads what they
write, checks their hashes as another device would, and can write itself.
"""

import hmac
import json
import secrets
import time
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from google.protobuf.json_format import MessageToDict, ParseDict
from neonize.proto.waServerSync.WAServerSync_pb2 import SyncdMutation, SyncdPatch
from neonize.proto.waSyncAction.WAWebProtobufSyncAction_pb2 import SyncActionData
from pywhats.appstate.crypto import (
    aes_cbc_decrypt,
    expand_app_state_keys,
    generate_content_mac,
)
from pywhats.appstate.lthash import subtract_then_add
from pywhats.binary import Node
from pywhats.binary.node import AttrValue

if TYPE_CHECKING:
    from tests.providers.fake_whatsapp.accounts import Account
    from tests.providers.fake_whatsapp.websocket import Connection

_MAC_BYTES = 32
_EMPTY_HASH = bytes(128)
_BLOCK_BITS = 128
COLLECTIONS = (
    "critical_block",
    "critical_unblock_low",
    "regular_high",
    "regular_low",
    "regular",
)


@dataclass
class Collection:
    """One collection: its patches in order, and the hash of what they lead to."""

    patches: list[bytes] = field(default_factory=list)
    hash: bytes = _EMPTY_HASH
    macs: dict[bytes, bytes] = field(default_factory=dict)
    """The code of each value, by the code of its index."""

    @property
    def version(self) -> int:
        return len(self.patches)


class AppState:
    """The app state of one account."""

    def __init__(self) -> None:
        self.key_id, self.key_data = b"\0\0" + secrets.token_bytes(4), secrets.token_bytes(32)
        self._keys = expand_app_state_keys(self.key_data)
        self.collections = {name: Collection() for name in COLLECTIONS}
        self.values: dict[str, dict[str, Any]] = {}
        """Each value, by its index as JSON; removed ones are absent."""
        self.rivals: list[tuple[str, list[str], dict[str, Any]]] = []
        """What the phone writes just before the next patches of devices arrive."""

    def accept(self, name: str, content: bytes) -> None:
        """Applies the patch of a device; raises AssertionError if its codes are wrong."""
        patch = SyncdPatch.FromString(content)
        collection = self.collections[name]
        version = collection.version + 1
        after = self._hash_after(collection, patch)
        assert patch.snapshotMAC == self._snapshot_mac(after, version, name)
        assert patch.patchMAC == self._patch_mac(patch, version, name)
        for mutation in patch.mutations:
            self._apply(collection, mutation)
        collection.hash = after
        patch.version.version = version
        collection.patches.append(patch.SerializeToString())

    def write(self, name: str, index: list[str], value: dict[str, Any]) -> None:
        """Writes a value as the phone."""
        data = SyncActionData(index=json.dumps(index).encode(), padding=b"", version=2)
        ParseDict(value, data.value)
        data.value.timestamp = int(time.time() * 1000)
        mutation = SyncdMutation(operation=SyncdMutation.SET)
        mutation.record.keyID.ID = self.key_id
        mutation.record.index.blob = hmac.digest(self._keys.index, data.index, "sha256")
        sealed = self._sealed(data.SerializeToString())
        mutation.record.value.blob = sealed + self._value_mac(mutation.operation, sealed)
        patch = SyncdPatch(mutations=[mutation])
        patch.keyID.ID = self.key_id
        collection = self.collections[name]
        version = collection.version + 1
        patch.snapshotMAC = self._snapshot_mac(self._hash_after(collection, patch), version, name)
        patch.patchMAC = self._patch_mac(patch, version, name)
        self.accept(name, patch.SerializeToString())

    def _apply(self, collection: Collection, mutation: SyncdMutation) -> None:
        record = mutation.record
        sealed, mac = record.value.blob[:-_MAC_BYTES], record.value.blob[-_MAC_BYTES:]
        assert mac == self._value_mac(mutation.operation, sealed)
        data = SyncActionData.FromString(aes_cbc_decrypt(self._keys.value_encryption, sealed))
        assert record.index.blob == hmac.digest(self._keys.index, data.index, "sha256")
        name = data.index.decode()
        if mutation.operation == SyncdMutation.SET:
            collection.macs[record.index.blob] = mac
            self.values[json.dumps(json.loads(name))] = MessageToDict(data.value)
        else:
            collection.macs.pop(record.index.blob, None)
            self.values.pop(json.dumps(json.loads(name)), None)

    def _hash_after(self, collection: Collection, patch: SyncdPatch) -> bytes:
        macs, added, removed = dict(collection.macs), [], []
        for mutation in patch.mutations:
            index = mutation.record.index.blob
            if (replaced := macs.pop(index, None)) is not None:
                removed.append(replaced)
            if mutation.operation == SyncdMutation.SET:
                macs[index] = mutation.record.value.blob[-_MAC_BYTES:]
                added.append(macs[index])
        after: bytes = subtract_then_add(collection.hash, added=added, removed=removed)
        return after

    def _sealed(self, plain: bytes) -> bytes:
        vector = secrets.token_bytes(16)
        padder = PKCS7(_BLOCK_BITS).padder()
        padded = padder.update(plain) + padder.finalize()
        cipher = Cipher(algorithms.AES(self._keys.value_encryption), modes.CBC(vector)).encryptor()
        return vector + cipher.update(padded) + cipher.finalize()

    def _value_mac(self, operation: int, sealed: bytes) -> bytes:
        mac: bytes = generate_content_mac(
            operation=operation,
            data=sealed,
            key_id=self.key_id,
            value_mac_key=self._keys.value_mac,
        )
        return mac

    def _snapshot_mac(self, after: bytes, version: int, name: str) -> bytes:
        said = after + version.to_bytes(8, "big") + name.encode()
        return hmac.digest(self._keys.snapshot_mac, said, "sha256")

    def _patch_mac(self, patch: SyncdPatch, version: int, name: str) -> bytes:
        code = hmac.new(self._keys.patch_mac, patch.snapshotMAC, sha256)
        for mutation in patch.mutations:
            code.update(mutation.record.value.blob[-_MAC_BYTES:])
        code.update(version.to_bytes(8, "big") + name.encode())
        return code.digest()


async def answer(connection: "Connection", query: Node) -> list[Node]:
    """Takes the patches of a device, and returns those that it does not have."""
    sync, account = query.get_child("sync"), connection.account
    assert sync
    assert account
    found, changed = [], []
    for asked in sync.get_children("collection"):
        found.append(_answer(account.app_state, asked))
        if asked.get_child("patch") and found[-1].get_str("type") != "error":
            changed.append(asked.get_str("name"))
    for name in changed:
        await tell(connection.universe.connections(account.phone), account, name, by=connection)
    return [Node("sync", {}, found)]


def _answer(state: AppState, asked: Node) -> Node:
    name, version = asked.get_str("name"), int(asked.get_str("version") or 0)
    collection, patch = state.collections[name], asked.get_child("patch")
    if patch and state.rivals:
        state.write(*state.rivals.pop(0))
    attributes: dict[str, AttrValue] = {"name": name, "type": "result"}
    if patch and version == collection.version:
        state.accept(name, patch.content_bytes())
        return Node("collection", attributes | {"version": str(collection.version)})
    newer = [Node("patch", {}, each) for each in collection.patches[version:]]
    content = [Node("patches", {}, newer)] if newer else []
    if patch:  # the device has to apply what it lacks, and send its patch again
        attributes["type"] = "error"
        content.append(Node("error", {"code": "409", "text": "conflict"}))
    return Node("collection", attributes | {"version": str(collection.version)}, content)


async def tell(
    devices: "list[Connection]", account: "Account", name: str, by: "Connection | None" = None
) -> None:
    """Notifies the other devices of an account that a collection changed."""
    version = str(account.app_state.collections[name].version)
    changed = Node("collection", {"name": name, "version": version})
    for device in devices:
        if device is not by:
            await device.notify("server_sync", changed)
