"""The texts and examples of a class in the OpenAPI document and the Postman collection."""

from collections.abc import Mapping
from enum import Enum
from typing import Any, ClassVar

from gateway.contract.wire import Incoming

Example = Mapping[str, Any]
"""Spelled as on the wire, path and query included."""


class Requirement(Enum):
    """What a route needs beyond a linked device; the name is for programs, the value for people."""

    PRIMARY_PHONE = (
        "It belongs to WhatsApp on the primary phone, which registers the number and has its "
        "two-step code and e-mail address. A linked device cannot do it."
    )
    ZAPI_TELEPHONY = (
        "It belongs to the telephony that Z-API runs beside WhatsApp: tokens of its calls SDK and "
        "SIP credentials."
    )


class Documented(Incoming):
    """The first line of the docstring is the summary, the rest the description.

    `example` is a full request, `example_minimal` the smallest useful one; `failures` are
    statuses beyond those that every request may meet. `unconfirmed` names the paths, and the
    fields as callers spell them, that public clients use and Z-API's documents do not describe.
    `requirement` is what no library for linked devices that we know offers.
    """

    example: ClassVar[Example] = {}
    example_minimal: ClassVar[Example | None] = None
    failures: ClassVar[tuple[int, ...]] = ()
    unconfirmed: ClassVar[tuple[str, ...]] = ()
    requirement: ClassVar[Requirement | None] = None
