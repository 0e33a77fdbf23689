"""A call from another node is executed unchanged, or refused."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter

from gateway.clock import Clock
from gateway.contract.catalogue import catalogue
from gateway.contract.operation import Operation, Picture
from gateway.contract.zapi.instances import PhoneCode, ReadDevice, ReadPhoneCode, ReadQrImage
from gateway.documents.surface import shown_answer, surface
from gateway.errors import Conflict, GatewayError, NotConnected, QueueFull
from gateway.observability.metrics import Metrics
from gateway.parsing.parser import BodyParser
from gateway.sessions.relay import (
    RelayReceiver,
    error_of,
    read_result,
    relay_client,
    write_result,
)
from gateway.sessions.relay_calls import CallHead, SeenNonces, digest_of

NOW = 1_800_000_000
SECRET, EARLIER = "the secret of the cluster", "the secret before it"
OPERATIONS = [
    entry.declared
    for entry in surface(catalogue())
    if entry.main is None and issubclass(entry.declared, Operation)
]
BODY = b'{"phone":"5511999999999"}'
FORM_1 = CallHead("/relay/one/ReadPhoneCode", "b", 7, NOW, len(BODY))
CALL = replace(FORM_1, nonce="0" * 32, digest=digest_of(BODY))
every_operation = pytest.mark.parametrize("declared", OPERATIONS, ids=lambda kind: kind.__name__)
in_both_forms = pytest.mark.parametrize("call", [CALL, FORM_1], ids=["form 2", "form 1"])


class RecordingSession(list[Operation[Any]]):
    """Records the operations, and returns or raises `result`."""

    result: object = PhoneCode(code="ABCD")

    async def execute(self, _instance_id: str, operation: Operation[Any]) -> object:
        self.append(operation)
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


@dataclass(slots=True)
class Body:
    """The body of a call; counts how many pieces were read."""

    pieces: Sequence[bytes] = (BODY,)
    read: int = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            self.read += 1
            yield piece


def receiver_for(
    session: RecordingSession, *, accepts_earlier_form: bool = True, max_body_bytes: int = 1_000
) -> RelayReceiver:
    async def accepts() -> bool:
        return accepts_earlier_form

    return RelayReceiver(
        node_id="b",
        secrets=(SECRET, EARLIER),
        epoch_of={"one": 7}.get,
        database_seconds=lambda: NOW + 5.0,
        execute=session.execute,
        parser=BodyParser(Clock(), Metrics()),
        accepts_earlier_form=accepts,
        metrics=Metrics(),
        max_body_bytes=max_body_bytes,
    )


async def answered(
    receiver: RelayReceiver,
    call: CallHead,
    headers: Mapping[str, str] | None = None,
    body: Body | None = None,
) -> tuple[int, bytes]:
    _, _, instance_id, kind = call.path.split("/")
    signed = call.headers(SECRET, body_digest=digest_of(BODY))
    given = {name.lower(): value for name, value in signed.items()}
    given["content-length"] = str(call.length)
    pieces = aiter(Body() if body is None else body)
    return await receiver.answer(instance_id, kind, given | dict(headers or {}), pieces)


async def relayed(
    call: CallHead,
    session: RecordingSession | None = None,
    headers: Mapping[str, str] | None = None,
    body: Body | None = None,
) -> tuple[int, bytes]:
    session = RecordingSession() if session is None else session
    return await answered(receiver_for(session), call, headers, body)


@in_both_forms
async def test_relay_receiver_executes_the_signed_operation(call: CallHead) -> None:
    session = RecordingSession()

    status, _ = await relayed(call, session)

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
        ({"length": 1_001}, 413),
    ],
)
@in_both_forms
async def test_relay_receiver_refuses_a_wrong_head_before_it_reads(
    call: CallHead, changed: dict[str, Any], status: int
) -> None:
    session, body = RecordingSession(), Body()

    assert (await relayed(replace(call, **changed), session, body=body))[0] == status
    assert not session
    assert body.read == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"x-relay-signature": "2:" + "0" * 64},
        {"x-relay-signature": CALL.signature("a guess")},
        {"x-relay-signature": replace(CALL, nonce="1" * 32).signature(SECRET)},
        {"x-relay-nonce": "1" * 32},
        {"x-relay-nonce": ""},
        {"x-relay-digest": digest_of(b"{}")},
        {"x-relay-at": str(NOW + 1)},
        {"x-relay-at": "9" * 5_000},
        {"x-relay-epoch": "seven"},
        {"x-relay-epoch": "\u0667"},
        {"content-length": str(len(BODY) - 1)},
        {"content-length": ""},
        {"x-relay-signature": "2:\u00e9"},
    ],
)
async def test_relay_receiver_reads_no_body_without_signature(headers: dict[str, str]) -> None:
    session, body = RecordingSession(), Body()

    assert (await relayed(CALL, session, headers, body))[0] == 403
    assert not session
    assert body.read == 0


@pytest.mark.parametrize("pieces", [[b"{}"], [b""], [BODY[:-1] + b" "], [BODY, b" "]])
@in_both_forms
async def test_relay_receiver_refuses_another_body(call: CallHead, pieces: list[bytes]) -> None:
    session = RecordingSession()

    assert (await relayed(call, session, body=Body(pieces)))[0] == 403
    assert not session


async def test_relay_receiver_reads_no_more_than_the_signed_length() -> None:
    body = Body([BODY, b" "] + [b" "] * 1_000)

    assert (await relayed(CALL, body=body))[0] == 403
    assert body.read == 2


async def test_relay_receiver_executes_a_call_once() -> None:
    session = RecordingSession()
    receiver = receiver_for(session)

    assert (await answered(receiver, CALL))[0] == 200
    assert (await answered(receiver, CALL))[0] == 403
    assert (await answered(receiver, replace(CALL, nonce="1" * 32)))[0] == 200
    assert len(session) == 2


async def test_relay_receiver_takes_no_captured_call_as_form_1() -> None:
    """The signature of form 2 signs other lines, so no headers make a call of form 1 of it."""
    session = RecordingSession()
    signature = CALL.signature(SECRET).removeprefix("2:")
    stripped = {"x-relay-signature": signature, "x-relay-nonce": "", "x-relay-digest": ""}

    assert (await relayed(CALL, session, stripped))[0] == 403
    assert not session


async def test_relay_receiver_refuses_form_1_where_no_earlier_release_is_left() -> None:
    session, body = RecordingSession(), Body()
    receiver = receiver_for(session, accepts_earlier_form=False)

    assert (await answered(receiver, FORM_1, body=body))[0] == 403
    assert (await answered(receiver, CALL))[0] == 200
    assert body.read == 0
    assert len(session) == 1


async def test_relay_receiver_without_the_operation_of_a_newer_version_fails() -> None:
    newer = replace(CALL, path="/relay/one/OfANewerVersion")

    assert await relayed(newer) == (500, b"")


@in_both_forms
async def test_relay_receiver_accepts_the_earlier_secret(call: CallHead) -> None:
    signature = call.signature(EARLIER, body_digest=digest_of(BODY))

    assert (await relayed(call, headers={"x-relay-signature": signature}))[0] == 200


def test_seen_nonces_are_known_until_no_call_of_their_age_is_taken() -> None:
    seen = SeenNonces(max_count=2)

    assert seen.add("a", NOW)
    assert not seen.add("a", NOW + 59)
    assert seen.add("b", NOW + 1)
    assert not seen.add("c", NOW + 59), "a full memory drops no nonce that may come again"
    assert seen.add("c", NOW + 61)
    assert seen.add("a", NOW + 62)


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
