"""A call from another node is executed unchanged, or refused."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter

from gateway.contract.catalogue import catalogue
from gateway.contract.operation import Operation, Picture
from gateway.contract.zapi.instances import PhoneCode, ReadDevice, ReadPhoneCode, ReadQrImage
from gateway.documents.surface import shown_answer, surface
from gateway.errors import Conflict, GatewayError, NotConnected, QueueFull
from gateway.sessions.relay import (
    RelayCall,
    RelayReceiver,
    error_of,
    read_result,
    relay_client,
    write_result,
)

NOW = 1_800_000_000
SECRET, EARLIER = "the secret of the cluster", "the secret before it"
OPERATIONS = [
    entry.declared
    for entry in surface(catalogue())
    if entry.main is None and issubclass(entry.declared, Operation)
]
CALL = RelayCall("/relay/one/ReadPhoneCode", b'{"phone":"5511999999999"}', "b", 7, NOW)
every_operation = pytest.mark.parametrize("declared", OPERATIONS, ids=lambda kind: kind.__name__)


class RecordingSession(list[Operation[Any]]):
    """Records the operations, and returns or raises `result`."""

    result: object = PhoneCode(code="ABCD")

    async def execute(self, _instance_id: str, operation: Operation[Any]) -> object:
        self.append(operation)
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


async def relayed(
    call: RelayCall,
    session: RecordingSession | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, bytes]:
    session = RecordingSession() if session is None else session
    receiver = RelayReceiver(
        "b", (SECRET, EARLIER), {"one": 7}.get, lambda: NOW + 5.0, session.execute
    )
    _, _, instance_id, kind = call.path.split("/")
    signed = {name.lower(): value for name, value in call.headers(SECRET).items()}
    return await receiver.answer(instance_id, kind, signed | dict(headers or {}), call.body)


async def test_relay_receiver_executes_the_signed_operation() -> None:
    session = RecordingSession()

    status, _ = await relayed(CALL, session)

    assert status == 200
    assert session == [ReadPhoneCode(phone="5511999999999")]


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"at_seconds": NOW - 40}, 403),
        ({"at_seconds": NOW + 40}, 403),
        ({"node_id": "c"}, 409),
        ({"epoch": 6}, 409),
        ({"path": "/relay/two/ReadPhoneCode"}, 409),
        ({"path": "/relay/one/OfANewerVersion"}, 500),
    ],
)
async def test_relay_receiver_refuses_old_and_misdirected_calls(
    changed: dict[str, Any], status: int
) -> None:
    session = RecordingSession()

    assert (await relayed(replace(CALL, **changed), session))[0] == status
    assert not session


@pytest.mark.parametrize(
    "headers",
    [
        {"x-relay-signature": "0" * 64},
        {"x-relay-signature": replace(CALL, body=b"{}").signature(SECRET)},
        {"x-relay-signature": CALL.signature("a guess")},
        {"x-relay-at": str(NOW + 1)},
        {"x-relay-epoch": "seven"},
        {"x-relay-signature": "\u00e9"},
    ],
)
async def test_relay_receiver_refuses_a_call_without_signature(headers: dict[str, str]) -> None:
    session = RecordingSession()

    assert (await relayed(CALL, session, headers))[0] == 403
    assert not session


async def test_relay_receiver_accepts_the_earlier_secret() -> None:
    signature = CALL.signature(EARLIER)

    assert (await relayed(CALL, headers={"x-relay-signature": signature}))[0] == 200


@pytest.mark.parametrize(
    "error", [NotConnected("no network"), Conflict("too late"), QueueFull(5, connected=True)]
)
async def test_relay_error_keeps_its_class_and_text(error: GatewayError) -> None:
    session = RecordingSession()
    session.result = error

    status, body = await relayed(CALL, session)
    raised = error_of(body)

    assert status == 422
    assert (type(raised), str(raised)) == (type(error), str(error))


async def test_relay_receiver_hides_an_unexpected_error() -> None:
    session = RecordingSession()
    session.result = ZeroDivisionError("secret")

    assert await relayed(CALL, session) == (500, b"")


@every_operation
def test_relay_of_every_operation_is_unchanged(declared: type[Operation[Any]]) -> None:
    for example in (declared.example, declared.example_minimal):
        if example is not None:
            operation = declared.model_validate(example)
            assert (
                declared.model_validate_json(operation.model_dump_json(exclude_unset=True))
                == operation
            )


@every_operation
def test_relay_of_every_result_is_unchanged(declared: type[Operation[Any]]) -> None:
    operation = declared.model_construct()
    if (example := shown_answer(declared)) is None:
        return
    answer = TypeAdapter(declared.result_type()).validate_json(json.dumps(example))

    assert read_result(operation, write_result(operation, answer)) == answer


def test_relay_of_a_picture_is_unchanged() -> None:
    operation, picture = ReadQrImage(), Picture(bytes(range(256)), "image/png")

    assert read_result(operation, write_result(operation, picture)) == picture


def test_relay_result_of_another_version_raises() -> None:
    with pytest.raises(GatewayError, match="this version cannot read"):
        read_result(ReadDevice(), b'{"unknown": 1}')


async def test_relay_client_stores_no_cookie() -> None:
    request = httpx.Request("POST", "http://node.example/relay")
    response = httpx.Response(200, headers={"Set-Cookie": "a=1"}, request=request)
    async with relay_client(timeout_seconds=1) as client:
        client.cookies.extract_cookies(response)
        assert list(client.cookies.jar) == []
