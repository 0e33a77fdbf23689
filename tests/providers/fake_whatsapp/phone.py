"""The phone of an account: it encrypts messages to the devices that it linked."""

import secrets
import time

from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import Message
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
