"""The signed head of a call between nodes, in two forms.

form 2   signs the target, the epoch, the time, a nonce, and the length and digest of the body. The
         receiver checks all of it before it reads the body, and takes each call once.
form 1   of releases before 0.3.0. It has no nonce, and its signature can be checked only once the
         body is there.
"""

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gateway.bounds import whole_number

MAX_AGE_SECONDS = 30.0
_PURPOSE = b"gateway relay"
_FORM_2 = "2:"
_NONCE_LENGTH, _DIGEST_LENGTH = 32, 64
_MAX_SEEN = 100_000


@dataclass(frozen=True, slots=True)
class CallHead:
    """What the head of a call says: to one node, about one epoch of a lease, at one time.

    `nonce` and `digest` are empty in form 1.
    """

    path: str
    node_id: str
    epoch: int
    at_seconds: int
    length: int
    nonce: str = ""
    digest: str = ""

    @property
    def is_form_2(self) -> bool:
        return bool(self.nonce)

    def headers(self, secret: str, *, body_digest: str = "") -> dict[str, str]:
        """Returns the headers of the call; *body_digest* is for form 1, whose head has none."""
        common = {
            "X-Relay-Node": self.node_id,
            "X-Relay-Epoch": str(self.epoch),
            "X-Relay-At": str(self.at_seconds),
            "X-Relay-Signature": self.signature(secret, body_digest=body_digest),
        }
        if not self.is_form_2:
            return common
        return common | {"X-Relay-Nonce": self.nonce, "X-Relay-Digest": self.digest}

    def signature(self, secret: str, *, body_digest: str = "") -> str:
        lines = ["POST", self.path, self.node_id, str(self.epoch), str(self.at_seconds)]
        if self.is_form_2:
            lines += [self.digest, str(self.length), self.nonce]
        else:
            lines += [body_digest]
        key = hmac.digest(secret.encode(), _PURPOSE, "sha256")
        signature = hmac.new(key, "\n".join(lines).encode(), "sha256").hexdigest()
        return _FORM_2 + signature if self.is_form_2 else signature

    def is_signed(self, signature: str, secrets: Sequence[str], *, body_digest: str = "") -> bool:
        return any(
            hmac.compare_digest(
                signature.encode(), self.signature(secret, body_digest=body_digest).encode()
            )
            for secret in secrets
        )


def digest_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def head_of(path: str, headers: Mapping[str, str]) -> CallHead | None:
    """Returns the head that *headers* describe; None if they describe none."""
    epoch = whole_number(headers.get("x-relay-epoch", ""))
    at_seconds = whole_number(headers.get("x-relay-at", ""))
    length = whole_number(headers.get("content-length", ""))
    if epoch is None or at_seconds is None or length is None:
        return None
    nonce = digest = ""
    if headers.get("x-relay-signature", "").startswith(_FORM_2):
        nonce, digest = headers.get("x-relay-nonce", ""), headers.get("x-relay-digest", "")
        if len(nonce) != _NONCE_LENGTH or len(digest) != _DIGEST_LENGTH:
            return None
    node_id = headers.get("x-relay-node", "")
    return CallHead(path, node_id, epoch, at_seconds, length, nonce, digest)


@dataclass(slots=True)
class SeenNonces:
    """The nonces of the calls that were taken, for as long as a call may be taken.

    Only a correctly signed call adds one. A node that starts again has seen none, but then its
    leases have new epochs, and no captured call names those.
    """

    max_count: int = _MAX_SEEN
    _until: OrderedDict[str, float] = field(default_factory=OrderedDict)

    def add(self, nonce: str, now: float) -> bool:
        """Adds *nonce*; returns False if it was there, or if the memory is full."""
        while self._until and next(iter(self._until.values())) < now:
            self._until.popitem(last=False)
        if nonce in self._until or len(self._until) >= self.max_count:
            return False
        # A call may say a time up to the maximum age ahead of this clock.
        self._until[nonce] = now + 2 * MAX_AGE_SECONDS
        return True
