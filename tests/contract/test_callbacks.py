"""Each callback, from the event of a session to the body that is posted.

A golden file per variant, reviewed by hand. `REWRITE_GOLDEN=1` writes the files again.
"""

import asyncio
import json
import os
from pathlib import Path
from typing import Any, get_args

import pytest
from pytest_postgresql.executors import NoopExecutor

from gateway.contract.callbacks import (
    DeliveryCallback,
    MessageCallback,
    NotificationCode,
    NotificationReceived,
    Presence,
    received_kinds,
)
from gateway.sessions.connection import ConnectionState
from gateway.sessions.provider import ConnectionChanged
from tests.fixtures.inbound import INSTANCE, NOW, InboundSession, inbound_session
from tests.fixtures.postgres import PostgresServer, new_database

GOLDEN = Path(__file__).parent / "golden" / "callbacks"
ANA, LID, GROUP = "5511988888888", "81896604192873@lid", "120363019502650977-group"
OWN_LID = "91896604192873@lid"
SHOWN = {"photo": "https://example.com/chat", "senderPhoto": "https://example.com/sender"}

MESSAGES = sorted(name for kind in received_kinds(MessageCallback) for name in kind.variants)
NOTIFICATIONS = sorted(name for name in NotificationReceived.variants if "call-" not in name)
CALLS: dict[str, dict[str, Any]] = {
    "call-voice": {"status": "offered"},
    "call-video": {"status": "offered", "video": True},
    "call-missed-voice": {"status": "missed"},
    "call-missed-video": {"status": "missed", "video": True},
}
PRESENCES = [status.lower() for status in get_args(Presence)]
STATUSES = ["sent", "delivered", "read", "played", "read_by_me"]
REFERRING = {
    "reaction": {"refersTo": "SENT"},
    "poll-vote": {"refersTo": "SENT"},
    "pin-message": {"refersTo": "SENT"},
    "event-response": {"refersTo": "THEIRS"},
}
FURTHER: dict[str, tuple[str, dict[str, Any]]] = {
    "text-in-a-group": (
        "receive",
        {"phone": ANA, "lid": LID, "chat": GROUP, "chatName": "Neighbours", "text": "hi"},
    ),
    "text-in-a-channel": (
        "receive",
        {"phone": "120363166555745933@newsletter", "chatName": "News", "text": "hi"},
    ),
    "text-from-the-phone": ("receive", {"phone": ANA, "text": "hi", "fromMe": True}),
    "text-of-somebody-hidden": ("receive", {"phone": "99999999999999@lid", "text": "hi"}),
    "text-quoting": ("receive", {"phone": ANA, "text": "yes", "quotes": "SENT"}),
    "text-forwarded": (
        "receive",
        {"phone": ANA, "text": "hi", "forwarded": True, "expirationSeconds": 86_400},
    ),
    "text-edited": (
        "receive",
        {"phone": ANA, "text": "hi!", "edit": True, "refersTo": "SENT"},
    ),
    "reaction-removed": (
        "receive",
        {"phone": ANA, "reaction": {"value": ""}, "refersTo": "SENT"},
    ),
    "message-revoked": (
        "notification",
        {"phone": ANA, "code": "REVOKE", "refersTo": "SENT"},
    ),
    "status-in-a-group": (
        "receipt",
        {"phone": GROUP, "messageIds": ["IN-GROUP"], "status": "read", "by": ANA, "byLid": LID},
    ),
}
DELIVERIES = {
    "delivery": {},
    "delivery-failed": {"error": "WhatsApp refused the message."},
}


async def produce(url: str) -> dict[str, dict[str, Any]]:
    async with inbound_session(url) as session:
        await session.simulate("identity", lid=LID, phone=ANA, name="Ana")
        await session.simulate("identity", lid=OWN_LID, phone="5511999999999")
        await _write(session, "SENT", ANA, from_me=True)
        await _write(session, "OLD", ANA, from_me=False)
        await _write(session, "IN-GROUP", GROUP, from_me=True)
        await _write(session, "THEIRS", GROUP, from_me=False)
        return {
            **await _messages(session),
            **await _notifications(session),
            **await _states(session),
            **{name: await _further(session, name) for name in FURTHER},
            **{name: _delivery(fields) for name, fields in DELIVERIES.items()},
        }


async def _messages(session: InboundSession) -> dict[str, dict[str, Any]]:
    made = {}
    for name in MESSAGES:
        body = {"kind": name, "messageId": name.upper(), "lid": LID, **SHOWN}
        place = {"chatName": "Neighbours"} if name.startswith("event") else {}
        body |= place | REFERRING.get(name, {})
        made[f"received-{name}"] = await _made(session, "receive", {"phone": ANA, **body})
    return made


