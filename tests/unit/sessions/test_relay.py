"""What one node asks another arrives as it was asked, or not at all."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from pydantic import TypeAdapter

from gateway.contract.catalogue import catalogue
from gateway.contract.operation import Operation, Picture
from gateway.contract.zapi.instances import PhoneCode, ReadDevice, ReadPhoneCode, ReadQrImage
from gateway.documents.surface import shown_answer, surface
from gateway.errors import Conflict, GatewayError, NotConnected, QueueFull
from gateway.sessions.relay import Call, RelayReceiver, error_of, read_answer, write_answer

NOW = 1_800_000_000
SECRET, EARLIER = "the secret of the cluster", "the secret before it"
OPERATIONS = [
    entry.declared
    for entry in surface(catalogue())
    if entry.main is None and issubclass(entry.declared, Operation)
]
CALL = Call("/relay/one/ReadPhoneCode", b'{"phone":"5511999999999"}', "b", 7, NOW)
every_operation = pytest.mark.parametrize("declared", OPERATIONS, ids=lambda kind: kind.__name__)


class Asked(list[Operation[Any]]):
    """A session that answers what it is told to, and remembers what it was asked."""

    answer: object = PhoneCode(code="ABCD")

    async def execute(self, _instance_id: str, operation: Operation[Any]) -> object:
        self.append(operation)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def relayed(
    call: Call, session: Asked | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    session = Asked() if session is None else session
    context = RelayReceiver(
        "b", (SECRET, EARLIER), {"one": 7}.get, lambda: NOW + 5.0, session.execute
    )
    _, _, instance_id, kind = call.path.split("/")
    signed = {name.lower(): value for name, value in call.headers(SECRET).items()}
    return await context.answer(instance_id, kind, signed | dict(headers or {}), call.body)


async def test_the_session_is_asked_what_the_other_node_was_asked() -> None:
    session = Asked()

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
async def test_what_is_late_or_for_somebody_else_is_refused(
    changed: dict[str, Any], status: int
) -> None:
    session = Asked()

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
async def test_what_no_node_signed_is_refused(headers: dict[str, str]) -> None:
    session = Asked()

    assert (await relayed(CALL, session, headers))[0] == 403
    assert not session


async def test_nodes_understand_each_other_while_the_secret_changes() -> None:
    signature = CALL.signature(EARLIER)

    assert (await relayed(CALL, headers={"x-relay-signature": signature}))[0] == 200


@pytest.mark.parametrize(
    "error", [NotConnected("no network"), Conflict("too late"), QueueFull(5, connected=True)]
)
async def test_an_error_comes_back_by_its_name(error: GatewayError) -> None:
    session = Asked()
    session.answer = error

    status, body = await relayed(CALL, session)
    told = error_of(body)

    assert status == 422
    assert (type(told), str(told)) == (type(error), str(error))


async def test_what_nobody_foresaw_is_reported_there_and_says_nothing_here() -> None:
    session = Asked()
    session.answer = ZeroDivisionError("secret")

    assert await relayed(CALL, session) == (500, b"")


@every_operation
def test_every_operation_travels_unchanged(declared: type[Operation[Any]]) -> None:
    for example in (declared.example, declared.example_minimal):
        if example is not None:
            asked = declared.model_validate(example)
            assert declared.model_validate_json(asked.model_dump_json(exclude_unset=True)) == asked


@every_operation
def test_every_answer_travels_unchanged(declared: type[Operation[Any]]) -> None:
    operation = declared.model_construct()
    if (example := shown_answer(declared)) is None:
        return
    answer = TypeAdapter(declared.result_type()).validate_json(json.dumps(example))

    assert read_answer(operation, write_answer(operation, answer)) == answer


def test_a_picture_travels_unchanged() -> None:
    operation, picture = ReadQrImage(), Picture(bytes(range(256)), "image/png")

    assert read_answer(operation, write_answer(operation, picture)) == picture


def test_an_answer_of_another_version_is_an_error_that_says_so() -> None:
    with pytest.raises(GatewayError, match="this version cannot read"):
        read_answer(ReadDevice(), b'{"unknown": 1}')
