"""The two ids of a message have WhatsApp's form, and either of them finds the row."""

import os

from gateway.send_queue.ids import message_id_named, message_id_of, new_zaap_id


def test_zaap_id_is_32_upper_case_hex_characters() -> None:
    assert new_zaap_id(lambda count: b"\xab" * count) == "AB" * 16


def test_zaap_ids_are_different() -> None:
    assert len({new_zaap_id(os.urandom) for _ in range(1_000)}) == 1_000


def test_message_id_has_the_form_of_whatsapps_web_clients() -> None:
    message_id = message_id_of("00112233445566778899AABBCCDDEEFF")

    assert message_id == "3EB0778899AABBCCDDEEFF"
    assert len(message_id) == 22


def test_message_id_is_found_for_either_id() -> None:
    zaap_id = new_zaap_id(os.urandom)
    message_id = message_id_of(zaap_id)

    assert message_id_named(zaap_id) == message_id
    assert message_id_named(zaap_id.lower()) == message_id
    assert message_id_named(message_id) == message_id


def test_unknown_form_of_an_id_is_returned_unchanged() -> None:
    for name in ("", "abc", "G" * 32, "count", "3EB0AB", "a" * 31, "a" * 33):
        assert message_id_named(name) == name
