"""A phone of the sandbox links, disconnects and unlinks, and each change is reported once."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.contract.operation import Operation, Value
from gateway.contract.zapi.instances import (
    AlreadyConnected,
    Disconnect,
    PhoneCode,
    QrCode,
    ReadDevice,
    ReadPhoneCode,
    ReadQrCode,
    RestoreSession,
)
from gateway.errors import NotConnected
from gateway.providers.sandbox import pairing
from gateway.sessions.connection import ConnectionState
from gateway.sessions.provider import ConnectionChanged
from tests.providers.sandbox_node import Node
from tests.providers.sandbox_session import (
    FRIEND,
    attempt,
    connected,
    opened,
    sent,
    spec,
    stored_events,
    text,
)


def test_codes_rotate() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    first = pairing.qr_text("secret", at)
    assert first.startswith("2@")
    assert first == pairing.qr_text("secret", at + timedelta(seconds=19))
    assert first != pairing.qr_text("secret", at + timedelta(seconds=20))
    assert first.split(",")[1:] == pairing.qr_text("secret", at + timedelta(1)).split(",")[1:]
    code = pairing.pairing_code("secret", FRIEND, at)
    assert len(code) == 9
    assert code[4] == "-"
    assert code == pairing.pairing_code("secret", FRIEND, at + timedelta(seconds=179))
    assert code != pairing.pairing_code("secret", FRIEND, at + timedelta(seconds=180))
    assert pairing.phone_number("one") == pairing.phone_number("one") != pairing.phone_number("two")


async def test_new_phone_is_unpaired_until_it_is_scanned(node: Node) -> None:
    async with opened(node, spec(paired=False)) as listening, node.http() as http:
        assert (await listening.next()).state is ConnectionState.UNPAIRED
        assert listening.session.qr_text().startswith("2@")
        assert listening.session.pairing_code(FRIEND)[4] == "-"
        with pytest.raises(NotConnected):
            await listening.session.send(text(), attempt())
        answer = await http.post("/sandbox/one/scan", json={"phone": "+55 11 91234-5678"})
        assert answer.json()["state"] == "connected"
        event = await listening.next()
        assert isinstance(event, ConnectionChanged)
        assert (event.state, event.phone) == (ConnectionState.CONNECTED, "5511912345678")
        await listening.session.send(text(), attempt())


async def test_paired_instance_is_connected_from_the_start(node: Node) -> None:
    async with opened(node) as listening:
        event = await listening.next()
        assert (event.state, event.phone) == (
            ConnectionState.CONNECTED,
            pairing.phone_number("one"),
        )


async def test_paired_setting_holds_for_a_phone_that_control_created(node: Node) -> None:
    await node.people.plan_faults("one", [])
    async with connected(node):
        pass


async def test_connection_changes_are_delivered_once_in_order(node: Node) -> None:
    async with connected(node) as listening, node.http() as http:
        for state in ("down", "down", "up", "logged_out", "logged_out"):
            await http.post("/sandbox/one/connection", json={"state": state})
        assert [(await listening.next()).state for _ in range(3)] == [
            ConnectionState.DISCONNECTED,
            ConnectionState.CONNECTED,
            ConnectionState.LOGGED_OUT,
        ]
        await http.post("/sandbox/one/scan")
        assert (await listening.next()).state is ConnectionState.CONNECTED


@pytest.mark.parametrize(
    ("command", "state"),
    [("down", ConnectionState.DISCONNECTED), ("logged_out", ConnectionState.LOGGED_OUT)],
)
async def test_change_while_closed_is_reported_by_the_opening(
    node: Node, command: str, state: ConnectionState
) -> None:
    async with connected(node):
        pass
    async with node.http() as http:
        await http.post("/sandbox/one/connection", json={"state": command})
    async with opened(node) as listening:
        assert (await listening.next()).state is state
        await node.people.scan("one", None)
        assert (await listening.next()).state is ConnectionState.CONNECTED
    assert await stored_events(node) == 0


async def test_session_with_an_older_lease_gets_no_events(node: Node) -> None:
    async with connected(node) as older, connected(node, spec(epoch=2)) as newer:
        with pytest.raises(NotConnected, match="an older lease"):
            await older.session.send(text(), attempt(epoch=1))
        await newer.session.send(text(), attempt(epoch=2))
        async with opened(node, spec(epoch=1)) as late:
            assert (await late.next()).state is ConnectionState.REPLACED
        await node.people.change_state("one", ConnectionState.DISCONNECTED)
        assert (await newer.next()).state is ConnectionState.DISCONNECTED
    assert [row["seen"] for row in await sent(node)] == [1]


async def test_disconnect_unlinks_until_the_next_scan(node: Node) -> None:
    async with connected(node) as listening:
        assert await listening.session.execute(ReadQrCode()) == AlreadyConnected()
        assert (await listening.session.execute(ReadDevice())).phone == pairing.phone_number("one")
        assert await listening.session.execute(Disconnect()) == Value()
        assert (await listening.next()).state is ConnectionState.LOGGED_OUT
        assert await listening.session.execute(RestoreSession()) == Value(value=False)
        with pytest.raises(NotConnected, match="scan the QR code again"):
            await listening.session.execute(ReadDevice())
        shown = await listening.session.execute(ReadQrCode())
        assert isinstance(shown, QrCode)
        assert shown.value == shown.qr_code == listening.session.qr_text()
        code = await listening.session.execute(ReadPhoneCode(phone=FRIEND))
        assert code == PhoneCode(code=listening.session.pairing_code(FRIEND))
        await node.people.scan("one", None)
        assert (await listening.next()).state is ConnectionState.CONNECTED


async def test_restore_session_connects_a_disconnected_phone(node: Node) -> None:
    async with connected(node) as listening:
        await node.people.change_state("one", ConnectionState.DISCONNECTED)
        assert (await listening.next()).state is ConnectionState.DISCONNECTED
        assert await listening.session.execute(RestoreSession()) == Value()
        assert (await listening.next()).state is ConnectionState.CONNECTED


async def test_replaced_session_cannot_change_the_phone(node: Node) -> None:
    async with connected(node, spec(epoch=2)), opened(node, spec(epoch=1)) as late:
        steering: tuple[Operation[Any], ...] = (
            ReadQrCode(),
            ReadPhoneCode(phone=FRIEND),
            Disconnect(),
            RestoreSession(),
            ReadDevice(),
        )
        for asked in steering:
            with pytest.raises(NotConnected, match="opened elsewhere"):
                await late.session.execute(asked)
    assert (await node.people.look("one")).state is ConnectionState.CONNECTED