async def _notifications(session: InboundSession) -> dict[str, dict[str, Any]]:
    made = {}
    for name in NOTIFICATIONS:
        chat, by = _place(name)
        has_id = "messageId" not in NotificationReceived.variants[name]
        body: dict[str, Any] = {"phone": chat, "kind": name, "by": by}
        body |= {"messageId": name.upper()} if has_id else {}
        body |= {"chatName": "Neighbours"} if chat != ANA else {}
        made[f"notification-{name}"] = await _made(session, "notification", body)
    for name, call in CALLS.items():
        call_id = f"F44E0E2011E7C784BB9A4AC1{int('video' in call):08}"
        whole = {"phone": ANA, "callId": call_id, **call}
        made[f"notification-{name}"] = await _made(session, "call", whole)
    return made


async def _states(session: InboundSession) -> dict[str, dict[str, Any]]:
    made = {}
    for status in PRESENCES:
        seen = {"lastSeen": NOW} if status == "unavailable" else {}
        presence = {"phone": ANA, "status": status, **seen}
        made[f"presence-{status}"] = await _made(session, "presence", presence)
    for status in STATUSES:
        whose = "OLD" if status == "read_by_me" else "SENT"
        receipt = {"phone": ANA, "messageIds": [whose], "status": status}
        made[f"status-{status}"] = await _made(session, "receipt", receipt)
    await session.report(ConnectionChanged(ConnectionState.DISCONNECTED, NOW))
    await session.report(ConnectionChanged(ConnectionState.CONNECTED, NOW, "5511999999999"))
    _, made["disconnected"], made["connected"] = await session.callbacks("connection")
    return made


async def _further(session: InboundSession, name: str) -> dict[str, Any]:
    what, body = FURTHER[name]
    named = {} if what == "receipt" else {"messageId": name.upper()}
    return await _made(session, what, {**named, **body})


def _delivery(fields: dict[str, str]) -> dict[str, Any]:
    callback = DeliveryCallback(
        instance_id=INSTANCE,
        momment=1,
        phone=ANA,
        zaap_id="4A6F0B3D92C1E8577D10A2B4C6D8E9F1",
        message_id="SENT",
        error=fields.get("error"),
    )
    body: dict[str, Any] = json.loads(callback.body())
    return body


async def _write(session: InboundSession, message_id: str, chat: str, *, from_me: bool) -> None:
    await session.simulate(
        "receive", phone=ANA, chat=chat, messageId=message_id, text="before", fromMe=from_me
    )
    await session.callbacks()


async def _made(session: InboundSession, what: str, body: dict[str, Any]) -> dict[str, Any]:
    await session.simulate(what, **body)
    (told,) = await session.callbacks()
    return told


def _place(name: str) -> tuple[str, str | None]:
    """Where a notification comes from, and whose doing it is."""
    if name.startswith(("group-", "membership-")):
        return GROUP, ANA
    if name.startswith("newsletter-"):
        return "120363166555745933@newsletter", ANA
    return ANA, None


@pytest.fixture(scope="module")
def bodies(
    postgres_server: PostgresServer, migrated_postgres: NoopExecutor
) -> dict[str, dict[str, Any]]:
    name = f"gateway_callbacks_{os.getpid()}"
    with new_database(postgres_server, name, migrated_postgres.template_dbname) as url:
        made = asyncio.run(produce(url))
    if os.environ.get("REWRITE_GOLDEN"):
        GOLDEN.mkdir(exist_ok=True)
        for variant, body in made.items():
            text = json.dumps(body, indent=2, ensure_ascii=True) + "\n"
            (GOLDEN / f"{variant}.json").write_text(text)
    return made


@pytest.mark.parametrize("name", sorted(file.stem for file in GOLDEN.glob("*.json")))
def test_callback_equals_its_golden_file(bodies: dict[str, dict[str, Any]], name: str) -> None:
    assert bodies[name] == json.loads((GOLDEN / f"{name}.json").read_text())


def test_callback_has_a_golden_file(bodies: dict[str, dict[str, Any]]) -> None:
    assert set(bodies) == {file.stem for file in GOLDEN.glob("*.json")}


def test_callback_contains_no_null(bodies: dict[str, dict[str, Any]]) -> None:
    assert [name for name, body in bodies.items() if "null" in json.dumps(body)] == []


def test_received_callback_has_the_common_keys(bodies: dict[str, dict[str, Any]]) -> None:
    common = {
        "phone", "instanceId", "fromMe", "momment", "type", "isGroup", "connectedPhone", "status",
    }  # fmt: skip
    received = {n: b for n, b in bodies.items() if b["type"] == "ReceivedCallback"}
    assert {n: common - b.keys() for n, b in received.items() if common - b.keys()} == {}
    without_id = {n for n, b in received.items() if "messageId" not in b}
    assert without_id == {
        "notification-profile-name-updated",
        "notification-profile-picture-updated",
        "notification-chat-label-association",
    }


def test_notification_code_has_a_callback(bodies: dict[str, dict[str, Any]]) -> None:
    codes = {body["notification"] for body in bodies.values() if "notification" in body}
    assert codes == set(get_args(NotificationCode))
