"""Contacts get the name on a contact card that came, as `vname`."""

import pytest

from gateway.sessions.inbound.cards import names_on_cards
from tests.fixtures.inbound import inbound_session

ANA, RUI, EVA = "5511988888888", "5511977777777", "5511966666666"


def card(name: str, *phones: str) -> dict[str, object]:
    return {"displayName": name, "vCard": f"FN:{name}", "phones": list(phones)}


async def test_name_on_a_received_card_is_the_vname_of_its_number(database_url: str) -> None:
    async with inbound_session(database_url) as session:
        await session.simulate("receive", phone=RUI, text="hi", senderName="rui")
        await session.simulate("receive", phone=ANA, contact=card("Rui Old", RUI))
        await session.simulate("receive", phone=ANA, contact=card("Rui Sousa", f"+{RUI}", EVA))
        await session.callbacks()
        cursor = await session.operator.execute("select phone, vname from contacts order by phone")
        assert await cursor.fetchall() == [
            (EVA, "Rui Sousa"),
            (RUI, "Rui Sousa"),
            (ANA, None),
        ]


@pytest.mark.parametrize(
    ("kind", "content", "names"),
    [
        ("contact", {"contact": card("Eva", EVA)}, {EVA: "Eva"}),
        (
            "contacts",
            {"contacts": {"contacts": [card("Eva", EVA), card("Rui", RUI)]}},
            {EVA: "Eva", RUI: "Rui"},
        ),
        ("contact", {"contact": card("No number", "12", "abc")}, {}),
        ("contact", {"contact": card("", EVA)}, {}),
        ("contact", {}, {}),
        ("text", {"text": card("Eva", EVA)}, {}),
    ],
)
def test_names_on_cards_are_those_of_phone_numbers(
    kind: str, content: dict[str, object], names: dict[str, str]
) -> None:
    assert names_on_cards(kind, content) == names
