"""Each type of message brings all that belongs to it; forgetting a part fails here."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.contract.catalogue import catalogue
from gateway.contract.documented import Documented
from gateway.contract.send import OutgoingMessage, Reply

GOLDEN = Path(__file__).parent / "golden"
GENERAL = {OutgoingMessage, Reply}  # base classes of unlike messages: they may not answer for them


def declares(send: type[OutgoingMessage], name: str) -> bool:
    """Whether the class, or a base class of messages like it, defines *name*."""
    families = [family for family in send.__mro__ if issubclass(family, OutgoingMessage)]
    return any(name in vars(family) for family in families if family not in GENERAL)


def missing_parts(send: type[OutgoingMessage]) -> Iterator[str]:
    for name in ("echo", "limits"):
        if not declares(send, name):
            yield name
    if send.example is Documented.example:
        yield "example"
    for folder in (GOLDEN, GOLDEN / "echoes"):
        if not (folder / f"{send.kind()}.json").exists():
            yield f"{folder.name}/{send.kind()}.json"


@pytest.mark.parametrize("send", catalogue().sends.values(), ids=lambda send: send.kind())
def test_message_type_is_complete(send: type[OutgoingMessage]) -> None:
    assert list(missing_parts(send)) == []


def test_message_type_that_forgets_everything_is_reported() -> None:
    class Forgetful(OutgoingMessage):
        """Declares nothing of its own."""

    Forgetful.path = "/send-forgetful"  # set late, so that the catalogue never sees it
    try:
        assert list(missing_parts(Forgetful)) == [
            "echo",
            "limits",
            "example",
            "golden/send-forgetful.json",
            "echoes/send-forgetful.json",
        ]
    finally:
        Forgetful.path = None


def test_golden_file_belongs_to_a_message_type() -> None:
    for folder in (GOLDEN, GOLDEN / "echoes"):
        assert {file.stem for file in folder.glob("*.json")} <= catalogue().sends.keys()
