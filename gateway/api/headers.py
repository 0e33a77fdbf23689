"""Finds one header of a request."""

from starlette.datastructures import Headers


def header_of(headers: Headers, name: bytes) -> str:
    """Returns the first value of a header, without blanks around it; empty if it is absent.

    *name* is in lower case, as servers give them. Starlette's own look-up encodes the name, and
    raises an error inside for each header that is absent; each send asks for several.
    """
    for given, value in headers.raw:
        if given == name:
            # Blanks are no part of it, RFC 9110 5.5: these two, for others end characters of UTF-8.
            text: str = value.strip(b" \t").decode("latin-1")
            return text
    return ""
