"""The control routes of the sandbox steer a phone and name the field that is wrong."""

import json
from datetime import datetime

import pytest

from gateway.contract.internal.profile_picture import LookUpPicture
from gateway.contract.zapi.chats import SetChatExpiration
from gateway.contract.zapi.contacts import LookAtProfile
from gateway.providers.sandbox import pairing
from gateway.sessions.connection import ConnectionState
from gateway.sessions.provider import MessageReceived, PictureChanged
from tests.providers.sandbox_node import Node, node_at
from tests.providers.sandbox_session import FRIEND, attempt, connected, spec, stored_events, text


@pytest.mark.parametrize(
    ("route", "body", "complaint"),
    [
        ("connection", {"state": "sideways"}, "state: must be one of up, down, logged_out"),
        ("connection", {}, "state: is missing"),
        ("scan", {"phone": "abc"}, "phone: Invalid phone"),
        ("scan", {"fone": FRIEND}, "fone: is not known here"),
        ("receive", {"phone": FRIEND}, "One content is needed"),
        ("receive", {"phone": FRIEND, "text": ""}, "text.message: String should have at least"),
        ("receive", {"phone": FRIEND, "text": "a\0b"}, "NUL"),
        ("faults", {"next": ["nonsense"]}, "next.0.fault: must be one of disconnect_before_send"),
        ("faults", {"next": [{"fault": "slow", "minutes": 1}]}, "next.0.minutes: is not known"),
        ("faults", {"next": "slow"}, "next: must be a valid list"),
        ("faults", [], "The body must be a JSON object"),
        ("history", {"messages": [{"phone": FRIEND, "text": "a"}]}, "^messageId is missing in"),
        ("history", {}, "^messages or chats are needed"),
    ],
)
async def test_control_body_that_is_wrong_names_the_field(
    node: Node, route: str, body: object, complaint: str
) -> None:
    async with node.http() as http:
        answer = await http.post(f"/sandbox/one/{route}", content=json.dumps(body))
    assert answer.status_code == 400
    assert complaint in f"^{answer.json()['error']}"


async def test_control_body_that_is_not_json_is_refused(node: Node) -> None:
    async with node.http() as http:
        answer = await http.post("/sandbox/one/scan", content=b"{")
        assert answer.status_code == 400
        assert answer.json()["error"].startswith("The body is not valid JSON: ")
        answer = await http.get("/sandbox/one/sent?limit=10001")
        assert answer.json()["error"].startswith("limit: must be less than or equal to 10000")


async def test_person_has_a_picture_that_control_changes(node: Node) -> None:
    async with node.http() as http, connected(node) as phone:

        async def picture(number: str = FRIEND) -> str | None:
            return (await phone.session.execute(LookUpPicture(phone=number))).url

        made_up = await picture()
        assert made_up
        assert await picture("5511900000000") is None  # a number without WhatsApp
        for url in ("https://example.com/new.jpg", None):
            body = {"phone": FRIEND} | ({"url": url} if url else {})
            assert (await http.post("/sandbox/one/picture", json=body)).status_code == 200
            changed = await phone.next()
            assert isinstance(changed, PictureChanged)
            assert changed.chat == FRIEND
            assert await picture() == url
        profile = await phone.session.execute(LookAtProfile(phone=FRIEND))
        assert profile.picture is None


async def test_message_of_a_chat_disappears_as_the_phone_was_set(node: Node) -> None:
    async with node.http() as http, connected(node) as phone:
        change = SetChatExpiration(phone=FRIEND, chat_expiration="7_DAYS")
        await phone.session.execute(change)
        for number, seconds in ((FRIEND, 604_800), ("5511977777777", 0)):
            await http.post("/sandbox/one/receive", json={"phone": number, "text": "hi"})
            received = await phone.next()
            assert isinstance(received, MessageReceived)
            assert received.expiration_seconds == seconds


async def test_control_of_an_unlinked_phone_is_refused(node: Node) -> None:
    async with node.http() as http:
        for route, body in (
            ("connection", {"state": "up"}),
            ("receive", {"phone": FRIEND, "text": "hi"}),
        ):
            answer = await http.post(f"/sandbox/one/{route}", json=body)
            assert answer.status_code == 400
            assert "scan first" in answer.json()["error"]
    assert await stored_events(node) == 0


async def test_control_routes_require_authorisation(node: Node) -> None:
    async with node.http() as http:
        for method, route in (
            ("POST", "/scan"),
            ("POST", "/connection"),
            ("POST", "/receive"),
            ("POST", "/faults"),
            ("GET", "/sent"),
            ("GET", ""),
        ):
            answer = await http.request(method, f"/sandbox/unknown{route}")
            assert answer.status_code == 404


async def test_journal_is_read_in_pages(node: Node) -> None:
    async with connected(node) as listening, node.http() as http:
        for message_id in ("A", "B", "C"):
            await listening.session.send(text(message_id), attempt(message_id))
        first = (await http.get("/sandbox/one/sent?limit=2")).json()
        rest = (await http.get(f"/sandbox/one/sent?after={first[-1]['number']}")).json()
    assert [item["messageId"] for item in first + rest] == ["A", "B", "C"]
    keys = {"number", "messageId", "seen", "type", "phone", "payload", "at", "marks"}
    assert set(first[0]) == keys
    assert datetime.fromisoformat(first[0]["at"]).tzinfo


async def test_control_works_without_a_session(node: Node) -> None:
    async with node.http() as http:
        seen = (await http.post("/sandbox/one/scan")).json()
        assert seen == {
            "phone": pairing.phone_number("one"),
            "state": "connected",
            "typing": None,
            "faults": 0,
        }
        await http.post("/sandbox/one/receive", json={"phone": FRIEND, "text": "hi"})
    async with connected(node, spec(paired=False)) as listening:
        assert (await listening.next()).content == {"text": {"message": "hi"}}


async def test_control_reaches_a_session_of_another_node(node: Node, database_url: str) -> None:
    async with (
        node_at(database_url) as other,
        other.delivering(),
        connected(node) as listening,
        other.http() as http,
    ):
        await http.post("/sandbox/one/connection", json={"state": "down"})
        assert (await listening.next()).state is ConnectionState.DISCONNECTED
        await http.post("/sandbox/one/connection", json={"state": "up"})
        assert (await listening.next()).state is ConnectionState.CONNECTED
        await listening.session.send(text(), attempt("A"))
        journal = (await http.get("/sandbox/one/sent")).json()
        assert [item["messageId"] for item in journal] == ["A"]
