"""A repeated idempotency key gets the first answer, and a request keeps the id of its caller."""

import re

from tests.fixtures.bad_requests import GOOD, cleared, refused
from tests.fixtures.service import Client


async def test_repeated_idempotency_key_gets_the_first_answer(caller: Client) -> None:
    headers = {"Idempotency-Key": "the same"}

    answers = [
        await caller.call("POST", "/send-text", json=GOOD, headers=headers) for _ in range(3)
    ]

    assert [answer.status_code for answer in answers] == [200] * 3
    assert len({answer.content for answer in answers}) == 1
    assert await cleared(caller) == 1


async def test_idempotency_key_with_other_body_is_refused(caller: Client) -> None:
    headers = {"Idempotency-Key": "one body"}
    await caller.call("POST", "/send-text", json=GOOD, headers=headers)

    answer = await caller.call(
        "POST", "/send-text", json={**GOOD, "message": "another"}, headers=headers
    )

    refused(answer, 422, "Idempotency-Key was already used with another body")
    assert await cleared(caller) == 1


async def test_idempotency_key_is_accepted_up_to_255_characters(caller: Client) -> None:
    long, longest = [
        await caller.call("POST", "/send-text", json=GOOD, headers={"Idempotency-Key": "k" * n})
        for n in (256, 255)
    ]

    refused(long, 400, "Idempotency-Key: must be at most 255 characters")
    assert longest.status_code == 200
    assert await cleared(caller) == 1


async def test_refused_request_does_not_use_its_idempotency_key(caller: Client) -> None:
    headers = {"Idempotency-Key": "second try"}
    await caller.call("POST", "/send-text", json={**GOOD, "message": ""}, headers=headers)

    answer = await caller.call("POST", "/send-text", json=GOOD, headers=headers)

    assert answer.status_code == 200
    assert await cleared(caller) == 1


async def test_request_id_of_caller_is_returned(caller: Client) -> None:
    for status, path in [(200, "/queue"), (404, "/nothing"), (405, "/send-text")]:
        answer = await caller.call("GET", path, headers={"X-Request-Id": "mine-1"})
        assert (answer.status_code, answer.headers["x-request-id"]) == (status, "mine-1")


async def test_request_id_with_control_characters_is_replaced(caller: Client) -> None:
    for given in (b"x" * 65, b"tab\there", b"\xe9"):
        answer = await caller.call("GET", "/queue", headers=[(b"X-Request-Id", given)])
        assert re.fullmatch("[0-9a-f]{16}", answer.headers["x-request-id"])
