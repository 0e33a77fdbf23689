"""The two spellings of a mobile number in Brazil, Argentina and Mexico."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.identities.numbers import every_spelling, number_in, spellings


def digits(low: int, high: int) -> st.SearchStrategy[str]:
    return st.integers(low, high).map(str)


def parts(*each: str | st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*(st.just(e) if isinstance(e, str) else e for e in each)).map("".join)


BRAZIL = parts("55", digits(10, 99), st.sampled_from(["", "9"]), digits(60_000_000, 99_999_999))
ARGENTINA = parts("54", st.sampled_from(["", "9"]), digits(1_000_000_000, 3_999_999_999))
MEXICO = parts("52", st.sampled_from(["", "1"]), digits(2_000_000_000, 9_999_999_999))
MOBILE = st.one_of(BRAZIL, ARGENTINA, MEXICO)
_MARK = re.compile(r"(55[0-9]{2})9([0-9]{8})|(54)9([0-9]{10})|(52)1([0-9]{10})")


def plain(phone: str) -> str:
    """Returns the number without the digit that only some spellings have."""
    found = _MARK.fullmatch(phone)
    return "".join(filter(None, found.groups())) if found else phone


@pytest.mark.parametrize(
    ("phone", "ways"),
    [
        ("5511988887777", ("5511988887777", "551188887777")),
        ("551188887777", ("551188887777", "5511988887777")),
        ("551133334444", ("551133334444",)),  # a landline has no ninth digit
        ("5511933334444", ("5511933334444",)),
        ("5491123456789", ("5491123456789", "541123456789")),
        ("541123456789", ("541123456789", "5491123456789")),
        ("5215512345678", ("5215512345678", "525512345678")),
        ("525512345678", ("525512345678", "5215512345678")),
        ("14155550123", ("14155550123",)),
        ("5511988887777-1234567890", ("5511988887777-1234567890",)),
    ],
)
def test_mobile_number_is_written_in_two_ways(phone: str, ways: tuple[str, ...]) -> None:
    assert spellings(phone) == ways


@given(MOBILE)
def test_spellings_of_a_spelling_are_the_same(phone: str) -> None:
    first, other = spellings(phone)

    assert first == phone
    assert spellings(other) == (other, phone)
    assert plain(first) == plain(other)
    assert abs(len(first) - len(other)) == 1


@given(st.lists(MOBILE, max_size=5))
def test_every_spelling_is_listed_once(phones: list[str]) -> None:
    listed = every_spelling(phones)

    assert len(listed) == len(set(listed))
    assert set(listed) == {way for phone in phones for way in spellings(phone)}


@given(MOBILE, st.integers(0, 1))
def test_known_number_is_found_by_either_spelling(phone: str, which: int) -> None:
    known = spellings(phone)[which]

    assert number_in(phone, {known: "1@lid"}) == known
    assert number_in(phone, {}) is None
