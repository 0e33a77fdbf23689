"""The server's half of the Noise handshake, XX and XXfallback, and its certificates."""

import hashlib
import struct
import time

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from neonize.proto.waCert.WACert_pb2 import CertChain
from neonize.proto.waWa6.WAWebProtobufsWa6_pb2 import ClientPayload, HandshakeMessage
from pywhats.signal.experimental.keys import xeddsa_sign

HEADER = b"WA\x06\x03"
_XX = b"Noise_XX_25519_AESGCM_SHA256\0\0\0\0"
_XX_FALLBACK = b"Noise_XXfallback_25519_AESGCM_SHA256"
_DAY_SECONDS = 86_400


def agree(key: X25519PrivateKey, public: bytes) -> bytes:
    return key.exchange(X25519PublicKey.from_public_bytes(public))


def public_of(key: X25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


def nonce(counter: int) -> bytes:
    return b"\0" * 8 + struct.pack(">I", counter)


class Certificates:
    """A chain of certificates that begins with this server's root key."""

    def __init__(self) -> None:
        self.root, self._intermediate, self.static = (X25519PrivateKey.generate() for _ in "123")
        self.chain = CertChain(
            intermediate=_certificate(self.root, self._intermediate, serial=7, issuer=0),
            leaf=_certificate(self._intermediate, self.static, serial=8, issuer=7),
        ).SerializeToString()


def _certificate(
    signer: X25519PrivateKey, key: X25519PrivateKey, *, serial: int, issuer: int
) -> CertChain.NoiseCertificate:
    details = CertChain.NoiseCertificate.Details(
        serial=serial,
        issuerSerial=issuer,
        key=public_of(key),
        notBefore=int(time.time()) - _DAY_SECONDS,
        notAfter=int(time.time()) + _DAY_SECONDS,
    ).SerializeToString()
    signature = xeddsa_sign(signer.private_bytes_raw(), details)
    return CertChain.NoiseCertificate(details=details, signature=signature)


class Handshake:
    """The handshake, from the client's first frame to a pair of ciphers."""

    def __init__(self, certificates: Certificates) -> None:
        self._certificates, self._ephemeral = certificates, X25519PrivateKey.generate()

    def answer(self, received: bytes) -> bytes:
        hello = HandshakeMessage.FromString(received).clientHello
        name = _XX_FALLBACK if hello.static else _XX
        self._hash = name if len(name) == 32 else hashlib.sha256(name).digest()
        self._chaining = self._hash
        self._key, self._counter = AESGCM(self._hash), 0
        for part in (HEADER, hello.ephemeral, public_of(self._ephemeral)):
            self._authenticate(part)
        self._mix(agree(self._ephemeral, hello.ephemeral))
        static = self._encrypt(public_of(self._certificates.static))
        self._mix(agree(self._certificates.static, hello.ephemeral))
        answer = HandshakeMessage.ServerHello(
            ephemeral=public_of(self._ephemeral),
            static=static,
            payload=self._encrypt(self._certificates.chain),
        )
        frame = HandshakeMessage(serverHello=answer).SerializeToString()
        return bytes(frame)

    def finish(self, frame: bytes) -> tuple[ClientPayload, AESGCM, AESGCM]:
        """Returns the client's payload, and the ciphers to read and to write with."""
        finish = HandshakeMessage.FromString(frame).clientFinish
        static = self._decrypt(finish.static)
        self._mix(agree(self._ephemeral, static))
        payload = ClientPayload.FromString(self._decrypt(finish.payload))
        read, write = self._split(b"")
        return payload, AESGCM(read), AESGCM(write)

    def _authenticate(self, data: bytes) -> None:
        self._hash = hashlib.sha256(self._hash + data).digest()

    def _next_nonce(self) -> bytes:
        self._counter += 1
        return nonce(self._counter - 1)

    def _encrypt(self, plain: bytes) -> bytes:
        cipher = self._key.encrypt(self._next_nonce(), plain, self._hash)
        self._authenticate(cipher)
        return cipher

    def _decrypt(self, cipher: bytes) -> bytes:
        plain = self._key.decrypt(self._next_nonce(), cipher, self._hash)
        self._authenticate(cipher)
        return plain

    def _split(self, material: bytes) -> tuple[bytes, bytes]:
        both = HKDF(hashes.SHA256(), 64, self._chaining, b"").derive(material)
        return both[:32], both[32:]

    def _mix(self, material: bytes) -> None:
        self._chaining, key = self._split(material)
        self._key, self._counter = AESGCM(key), 0
