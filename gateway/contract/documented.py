"""The texts and examples of a class in the OpenAPI document and the Postman collection."""

from collections.abc import Mapping
from typing import Any, ClassVar

from gateway.contract.wire import Incoming

Example = Mapping[str, Any]
"""Spelled as on the wire, path and query included."""


class Documented(Incoming):
    """The first line of the docstring is the summary, the rest the description.

    `example` is a full request, `example_minimal` the smallest useful one; `failures` are
    statuses beyond those that every request may meet. `unconfirmed` names the paths, and the
    fields as callers spell them, that public clients use and Z-API's documents do not describe.
    """

    example: ClassVar[Example] = {}
    example_minimal: ClassVar[Example | None] = None
    failures: ClassVar[tuple[int, ...]] = ()
    unconfirmed: ClassVar[tuple[str, ...]] = ()
