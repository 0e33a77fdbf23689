"""Stored tokens are hashed or encrypted, so a stolen database shows none."""

import os
import re

import pytest

from gateway.errors import InvalidSettings
from gateway.instances.tokens import Sealed, TokenVault, hash_of, matches, new_id

OLD, NEW = "an old secret", "a new secret"
TOKEN = "0123456789ABCDEF0123456789ABCDEF"


def vault(*secrets: str) -> TokenVault:
    return TokenVault(secrets, os.urandom)


def test_new_id_is_32_upper_case_hex_characters() -> None:
    made = {new_id(os.urandom) for _ in range(100)}

    assert len(made) == 100
    assert all(re.fullmatch("[0-9A-F]{32}", each) for each in made)


def test_token_matches_only_its_own_hash() -> None:
    stored = hash_of(TOKEN)

    assert matches(TOKEN, stored)
    assert not matches(TOKEN.lower(), stored)
    assert not matches("", stored)
    assert TOKEN.encode() not in stored


@pytest.mark.parametrize("token", ["", "\x00", "\u00e9\U0001f600", "x" * 100_000])
def test_matches_accepts_any_text(token: str) -> None:
    assert matches(token, hash_of(token))
    assert not matches(token, hash_of(TOKEN))


def test_vault_opens_what_it_sealed() -> None:
    sealed = vault(NEW).seal(TOKEN)

    assert vault(NEW).open(sealed) == TOKEN
    assert TOKEN.encode() not in sealed.ciphertext


def test_vault_seals_with_a_new_nonce_each_time() -> None:
    one = vault(NEW)

    assert one.seal(TOKEN).ciphertext != one.seal(TOKEN).ciphertext


def test_vault_after_rotation_opens_old_and_seals_new() -> None:
    before = vault(OLD).seal(TOKEN)
    rotated = vault(NEW, OLD)

    after = rotated.seal(TOKEN)

    assert rotated.open(before) == TOKEN
    assert after.key_id != before.key_id
    assert vault(NEW).open(after) == TOKEN


def test_vault_without_secret_names_the_cure() -> None:
    sealed = vault(OLD).seal(TOKEN)

    with pytest.raises(InvalidSettings, match="GATEWAY_SECRET_KEY") as caught:
        vault(NEW).open(sealed)

    assert sealed.key_id in str(caught.value)
    assert OLD not in str(caught.value)


@pytest.mark.parametrize("damage", [lambda c: c[:-1], lambda c: bytes([c[0] ^ 1]) + c[1:]])
def test_vault_damaged_token_is_refused(damage: object) -> None:
    assert callable(damage)
    sealed = vault(NEW).seal(TOKEN)

    with pytest.raises(InvalidSettings):
        vault(NEW).open(Sealed(sealed.key_id, damage(sealed.ciphertext)))


def test_vault_empty_ciphertext_is_refused() -> None:
    with pytest.raises(InvalidSettings):
        vault(NEW).open(Sealed(vault(NEW).seal(TOKEN).key_id, b""))


def test_key_id_does_not_hold_the_secret() -> None:
    key_id = vault(NEW).seal(TOKEN).key_id

    assert re.fullmatch("[0-9a-f]{8}", key_id)
    assert vault(NEW).seal("other").key_id == key_id
