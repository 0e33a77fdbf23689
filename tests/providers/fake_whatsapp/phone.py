"""The phone of an account: it encrypts messages to the devices that it linked."""

import hmac
import secrets
import time
import zlib
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.padding import PKCS7
from google.protobuf.json_format import ParseDict
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import HistorySyncType, Message
from neonize.proto.waHistorySync.WAWebProtobufsHistorySync_pb2 import HistorySync
from pywhats.binary import Node
from pywhats.events import JID
from pywhats.messaging.padding import pad_random_max16
from pywhats.signal.experimental.keys import IdentityKeyPair, PreKeyBundle
from pywhats.signal.experimental.ratchet import ratchet_encrypt, ratchet_init_alice
from pywhats.signal.experimental.types import PreKeySignalMessage, SignalMessage
from pywhats.signal.experimental.x3dh import x3dh_initiator

from tests.providers.fake_whatsapp.accounts import Account, Device
from tests.providers.fake_whatsapp.noise import public_of

_REGISTRATION = 1
_HISTORY_KEYS = b"WhatsApp History Keys"
_BLOCK_BITS = 128
_MAC_BYTES = 10


def key_share(account: Account, device: Device) -> Node:
    """Returns the message that gives a linked device the key of the account's app state."""
    state = account.app_state
    message = Message()
    share = message.protocolMessage
    share.type = share.APP_STATE_SYNC_KEY_SHARE
    key = share.appStateSyncKeyShare.keys.add()
    key.keyID.keyID = state.key_id
    key.keyData.keyData = state.key_data
    key.keyData.timestamp = int(time.time() * 1000)
    key.keyData.fingerprint.rawID = 1
    key.keyData.fingerprint.currentIndex = 0
    key.keyData.fingerprint.deviceIndexes.append(0)
    return _peer_message(account, device, message)


def history(
    account: Account, device: Device, synchronised: Mapping[str, Any], files: dict[str, bytes]
) -> Node:
    """Puts a history into *files*, and returns the message that tells a device where it is."""
    content = ParseDict(dict(synchronised), HistorySync()).SerializeToString()
    packed = zlib.compress(content)
    key = secrets.token_bytes(32)
    sealed = _sealed(packed, HKDF(hashes.SHA256(), 112, None, _HISTORY_KEYS).derive(key))
    token = secrets.token_hex(8)
    files[token] = sealed
    message = Message()
    notification = message.protocolMessage.historySyncNotification
    message.protocolMessage.type = message.protocolMessage.HISTORY_SYNC_NOTIFICATION
    notification.fileSHA256 = sha256(packed).digest()
    notification.fileLength = len(packed)
    notification.mediaKey = key
    notification.fileEncSHA256 = sha256(sealed).digest()
    notification.directPath = f"/v/{token}?token=1"
    notification.syncType = HistorySyncType.Value("INITIAL_BOOTSTRAP")
    notification.chunkOrder = 1
    notification.progress = 100
    return _peer_message(account, device, message)


def _sealed(plain: bytes, keys: bytes) -> bytes:
    """Encrypts a file as WhatsApp does; *keys* are its vector, its key and that of its code."""
    vector, key, mac_key = keys[:16], keys[16:48], keys[48:80]
    padder = PKCS7(_BLOCK_BITS).padder()
    padded = padder.update(plain) + padder.finalize()
    cipher = Cipher(algorithms.AES(key), modes.CBC(vector)).encryptor()
    sealed = cipher.update(padded) + cipher.finalize()
    return sealed + hmac.digest(mac_key, vector + sealed, "sha256")[:_MAC_BYTES]


def _peer_message(account: Account, device: Device, message: Message) -> Node:
    content = _encrypted(account, device, pad_random_max16(message.SerializeToString()))
    return Node(
        "message",
        {
            "from": JID(account.phone),
            "id": f"3EB0{secrets.token_hex(8).upper()}",
            "t": str(int(time.time())),
            "type": "text",
            "category": "peer",
        },
        [Node("enc", {"v": "2", "type": "pkmsg"}, content)],
    )


def _encrypted(account: Account, device: Device, plain: bytes) -> bytes:
    """Begins a session with the device's keys; each message of the phone begins its own."""
    own = IdentityKeyPair(account.key.private_bytes_raw(), public_of(account.key))
    bundle = _bundle(device)
    agreed = x3dh_initiator(own, bundle)
    ratchet = ratchet_init_alice(agreed.shared_secret, bundle.signed_pre_key_public)
    header, cipher, mac_key = ratchet_encrypt(ratchet, plain, agreed.associated_data)
    message = PreKeySignalMessage(
        registration_id=_REGISTRATION,
        one_time_pre_key_id=bundle.one_time_pre_key_id,
        signed_pre_key_id=bundle.signed_pre_key_id,
        base_key=agreed.ephemeral_public,
        identity_key=own.public,
        message=SignalMessage(header, cipher),
    )
    return bytes(message.encode(own.public, bundle.identity_key, mac_key))


def _bundle(device: Device) -> PreKeyBundle:
    named = {node.tag: node for node in device.keys}
    number, public = _key(named["skey"])
    once_number, once = _key(device.once.pop(0))
    return PreKeyBundle(
        identity_key=named["identity"].content_bytes(),
        signed_pre_key_id=number,
        signed_pre_key_public=public,
        signed_pre_key_signature=_part(named["skey"], "signature"),
        one_time_pre_key_id=once_number,
        one_time_pre_key_public=once,
    )


def _key(node: Node) -> tuple[int, bytes]:
    return int.from_bytes(_part(node, "id"), "big"), _part(node, "value")


def _part(node: Node, name: str) -> bytes:
    child = node.get_child(name)
    assert child
    return bytes(child.content_bytes())
