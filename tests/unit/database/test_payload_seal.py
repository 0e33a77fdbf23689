"""A seal opens with its key, in its scope, and hides what it holds."""

import os
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from gateway.database.payload_seal import (
    PayloadSeal,
    Unopened,
    UnopenedText,
    is_sealed_text,
    key_id_in,
    key_id_of,
)
from gateway.database.sealed_columns import (
    BODY,
    BYTES,
    EVENT,
    LIBRARY_EVENT,
    MESSAGE,
    SIMULATED_EVENT,
    TEXT,
    TEXTS,
    Kind,
)

FILE = "ab" * 32
PLAIN: dict[Kind, Any] = {
    MESSAGE: {"message": "Ahoy", "image": f"media:{FILE}", "delay_message": 3},
    EVENT: {"sender": "5511", "content": {"text": {"message": "Ahoy"}}},
    LIBRARY_EVENT: {"Info": {"MessageSource": {"Chat": {"User": "1"}}, "PushName": "Ahoy"}},
    SIMULATED_EVENT: {"kind": "event", "event": {"chat": "", "content": "Ahoy"}},
    TEXTS: {"reactions": {"me": "Ahoy"}, "votes": {"me": ["Ahoy"]}, "read": True},
    TEXT: "Ahoy",
    BYTES: b"Ahoy",
    BODY: '{"type":"ReceivedCallback","text":{"message":"Ahoy"},"participantPhone":"5511"}',
}


def seal_with(*secrets: str) -> PayloadSeal:
    return PayloadSeal(secrets or ("first",), os.urandom)


def sealed(kind: Kind, seal: PayloadSeal, instance_id: str = "one") -> Any:
    value = kind.sealed(seal, instance_id, PLAIN[kind])
    return value.obj if isinstance(value, Jsonb) else value


@pytest.mark.parametrize("kind", PLAIN)
def test_seal_hides_and_opens_every_kind(kind: Kind) -> None:
    seal = seal_with()

    value = sealed(kind, seal)

    assert "Ahoy" not in str(value)
    assert kind.is_sealed(value)
    assert not kind.is_sealed(PLAIN[kind])
    assert kind.key_ids(value) == {key_id_of("first")}
    assert kind.opened(seal, "one", value) == PLAIN[kind]


@pytest.mark.parametrize("kind", [k for k in PLAIN if k not in (SIMULATED_EVENT, TEXTS, BYTES)])
def test_seal_of_another_instance_does_not_open(kind: Kind) -> None:
    seal = seal_with()

    opened = kind.opened(seal, "two", sealed(kind, seal, "one"))

    assert isinstance(opened, Unopened | UnopenedText)
    assert opened.reason == "The encrypted content is damaged or belongs to another instance"


def test_bytes_of_another_instance_do_not_open() -> None:
    seal = seal_with()

    assert BYTES.opened(seal, "two", sealed(BYTES, seal, "one")) is None


def test_earlier_secret_opens_and_first_one_seals() -> None:
    before, after = seal_with("first"), seal_with("second", "first")

    assert TEXT.opened(after, "one", sealed(TEXT, before)) == "Ahoy"
    assert key_id_in(sealed(TEXT, after)) == key_id_of("second")
    lost = TEXT.opened(before, "one", sealed(TEXT, after))
    assert isinstance(lost, UnopenedText)
    assert f"under key {key_id_of('second')}, which GATEWAY_SECRET_KEY" in lost


def test_what_sql_reads_stays_readable() -> None:
    seal = seal_with()

    assert sealed(MESSAGE, seal).keys() == {"sealed", "sealedFiles", "delay_message"}
    assert sealed(MESSAGE, seal)["sealedFiles"] == [f"media:{FILE}"]
    assert sealed(EVENT, seal)["sender"] == "5511"
    assert sealed(LIBRARY_EVENT, seal)["Info"] == {"MessageSource": {"Chat": {"User": "1"}}}
    assert '"participantPhone":"5511"' in sealed(BODY, seal)


def test_link_to_a_received_file_leaves_its_id_readable_and_no_more() -> None:
    link = f"https://gateway.example/media/one/{FILE}/secret.pdf?expires=1&signature={'cd' * 32}"

    value = MESSAGE.sealed(seal_with(), "one", {"document": {"documentUrl": link}}).obj

    assert value["sealedFiles"] == [f"media:{FILE}"]
    assert "secret" not in str(value)
    assert "cdcd" not in str(value)


def test_fields_that_sql_added_beside_the_seal_are_kept() -> None:
    seal = seal_with()
    value = sealed(SIMULATED_EVENT, seal)
    value["event"] |= {"sender": "5521", "chat": "5531"}

    opened = SIMULATED_EVENT.opened(seal, "two", value)

    assert opened["event"] == {"sender": "5521", "chat": "5531", "content": "Ahoy"}


def test_text_that_looks_sealed_is_taken_for_sealed_only_if_whole() -> None:
    assert is_sealed_text(sealed(TEXT, seal_with()))
    assert not is_sealed_text("sealed: by hand")
    assert not is_sealed_text("sealed:0badcafe.not base64!")


def test_damaged_seal_says_so() -> None:
    seal = seal_with()
    value = sealed(TEXT, seal)

    opened = TEXT.opened(seal, "one", value[:-8] + "AAAAAAAA")

    assert isinstance(opened, UnopenedText)
    assert "damaged" in opened
