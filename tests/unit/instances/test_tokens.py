"""Tokens are kept so that a stolen database shows none of them."""

import os
import re

import pytest

from gateway.errors import InvalidSettings
from gateway.instances.tokens import Sealed, TokenVault, hash_of, matches, new_id

OLD, NEW = "an old secret", "a new secret"
TOKEN = "0123456789ABCDEF0123456789ABCDEF"


def vault(*secrets: str) -> TokenVault:
    return TokenVault(secrets, os.urandom)


def test_an_id_is_32_upper_case_hex_characters() -> None:
    made = {new_id(os.urandom) for _ in range(100)}

    assert len(made) == 100
    assert all(re.fullmatch("[0-9A-F]{32}", each) for each in made)


def test_a_token_matches_its_own_hash_only() -> None:
    kept = hash_of(TOKEN)

    assert matches(TOKEN, kept)
    assert not matches(TOKEN.lower(), kept)
    assert not matches("", kept)
    assert TOKEN.encode() not in kept


@pytest.mark.parametrize("token", ["", "\x00", "\u00e9\U0001f600", "x" * 100_000])
def test_any_text_can_be_compared(token: str) -> None:
    assert matches(token, hash_of(token))
    assert not matches(token, hash_of(TOKEN))


def test_a_sealed_token_is_read_again() -> None:
    sealed = vault(NEW).seal(TOKEN)

    assert vault(NEW).open(sealed) == TOKEN
    assert TOKEN.encode() not in sealed.ciphertext


def test_sealing_twice_gives_two_ciphertexts() -> None:
    one = vault(NEW)

    assert one.seal(TOKEN).ciphertext != one.seal(TOKEN).ciphertext


def test_after_a_rotation_old_tokens_are_read_and_new_ones_sealed_under_the_new_key() -> None:
    before = vault(OLD).seal(TOKEN)
    rotated = vault(NEW, OLD)

    after = rotated.seal(TOKEN)

    assert rotated.open(before) == TOKEN
    assert after.key_id != before.key_id
    assert vault(NEW).open(after) == TOKEN


def test_without_its_secret_a_token_cannot_be_read_and_the_cure_is_named() -> None:
    sealed = vault(OLD).seal(TOKEN)

    with pytest.raises(InvalidSettings, match="GATEWAY_SECRET_KEY") as caught:
        vault(NEW).open(sealed)

    assert sealed.key_id in str(caught.value)
    assert OLD not in str(caught.value)


@pytest.mark.parametrize("damage", [lambda c: c[:-1], lambda c: bytes([c[0] ^ 1]) + c[1:]])
def test_a_damaged_token_is_not_read(damage: object) -> None:
    assert callable(damage)
    sealed = vault(NEW).seal(TOKEN)

    with pytest.raises(InvalidSettings):
        vault(NEW).open(Sealed(sealed.key_id, damage(sealed.ciphertext)))


def test_an_empty_ciphertext_is_not_read() -> None:
    with pytest.raises(InvalidSettings):
        vault(NEW).open(Sealed(vault(NEW).seal(TOKEN).key_id, b""))


def test_the_key_id_does_not_show_the_secret() -> None:
    key_id = vault(NEW).seal(TOKEN).key_id

    assert re.fullmatch("[0-9a-f]{8}", key_id)
    assert vault(NEW).seal("other").key_id == key_id
