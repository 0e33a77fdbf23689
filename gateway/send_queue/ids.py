"""The two ids of a message, made together when it is accepted.

`zaapId` names its place in the queue, `messageId` is what WhatsApp knows it by; both are
upper-case hex. The second is derived from the first, so that either finds the row.
"""

from gateway.randomness import RandomBytes

_ZAAP_ID_BYTES = 16
_ZAAP_ID_LENGTH = 2 * _ZAAP_ID_BYTES
_WEB_CLIENT_PREFIX = "3EB0"  # ids made by WhatsApp's web clients begin so
_OWN_DIGITS = 18
_HEX = frozenset("0123456789ABCDEF")


def new_zaap_id(random_bytes: RandomBytes) -> str:
    return random_bytes(_ZAAP_ID_BYTES).hex().upper()


def message_id_of(zaap_id: str) -> str:
    return _WEB_CLIENT_PREFIX + zaap_id[-_OWN_DIGITS:]


def message_id_named(name: str) -> str:
    """The messageId of what a caller names by its zaapId or by its messageId."""
    upper = name.upper()
    is_zaap_id = len(upper) == _ZAAP_ID_LENGTH and _HEX.issuperset(upper)
    return message_id_of(upper) if is_zaap_id else name
