"""Contacts and privacy: consent, the rule of the account, a person's data, and its erasure."""

from typing import Any

import pytest

from gateway.contract.scopes import UserRole
from tests.fixtures.panel import Visitor, visitor
from tests.fixtures.service import Client, RunningGateway, until

ANA, BEN = "5511988887777", "5511977776666"
HOSTILE = '<b>"call"</b> \u202e\U0001f355'


def at(visit: Visitor, path: str = "", **query: str) -> str:
    rest = "".join(f"&{name}={value}" for name, value in query.items())
    return f"/panel/privacy{path}?instance={visit.instance_id}{rest}"


async def record(visit: Visitor, phone: str, status: str, **fields: str) -> None:
    answer = await visit.post(at(visit, "/consent"), phone=phone, status=status, **fields)
    assert answer.status_code == 303


async def test_consents_are_recorded_found_and_deleted(
    host: RunningGateway, client: Client
) -> None:
    async with visitor(host, client, UserRole.AGENT) as visit:
        empty = (await visit.get(at(visit))).text
        await record(visit, "+55 11 98888-7777", "granted", source=HOSTILE, note=HOSTILE)
        await record(visit, BEN, "revoked", source="answer STOP")
        wrong = await visit.post(at(visit, "/consent"), phone="nobody", status="granted")
        every = (await visit.get(at(visit))).text
        found = (await visit.get(at(visit, q="98888"))).text
        revoked = (await visit.get(at(visit, status="revoked"))).text
        await visit.post(at(visit, "/consent/delete"), phone=ANA)
        after = (await visit.get(at(visit))).text

    assert "Nothing recorded yet" in empty
    assert wrong.status_code == 400
    assert 'value="nobody"' in wrong.text
    assert ANA in every
    assert BEN in every
    assert "<b>" not in every
    assert (ANA in found, BEN in found) == (True, False)
    assert (ANA in revoked, BEN in revoked) == (False, True)
    assert ANA not in after


async def test_opted_out_people_get_nothing_once_the_account_says_so(
    host: RunningGateway, client: Client
) -> None:
    async with visitor(host, client) as visit:
        await record(visit, BEN, "revoked")
        before = (await visit.get(at(visit))).text
        await visit.post(at(visit, "/rule"), refuse="on")
        on = (await visit.get(at(visit))).text

        async def refused() -> int:
            body = {"phone": BEN, "message": "hi"}
            return (await client.call("POST", "/send-text", json=body)).status_code

        await until(refused, lambda status: status == 403)
        await visit.post(at(visit, "/rule"), refuse="off")
        off = (await visit.get(at(visit))).text

    assert "Refuse these messages" in before
    assert "is refused, from your system" in on
    assert "Refuse these messages" in off


async def test_person_is_shown_exported_and_erased(host: RunningGateway, client: Client) -> None:
    async with visitor(host, client) as visit:
        await client.send_text(f"text for Ana {HOSTILE}", phone=ANA)
        await record(visit, ANA, "revoked", note="rang us")

        async def page() -> str:
            return (await visit.get(at(visit, "/person", phone=ANA))).text

        shown = await until(page, lambda text: "<dt>Messages</dt><dd>1</dd>" in text)
        file = await visit.post(at(visit, "/person/export"), phone=ANA)
        exported: dict[str, Any] = file.json()
        mistyped = await visit.post(at(visit, "/person/erase"), phone=ANA, typed=BEN)
        still = await page()
        erased = await visit.post(at(visit, "/person/erase"), phone=ANA, typed=ANA)
        erasures = await visit.get(erased.headers["location"])
        part = await visit.get(at(visit, "/person/erasures/list"))
        gone = await page()
        consent = (await client.call("GET", f"/contacts/{ANA}/consent")).json()

    assert "Opted out" in shown
    assert ANA not in file.headers["content-disposition"]
    assert "attachment" in file.headers["content-disposition"]
    assert exported["messages"][0]["payload"]["message"] == f"text for Ana {HOSTILE}"
    assert exported["consents"][0]["note"] == "rang us"
    assert mistyped.status_code == 303
    assert "<dt>Messages</dt><dd>1</dd>" in still
    assert "/person/erasures" in erased.headers["location"]
    assert "Other chats are being searched" in erasures.text
    assert "<html" not in part.text
    assert "<dt>Messages</dt><dd>0</dd>" in gone
    assert consent["status"] == "revoked", "the wish outlives the erasure"
    assert "note" not in consent
    assert not any(ANA in line for line in host.log.splitlines() if "panel" in line)


async def test_stored_data_and_encryption(host: RunningGateway, client: Client) -> None:
    async with visitor(host, client) as visit:
        page = (await visit.get(at(visit, "/stored-data"))).text
        saved = await visit.post(at(visit, "/stored-data/encryption"), value="on")
        part = (await visit.get(at(visit, "/stored-data/encryption"))).text
        wrong = await visit.post(at(visit, "/stored-data/encryption"), value="maybe")
        await visit.post(at(visit, "/stored-data/encryption"), value="default")

    assert "365 days" in page
    assert "Not encrypted" in page
    assert saved.status_code == 303
    assert "Encrypted" in part
    assert "Not encrypted" not in part
    assert wrong.status_code == 303


@pytest.mark.parametrize("role", [UserRole.AGENT, UserRole.VIEWER])
async def test_only_those_who_manage_see_and_erase_a_person(
    role: UserRole, host: RunningGateway, client: Client
) -> None:
    async with visitor(host, client, role) as visit:
        page = await visit.get(at(visit))
        refused = [
            await visit.get(at(visit, "/person", phone=ANA)),
            await visit.get(at(visit, "/person/erasures")),
            await visit.post(at(visit, "/person/export"), phone=ANA),
            await visit.post(at(visit, "/person/erase"), phone=ANA, typed=ANA),
            await visit.post(at(visit, "/rule"), refuse="on"),
            await visit.post(at(visit, "/stored-data/encryption"), value="on"),
        ]
        stored = await visit.get(at(visit, "/stored-data"))

    assert page.status_code == 200
    assert "/panel/privacy/person" not in page.text
    assert ("Record a decision" in page.text) is (role is UserRole.AGENT)
    assert {each.status_code for each in refused} == {403}
    assert stored.status_code == 200
    assert "<select" not in stored.text.partition('id="encryption"')[2]
