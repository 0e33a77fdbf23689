"""Makes the two ids of a message, when it is accepted.

`zaapId` is the gateway's id of the queued message; `messageId` is the id that WhatsApp sees. Both
are upper-case hex. `messageId` is derived from `zaapId`, so that either id finds the row.
"""

from gateway.randomness import RandomBytes

_ZAAP_ID_BYTES = 16
_ZAAP_ID_LENGTH = 2 * _ZAAP_ID_BYTES
_WEB_CLIENT_PREFIX = "3EB0"  # WhatsApp's web clients make ids with this prefix
_OWN_DIGITS = 18
_HEX = frozenset("0123456789ABCDEF")


def new_zaap_id(random_bytes: RandomBytes) -> str:
    return random_bytes(_ZAAP_ID_BYTES).hex().upper()


def message_id_of(zaap_id: str) -> str:
    return _WEB_CLIENT_PREFIX + zaap_id[-_OWN_DIGITS:]


def message_id_named(name: str) -> str:
    """Returns the messageId of a message that a caller names by its zaapId or its messageId."""
    upper = name.upper()
    is_zaap_id = len(upper) == _ZAAP_ID_LENGTH and _HEX.issuperset(upper)
    return message_id_of(upper) if is_zaap_id else name
