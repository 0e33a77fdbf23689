"""The file of a person is one JSON object, however many pages it was read in."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import orjson
import pytest

from gateway.contract.extensions.person_data import PersonData
from gateway.instances.store import Instance
from gateway.panel.pages.person import number_of
from gateway.panel.person_file import person_file

AT = datetime(2026, 1, 31, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Named:
    id: str = "A1"
    name: str = 'Shop "<b>"'


def page(messages: list[dict[str, Any]], *, files: tuple[str, ...] = (), after: str = "") -> Any:
    return PersonData(
        phone="5511999999999",
        names=("5511999999999",),
        contacts=({"name": "Ana"},),
        identities=(),
        chats=(),
        consents=(),
        broadcast_lists=(),
        queued=(),
        messages=tuple(messages),
        files=tuple({"id": each} for each in files),
        paging_state=after or None,
        has_more=bool(after),
    )


async def written(*pages: PersonData) -> dict[str, Any]:
    later = dict(zip((p.paging_state for p in pages), pages[1:], strict=False))

    async def read(cursor: str | None) -> PersonData:
        return later[cursor]

    parts = person_file(pages[0], read, instance=cast("Instance", Named()), at=AT)
    return cast("dict[str, Any]", orjson.loads(b"".join([part async for part in parts])))


async def test_messages_of_every_page_are_in_the_file() -> None:
    found = await written(
        page([{"n": 1}, {"n": 2}], files=("a", "b"), after="x"),
        page([], after="y"),
        page([{"n": 3}], files=("b",)),
    )
    assert [each["n"] for each in found["messages"]] == [1, 2, 3]
    assert [each["id"] for each in found["files"]] == ["a", "b"]
    assert found["number"] == {"id": "A1", "name": 'Shop "<b>"'}
    assert found["contacts"] == [{"name": "Ana"}]


async def test_file_of_an_unknown_person_is_empty() -> None:
    found = await written(page([]))
    assert (found["messages"], found["files"]) == ([], [])


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["811111111111111@lid", "551199999999", "5511999999999"], "5511999999999"),
        (["811111111111111@lid"], "811111111111111@lid"),
        ([], "-"),
    ],
)
def test_person_is_called_by_the_number(names: list[str], shown: str) -> None:
    assert number_of(names) == shown
