"""Numbers of a page are whole, and those out of range become the nearer end of it."""

import pytest
from pydantic_core import PydanticCustomError

from gateway.contract.paging import Paged, between, up_to


@pytest.mark.parametrize(("given", "read"), [(0, 2), ("-5", 2), ("7", 7), (8, 8), (9_999, 50)])
def test_between_out_of_range_takes_the_nearer_end(given: object, read: int) -> None:
    assert between(2, 50)(given) == read


@pytest.mark.parametrize("given", ["", "many", None, "1.5"])
def test_between_without_a_whole_number_is_refused(given: object) -> None:
    with pytest.raises(PydanticCustomError, match="must be a whole number"):
        between(1, 50)(given)


@pytest.mark.parametrize(("given", "read"), [(1, 1), ("50", 50), ("51", 50), (10**30, 50)])
def test_up_to_takes_at_most_its_end(given: object, read: int) -> None:
    assert up_to(50)(given) == read


@pytest.mark.parametrize("given", [0, "-1", -5])
def test_up_to_without_an_item_is_refused(given: object) -> None:
    with pytest.raises(PydanticCustomError, match="must be at least 1"):
        up_to(50)(given)


def test_paged_offset_counts_from_page_one() -> None:
    assert Paged(page=1, page_size=20).offset == 0
    assert Paged(page=3, page_size=20).offset == 40
