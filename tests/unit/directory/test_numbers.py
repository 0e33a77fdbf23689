import pytest

from gateway.directory.numbers import spellings


@pytest.mark.parametrize(
    ("phone", "ways"),
    [
        ("5511988887777", ("5511988887777", "551188887777")),
        ("551188887777", ("551188887777", "5511988887777")),
        ("551133334444", ("551133334444",)),  # a landline has no ninth digit
        ("5511933334444", ("5511933334444",)),
        ("14155550123", ("14155550123",)),
    ],
)
def test_a_brazilian_mobile_number_is_written_in_two_ways(
    phone: str, ways: tuple[str, ...]
) -> None:
    assert spellings(phone) == ways
