"""Encodes stanzas by pywhats' codec, and decodes what its decoder omits."""

from pywhats.binary import Node, decode, decoder, encode

__all__ = ["Node", "decode", "encode"]

_only_bytes = decoder._read_byte_payload
_LAST_TOKEN, _FIRST_DICTIONARY, _LAST_DICTIONARY = 235, 236, 239
_ADDRESS = 250


def _read_payload(reader: decoder._Reader, tag: int) -> bytes:
    """Decodes content that is a well-known word or, as far as a client can tell, an address."""
    if tag == _ADDRESS:
        found = decoder._read_jid_pair(reader)
        return f"{found.user}@{found.server}".encode()
    if tag <= _LAST_TOKEN or _FIRST_DICTIONARY <= tag <= _LAST_DICTIONARY:
        return str(decoder._read_string_or_bytes(reader, tag)).encode()
    content: bytes = _only_bytes(reader, tag)
    return content


decoder._read_byte_payload = _read_payload
